//! A domain under a domain: both signed the limits, and the child's ledger keeps them towards everybody else.

mod support;

use comity_ledger::Outcome;
use comity_proto::{
    amount::AssetCode,
    command::Verb,
    envelope::Signed as _,
    export::{Audience, Direction, ExportRule},
    text::{Capability, Reason},
    treaty::{Charter, TreatyDocument},
};
use support::{World, agent_of, converse, document_with, domain_of, pair, root_of, roster_of, usd};

fn text(name: &str) -> Capability {
    Capability::new(name).expect("a capability")
}

/// At most 500 of anybody else's paper, and nothing for hire but texts.
fn limits(child: &str) -> Option<Charter> {
    Some(Charter { child: domain_of(child), cap_max: Some(500), capabilities: vec![text("text")] })
}

fn signed(own: &str, other: &str, document: &TreatyDocument) -> Verb {
    let (ours, theirs) = (document.seal(&root_of(own)), document.seal(&root_of(other)));
    Verb::ApproveTreaty { document: ours, countersigned: theirs, roster: roster_of(other) }
}

/// The next version of the treaty between two worlds, signed by both operators, in the ledger of the first.
fn agree(world: &mut World, other: &str, cap: u64, charter: Option<Charter>) -> Outcome {
    let document = document_with(world, other, cap).under(charter);
    let verb = signed(&world.name, other, &document);
    world.operator(verb)
}

fn admit(world: &mut World, rule: ExportRule) {
    let reason = Reason::new("").expect("a reason");
    assert_eq!(world.operator(Verb::ChangeExport { rule, withdrawn: false, reason }), Outcome::Created);
}

fn may(world: &World, peer: &str, direction: Direction, capability: &str) -> Result<(), Outcome> {
    world.ledger.may_hire(&domain_of(peer), direction, &agent_of("bob"), Some(&text(capability)))
}

#[test]
fn both_sides_know_who_stands_under_whom_and_a_next_version_or_a_drain_ends_it() {
    let (mut alpha, mut beta) = pair();
    for world in [&mut alpha, &mut beta] {
        let other = if world.name == "alpha" { "beta" } else { "alpha" };
        assert_eq!(agree(world, other, 1_000_000, limits("beta")), Outcome::Applied);
    }
    assert_eq!(
        beta.ledger.parent().map(|(parent, charter)| (parent, charter.clone())),
        limits("beta").map(|all| (alpha.home, all))
    );
    let children = |of: &World| of.ledger.children().map(|(treaty, _)| treaty.peer).collect::<Vec<_>>();
    assert_eq!((children(&alpha), children(&beta)), (vec![beta.home], vec![]));
    assert_eq!(alpha.ledger.parent(), None);

    // Nobody stands under two.
    assert_eq!(agree(&mut beta, "gamma", 100, limits("beta")), Outcome::WrongState);
    assert_eq!(agree(&mut beta, "gamma", 100, limits("gamma")), Outcome::Applied);
    assert_eq!(children(&beta), [domain_of("gamma")], "in the middle of three");

    assert_eq!(agree(&mut beta, "alpha", 1_000_000, None), Outcome::Applied);
    assert_eq!(beta.ledger.parent(), None, "a version without it");
    assert_eq!(agree(&mut beta, "alpha", 1_000_000, limits("beta")), Outcome::Applied);
    beta.drain(alpha.home);
    assert_eq!(beta.ledger.parent(), None, "un-peering ends it");
    assert_eq!(agree(&mut beta, "gamma", 600, limits("gamma")), Outcome::Applied, "nothing limits it any more");
}

#[test]
fn a_domain_that_was_founded_to_issue_nothing_never_does_and_trades_in_the_money_of_its_parent() {
    let (mut alpha, mut beta) = (World::new("alpha"), World::federated("beta"));
    for (world, other) in [(&mut alpha, "beta"), (&mut beta, "alpha")] {
        assert_eq!(agree(world, other, 1_000, limits("beta")), Outcome::Applied);
    }
    let code = usd("beta").code;
    let issue = Verb::Issue { code, to: None, amount: 1 };
    assert_eq!(beta.operator(issue), Outcome::LimitExceededSupply);
    let more = Verb::CreateAsset { code: AssetCode::new("NIL").expect("a code"), scale: 6, supply_cap: 0 };
    assert_eq!(beta.operator(more), Outcome::AmountZero, "an asset of which there is never a unit");

    alpha.rich("carol", 10_000);
    for name in ["bob", "dora"] {
        beta.register(name, None, None);
    }
    let bob = beta.party("bob");
    assert_eq!(alpha.transfer("carol", bob, 400), Outcome::Begun);
    converse(&mut alpha, &mut beta);
    assert_eq!((beta.ledger.supply_of(&usd("alpha")), beta.ledger.supply_of(&usd("beta"))), (400, 0));
}

#[test]
fn a_child_takes_no_more_of_anybodys_paper_than_its_charter_says() {
    let (mut alpha, mut beta) = (World::new("alpha"), World::new("beta"));
    assert_eq!(agree(&mut beta, "gamma", 1_000_000, None), Outcome::Applied);
    for (world, other) in [(&mut alpha, "beta"), (&mut beta, "alpha")] {
        assert_eq!(agree(world, other, 1_000, None), Outcome::Applied, "before there was a charter");
    }
    alpha.rich("carol", 10_000);
    beta.register("bob", None, None);
    let bob = beta.party("bob");
    let held = |beta: &World| beta.ledger.supply_of(&usd("alpha"));
    let mut pays = |beta: &mut World, amount| {
        assert_eq!(alpha.transfer("carol", bob, amount), Outcome::Begun);
        converse(&mut alpha, beta);
    };
    pays(&mut beta, 400);
    assert_eq!(held(&beta), 400);
    assert_eq!(agree(&mut beta, "gamma", 1_000_000, limits("beta")), Outcome::Applied);
    pays(&mut beta, 101);
    assert_eq!(held(&beta), 400, "one unit too many");
    pays(&mut beta, 100);
    assert_eq!(held(&beta), 500);

    assert_eq!(agree(&mut beta, "alpha", 501, None), Outcome::ExposureExceeded, "nobody is promised more");
    assert_eq!(agree(&mut beta, "alpha", 500, None), Outcome::Applied);
    assert_eq!(agree(&mut beta, "gamma", 2_000_000, limits("beta")), Outcome::Applied, "of its parent's as agreed");
    assert_eq!(agree(&mut beta, "gamma", 2_000_000, None), Outcome::Applied);
    pays(&mut beta, 1);
    assert_eq!(held(&beta), 500, "the treaty itself says five hundred now");
}

#[test]
fn a_child_shows_and_hires_out_to_others_only_what_its_charter_says() {
    let mut beta = World::new("beta");
    beta.register("bob", None, None);
    for other in ["alpha", "gamma"] {
        assert_eq!(agree(&mut beta, other, 100, None), Outcome::Applied);
    }
    admit(&mut beta, ExportRule::all(Audience::Everyone));
    assert_eq!(may(&beta, "gamma", Direction::In, "image"), Ok(()));
    assert_eq!(agree(&mut beta, "alpha", 100, limits("beta")), Outcome::Applied);
    let table = [
        ("gamma", Direction::In, "image", Err(Outcome::NotExported)),
        ("gamma", Direction::In, "text", Ok(())),
        ("gamma", Direction::In, "text.statistics", Ok(())),
        ("gamma", Direction::Out, "image", Ok(())),
        ("alpha", Direction::In, "image", Ok(())),
    ];
    for (peer, direction, capability, answer) in table {
        assert_eq!(may(&beta, peer, direction, capability), answer, "{peer} {direction:?} {capability}");
    }
    // What a card is filtered by says the same.
    let shown = beta.ledger.exports_in_force();
    let admits = |peer: &str, capability: &str| {
        shown.admits(&domain_of(peer), Direction::In, &agent_of("bob"), &text(capability))
    };
    assert!(!admits("gamma", "image") && admits("gamma", "text") && admits("alpha", "image"));
    assert_eq!(agree(&mut beta, "alpha", 100, None), Outcome::Applied);
    assert_eq!(may(&beta, "gamma", Direction::In, "image"), Ok(()), "the operator's rules were never changed");
}
