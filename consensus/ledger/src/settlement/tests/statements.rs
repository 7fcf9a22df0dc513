//! Supply statements: what two domains say about each other, and what gives a liar away.

use super::world::{World, domain, transfer_id, usd};
use crate::statement::{Discrepancy, Standing, StatementError, SupplyStatement, one_sided_sum, verify_pair};
use alloc::vec::Vec;

fn pair(world: &World) -> (SupplyStatement, SupplyStatement) {
    let say = |side: usize| world.homes[side].ledger.supply_statement(domain(1 - side)).expect("begun");
    (say(0), say(1))
}

/// One transfer of 1000 posted, one of 2000 committed and not yet posted there, one of 4000 undecided.
fn busy() -> World {
    let mut world = World::new();
    assert!(world.pay(0, 0, 0, transfer_id(1), usd(0), 1_000).is_success());
    world.settle_now();
    for (id, amount) in [(2, 2_000), (3, 4_000)] {
        assert!(world.pay(0, 0, 0, transfer_id(id), usd(0), amount).is_success());
    }
    let begun = world.owed(0);
    let votes: Vec<_> = begun.iter().map(|message| world.deliver(message).1).collect();
    world.deliver(&votes[0][0]);
    world
}

#[test]
fn two_honest_statements_fit_and_name_what_is_under_way() {
    let (a, b) = pair(&busy());
    assert_eq!(verify_pair(&a, &b), Ok(()));
    assert_eq!(verify_pair(&b, &a), Ok(()));
    let (issuer, holder) = (a.asset(&usd(0)).expect("a line"), b.asset(&usd(0)).expect("a line"));
    assert_eq!((issuer.reserve, issuer.held, issuer.wrapped), (Some(3_000), Some(0), None));
    assert_eq!((holder.reserve, holder.held, holder.wrapped, holder.supply), (None, None, Some(1_000), None));
    assert_eq!(issuer.committed, [(transfer_id(2), 2_000)]);
    assert_eq!(holder.promised, [(transfer_id(2), 2_000), (transfer_id(3), 4_000)]);
    assert_eq!(one_sided_sum(&a, &b, &usd(0)), 2_000);
    assert_eq!(a.standing, Standing::Issuer);
}

#[test]
fn a_holder_that_mints_a_unit_is_unbacked_and_one_that_hides_some_is_unexplained() {
    let mut world = busy();
    world.settle_now();
    let (a, b) = pair(&world);
    assert_eq!(verify_pair(&a, &b), Ok(()));
    let wrapped = |figure: u64| {
        let mut lied = b.clone();
        let line = lied.assets.iter_mut().find(|line| line.asset == usd(0)).expect("a line");
        line.wrapped = Some(figure);
        verify_pair(&a, &lied)
    };
    assert_eq!(wrapped(7_001), Err(Discrepancy::Unbacked { asset: usd(0), missing: 1 }));
    assert_eq!(wrapped(6_999), Err(Discrepancy::Unexplained { asset: usd(0), difference: 1, one_sided: 0 }));
    let mut silent = b.clone();
    silent.assets.iter_mut().for_each(|line| line.wrapped = None);
    assert_eq!(verify_pair(&a, &silent), Err(Discrepancy::FigureMissing { asset: usd(0) }));
}

#[test]
fn reserve_held_for_a_returning_transfer_is_still_backing() {
    let mut world = World::new();
    assert!(world.pay(0, 0, 0, transfer_id(1), usd(0), 1_000).is_success());
    world.settle_now();
    assert!(world.pay(1, 0, 0, transfer_id(2), usd(0), 300).is_success());
    let begun = world.owed(1);
    let (_, votes) = world.deliver(&begun[0]);
    let (a, b) = pair(&world);
    let line = a.asset(&usd(0)).expect("a line");
    assert_eq!((line.reserve, line.held), (Some(700), Some(300)));
    assert_eq!(verify_pair(&a, &b), Ok(()));
    world.deliver(&votes[0]);
    let (a, b) = pair(&world);
    assert_eq!(b.asset(&usd(0)).expect("a line").wrapped, Some(700), "burned at the decision");
    assert_eq!((verify_pair(&a, &b), one_sided_sum(&a, &b, &usd(0))), (Ok(()), 300));
}

#[test]
fn a_domain_that_issues_nothing_is_federated_and_shows_no_figure_as_zero() {
    let mut world = busy();
    let home = &mut world.homes[1];
    home.ledger.head.assets.rotate_left(1);
    home.ledger.head.assets.pop();
    let statement = home.ledger.supply_statement(domain(0)).expect("begun");
    assert_eq!(statement.standing, Standing::Federated);
    assert!(statement.assets.iter().all(|line| (line.supply, line.reserve, line.held) == (None, None, None)));
}

#[test]
fn statements_of_strangers_are_no_pair() {
    let (a, b) = pair(&busy());
    let mut other = b.clone();
    other.peer = comity_proto::ids::DomainId([9; 32]);
    assert_eq!(verify_pair(&a, &other), Err(Discrepancy::NotAPair));
    assert_eq!(verify_pair(&a, &a), Err(Discrepancy::NotAPair));
}

#[test]
fn as_json_a_statement_has_its_money_in_texts_and_reads_back() {
    let world = busy();
    let (a, b) = pair(&world);
    for statement in [a, b] {
        let shown = serde_json::to_value(&statement).unwrap();
        for line in shown["assets"].as_array().unwrap() {
            let figures = ["supply", "reserve", "held", "wrapped"].map(|name| &line[name]);
            assert!(figures.iter().all(|figure| figure.is_null() || figure.is_string()), "{line}");
            let mut named = ["committed", "promised"].iter().flat_map(|name| line[*name].as_array().unwrap());
            assert!(named.all(|transfer| transfer[1].is_string()), "{line}");
        }
        assert_eq!(serde_json::from_value::<SupplyStatement>(shown).unwrap(), statement);
    }
}

#[test]
fn a_statement_reads_back_from_its_one_encoding_only() {
    let (a, _) = pair(&busy());
    let bytes = a.to_bytes();
    assert_eq!(SupplyStatement::from_bytes(&bytes), Ok(a));
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(SupplyStatement::from_bytes(&longer), Err(StatementError::NotCanonical));
    let mut newer = bytes.clone();
    newer[0] = 2;
    assert_eq!(SupplyStatement::from_bytes(&newer), Err(StatementError::UnknownVersion(2)));
    assert_eq!(SupplyStatement::from_bytes(&bytes[..20]), Err(StatementError::Malformed));
    assert_eq!(SupplyStatement::from_bytes(&[]), Err(StatementError::Malformed));
}
