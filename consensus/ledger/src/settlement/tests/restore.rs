//! A domain comes back from a backup: whatever its age, whoever had decided what, no unit is made or lost, and a peer is
//! never answered with an abort for what the backup does not know.

use super::{
    checker::{agreement, supply_equation},
    random::History,
    three::{ISSUER, PAYEE, PAYER, Three},
    world::{Home, Message, Side, World, domain, transfer_id, usd},
};
use crate::{
    Ledger, Outcome,
    event::EventKind,
    settlement::{Difference, OutgoingState},
    statement::verify_pair,
};
use alloc::{format, string::String, vec, vec::Vec};
use comity_proto::{
    command::Verb, envelope::Signed as _, identity::Roster, settlement::SettlementMessage, text::Reason,
};

const DAY_MS: u64 = 86_400_000;

/// The backup starts as the domain, under the next incarnation.
pub(super) fn restore(home: &mut Home, backup: &Ledger) {
    home.roster = Roster { epoch: home.roster.epoch + 1, ..home.roster.clone() };
    let roster = Roster::open(&home.roster.seal(&home.root)).expect("a roster");
    let incarnation = home.ledger.domain().expect("a domain").incarnation + 1;
    home.ledger = backup.freeze().restored(incarnation, &roster).expect("a backup of this domain");
    assert!(home.ledger.is_fenced());
    let copy = Ledger::from_chunks(home.ledger.snapshot_chunks());
    assert_eq!(copy.as_ref(), Ok(&home.ledger), "a fenced ledger is stored as it is");
}

/// The restored side asks until it agrees; says whether it does.
pub(super) fn reconcile(world: &mut World, side: Side) -> bool {
    for _ in 0..8 {
        let mut queue = world.owed(side);
        let only_asks = queue.iter().all(|(_, said)| matches!(said, SettlementMessage::BooksAsk(_)));
        assert!(only_asks || !world.homes[side].ledger.is_fenced(), "a fenced ledger only asks");
        while world.homes[side].ledger.is_fenced()
            && let Some(message) = queue.pop()
        {
            queue.extend(world.deliver(&message).1);
        }
        if !world.homes[side].ledger.is_fenced() {
            return true;
        }
    }
    false
}

pub(super) fn settle(home: &mut Home, side: Side, peer: Side) -> Outcome {
    let reason = Reason::new("agreed by phone").expect("a reason");
    home.operator_does(side, Verb::SettleBooks { peer: domain(peer), reason })
}

pub(super) fn equal(world: &World) -> Result<(), String> {
    (0..2).try_for_each(|side| supply_equation(world, side))?;
    let [a, b] = [0, 1].map(|side| world.homes[side].ledger.supply_statement(domain(1 - side)).expect("begun"));
    verify_pair(&a, &b).map_err(|discrepancy| format!("statements: {discrepancy:?}"))
}

/// An old word of a side, as its lost incarnation signed it.
fn deliver_old(world: &mut World, message: &Message) -> Vec<Outcome> {
    let batch = world.batch_of(message, 1);
    world.deliver_batch(message, batch).0
}

/// The trace by which a rollback after 72 hours makes money: the payer's lock is undone while the commit is under way.
#[test]
fn a_backup_of_72_hours_makes_no_money() {
    for commit_arrives_first in [true, false] {
        let mut world = World::new();
        let before = world.homes[0].balance(super::world::agent(0, 0), &usd(0));
        assert_eq!(world.pay(0, 0, 0, transfer_id(1), usd(0), 1_000), Outcome::Begun);
        let backup = world.homes[0].ledger.freeze();
        let prepare = world.owed(0).remove(0);
        let vote = world.deliver(&prepare).1.remove(0);
        let commit = world.deliver(&vote).1.remove(0);
        assert!(matches!(commit.1, SettlementMessage::Decision(decision) if decision.commit));
        restore(&mut world.homes[0], &backup);
        for side in 0..2 {
            world.pulse(side, 3 * DAY_MS);
        }
        let locked = world.homes[0].ledger.outgoing_transfer(&transfer_id(1)).expect("in the backup").state;
        assert_eq!(locked, OutgoingState::Undecided, "time decides nothing behind a fence");
        assert_eq!(world.deliver(&vote).0, [Outcome::Fenced], "nor does a vote");
        assert_eq!(world.pay(0, 0, 0, transfer_id(2), usd(0), 1), Outcome::Fenced);
        if commit_arrives_first {
            assert_eq!(deliver_old(&mut world, &commit), [Outcome::Applied]);
        }
        assert!(reconcile(&mut world, 0), "{:?}", world.homes[0].ledger.reconciliation());
        if !commit_arrives_first {
            assert_eq!(deliver_old(&mut world, &commit), [Outcome::OldIncarnation]);
        }
        assert!(world.heal());
        equal(&world).expect("books that agree");
        (0..2).try_for_each(|side| agreement(&world, side)).expect("one end");
        let (left, there) =
            (world.homes[0].balance(super::world::agent(0, 0), &usd(0)), world.homes[1].issued(&usd(0)));
        let ended = if commit_arrives_first { (before - 1_000, 1_000) } else { (before, 0) };
        assert_eq!((left, there), ended, "the commit counts where it was heard, and nowhere else");
        assert_eq!(world.pay(0, 0, 0, transfer_id(3), usd(0), 1), Outcome::Begun, "trade goes on");
    }
}

/// What is done with the restored side's words that were under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stale {
    Lost,
    Before,
    After,
}

/// One transfer, one message at a time: `steps` of them.
fn run_to(world: &mut World, network: &mut Vec<Message>, steps: usize) {
    for _ in 0..steps {
        if network.is_empty() {
            return;
        }
        let message = network.remove(0);
        network.extend(world.deliver(&message).1);
    }
}

/// Every cut of one transfer: the backup is taken after `cut` messages, the disk is lost after `lost` more.
fn cut_once(
    world: &World,
    (origin, asset, side): (Side, Side, Side),
    (cut, lost): (usize, usize),
    stale: Stale,
    old: bool,
) {
    let at =
        format!("from {origin} in money of {asset}, {side} restored, cut {cut}, lost {lost}, {stale:?}, old {old}");
    let mut world = world.clone();
    let mut backup = world.homes[side].ledger.freeze();
    assert_eq!(world.pay(origin, 1, 2, transfer_id(1), usd(asset), 1_000), Outcome::Begun, "{at}");
    let mut network = world.owed(origin);
    // A cut of 0 is a backup from before the transfer.
    if cut > 0 {
        run_to(&mut world, &mut network, cut - 1);
        backup = world.homes[side].ledger.freeze();
    }
    run_to(&mut world, &mut network, lost);
    if old {
        world.pulse(1 - side, 4 * DAY_MS);
    }
    restore(&mut world.homes[side], &backup);
    let (mine, theirs): (Vec<Message>, Vec<Message>) = network.into_iter().partition(|(from, _)| *from == side);
    if mine.is_empty() && stale != Stale::Lost {
        return;
    }
    if stale == Stale::Before {
        mine.iter().for_each(|message| drop(deliver_old(&mut world, message)));
    }
    if !reconcile(&mut world, side) {
        // What both had forgotten no evidence tells: the figures do.
        assert!(old, "{at}: {:?}", world.homes[side].ledger.reconciliation());
        assert_eq!(
            world.homes[side].operator_does(side, Verb::Issue { code: usd(0).code, to: None, amount: 5_000 }),
            Outcome::Created
        );
        match settle(&mut world.homes[side], side, 1 - side) {
            Outcome::Applied => {}
            // The treasury has none of the peer's money: the fence stays, nothing is made.
            Outcome::InsufficientFunds => return assert!(world.homes[side].ledger.is_fenced()),
            other => panic!("{at}: {other}"),
        }
        assert!(!world.homes[side].ledger.is_fenced(), "{at}");
    } else {
        (0..2).try_for_each(|side| agreement(&world, side)).unwrap_or_else(|fault| panic!("{at}: {fault}"));
    }
    equal(&world).unwrap_or_else(|fault| panic!("{at}: {fault}"));
    if stale == Stale::After {
        mine.iter().for_each(|message| assert_eq!(deliver_old(&mut world, message), [Outcome::OldIncarnation], "{at}"));
    }
    theirs.iter().for_each(|message| drop(world.deliver(message)));
    assert!(world.heal(), "{at}: {:?}", world.homes[side].ledger.in_doubt());
    equal(&world).unwrap_or_else(|fault| panic!("{at}, healed: {fault}"));
    assert_eq!(world.pay(side, 0, 0, transfer_id(77), usd(side), 1), Outcome::Begun, "{at}: trade goes on");
}

#[test]
fn wherever_a_backup_cuts_a_transfer_both_books_agree_afterwards() {
    let mut world = World::new();
    // Both hold some of the other's money.
    for from in 0..2 {
        assert_eq!(world.pay(from, 0, 1, transfer_id(90 + from as u64), usd(from), 50_000), Outcome::Begun);
        world.settle_now();
    }
    for origin in 0..2 {
        for asset in 0..2 {
            for side in 0..2 {
                for cuts in (0..5).flat_map(|cut| (0..5 - cut).map(move |lost| (cut, lost))) {
                    for stale in [Stale::Lost, Stale::Before, Stale::After] {
                        for old in [false, true] {
                            cut_once(&world, (origin, asset, side), cuts, stale, old);
                        }
                    }
                }
            }
        }
    }
}

/// The other side remembers longer: nothing of what was finished before the backup moves again.
#[test]
fn what_was_forgotten_before_the_backup_stays_finished() {
    for (origin, side) in [(0, 0), (1, 0), (0, 1)] {
        let mut world = World::new();
        assert_eq!(world.pay(origin, 1, 2, transfer_id(1), usd(origin), 1_000), Outcome::Begun);
        world.settle_now();
        let known = |world: &World| match side == origin {
            true => world.homes[side].ledger.outgoing_transfer(&transfer_id(1)).is_some(),
            false => world.homes[side].ledger.incoming_transfer(domain(origin), transfer_id(1)).is_some(),
        };
        for _ in 0..8 {
            world.pulse(side, DAY_MS);
        }
        let there = world.homes[1 - side].ledger.books_draft(&domain(side), 2, None).expect("a domain");
        let is_told = !there.with(&alloc::collections::BTreeMap::new()).transfers.is_empty();
        assert!(is_told && (known(&world) == (side != origin)), "{origin} {side}: the peer remembers it");
        let backup = world.homes[side].ledger.freeze();
        let before = world.homes[side].ledger.balance(&super::world::agent(side, 1), &usd(side));
        restore(&mut world.homes[side], &backup);
        assert!(reconcile(&mut world, side), "{:?}", world.homes[side].ledger.reconciliation());
        assert_eq!(world.homes[side].ledger.balance(&super::world::agent(side, 1), &usd(side)), before);
        equal(&world).expect("nothing moved");
    }
}

/// Many transfers both ways and a backup of any age among them.
fn history(seed: u64) -> Result<(bool, bool), String> {
    let mut history = History::new(seed);
    let side = history.chance.side();
    let (before, after) = (history.chance.below(120), history.chance.below(120));
    (0..before).for_each(|_| history.step());
    let backup = history.world.homes[side].ledger.freeze();
    (0..after).for_each(|_| history.step());
    let world = &mut history.world;
    restore(&mut world.homes[side], &backup);
    let proved = reconcile(world, side);
    if !proved {
        let verb = Verb::Issue { code: usd(side).code, to: None, amount: 10_000_000 };
        if world.homes[side].operator_does(side, verb) != Outcome::Created {
            return Err(format!("seed {seed}: the operator cannot issue behind the fence"));
        }
        if settle(&mut world.homes[side], side, 1 - side) != Outcome::Applied {
            return Ok((false, false));
        }
    }
    for other in 0..2 {
        world.set_treaty(other, true);
    }
    equal(world).map_err(|fault| format!("seed {seed}: {fault}"))?;
    let (mine, theirs): (Vec<Message>, Vec<Message>) =
        core::mem::take(&mut history.network).into_iter().partition(|(from, _)| *from == side);
    mine.iter().for_each(|message| drop(deliver_old(world, message)));
    theirs.iter().for_each(|message| drop(world.deliver(message)));
    if !world.heal() {
        return Err(format!("seed {seed}: never ends: {:?}", world.homes[side].ledger.in_doubt()));
    }
    equal(world).map_err(|fault| format!("seed {seed}, healed: {fault}"))?;
    Ok((true, proved))
}

#[test]
fn a_backup_of_any_age_ends_with_equal_books() {
    let seeds = std::env::var("COMITY_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(8);
    let results: Result<Vec<(bool, bool)>, String> = (0..seeds).map(history).collect();
    let results = results.unwrap_or_else(|fault| panic!("{fault}"));
    let (agreed, proved) = (results.iter().filter(|(agreed, _)| *agreed), results.iter().filter(|(_, proved)| *proved));
    let (agreed, proved) = (agreed.count(), proved.count());
    assert!(agreed * 4 >= results.len() * 3 && proved > 0, "{agreed} agree, {proved} by evidence alone: {results:?}");
}

/// Across: whichever of the three comes back, the other two tell it what it had promised.
#[test]
fn each_of_three_comes_back_in_the_middle_of_a_payment_across() {
    let fresh = Three::new();
    for side in [ISSUER, PAYER, PAYEE] {
        for (cut, lost) in (0..10).flat_map(|cut| (0..10 - cut).map(move |lost| (cut, lost))) {
            let at = format!("{side} restored, cut {cut}, lost {lost}");
            let mut three = fresh.clone();
            let mut backup = three.homes[side].ledger.freeze();
            assert_eq!(three.pay(transfer_id(1), 1_000), Outcome::Begun);
            let mut network = three.owed(PAYER);
            let mut run = |three: &mut Three, steps: usize| {
                for _ in 0..steps {
                    if network.is_empty() {
                        return;
                    }
                    let message = network.remove(0);
                    let (_, answers) = three.deliver(&message);
                    network.extend(answers);
                }
            };
            if cut > 0 {
                run(&mut three, cut - 1);
                backup = three.homes[side].ledger.freeze();
            }
            run(&mut three, lost);
            restore(&mut three.homes[side], &backup);
            for _ in 0..8 {
                let mut queue = three.owed(side);
                while three.homes[side].ledger.is_fenced()
                    && let Some(message) = queue.pop()
                {
                    queue.extend(three.deliver(&message).1);
                }
            }
            assert!(!three.homes[side].ledger.is_fenced(), "{at}: {:?}", three.homes[side].ledger.reconciliation());
            assert!(three.heal(), "{at}: {:?}", three.homes[side].ledger.in_doubt());
            three.check(transfer_id(1)).unwrap_or_else(|fault| panic!("{at}: {fault}"));
        }
    }
}

#[test]
fn a_word_without_proof_moves_nothing_and_keeps_the_fence() {
    let mut world = World::new();
    let backup = world.homes[0].ledger.freeze();
    assert_eq!(world.pay(0, 0, 0, transfer_id(1), usd(0), 1_000), Outcome::Begun);
    world.settle_now();
    restore(&mut world.homes[0], &backup);
    let before = world.homes[0].ledger.balance(&super::world::agent(0, 0), &usd(0));
    world.homes[1].kept.clear();
    assert!(!reconcile(&mut world, 0));
    let (_, state) = world.homes[0].ledger.reconciliation().remove(0);
    let why: Vec<Difference> = state.differences.values().copied().collect();
    assert_eq!(why, [Difference::Unproved]);
    let short: Vec<i128> =
        world.homes[0].ledger.unbalanced(&domain(1), &state.figures).iter().map(|line| line.short).collect();
    assert_eq!(short, [1_000], "more wrapped units there than reserve here");
    assert_eq!(world.homes[0].ledger.balance(&super::world::agent(0, 0), &usd(0)), before);
    assert_eq!(
        settle(&mut world.homes[0], 0, 1),
        Outcome::InsufficientFunds,
        "an empty treasury takes nothing upon it"
    );
    let verb = Verb::Issue { code: usd(0).code, to: None, amount: 1_500 };
    assert_eq!(world.homes[0].operator_does(0, verb), Outcome::Created);
    assert_eq!(settle(&mut world.homes[0], 0, 1), Outcome::Applied);
    assert!(!world.homes[0].ledger.is_fenced());
    assert_eq!(world.homes[0].treasury(&usd(0)), 500);
    equal(&world).expect("the treasury bears it");
    assert_eq!(settle(&mut world.homes[0], 0, 1), Outcome::WrongState, "without a fence nothing is to be settled");
}

#[test]
fn a_domain_that_nobody_shares_anything_with_is_free_at_the_first_pulse() {
    let mut home = Home::new(0);
    let backup = home.ledger.freeze();
    restore(&mut home, &backup);
    assert!(home.ledger.pulse_due(0) && home.ledger.reconciliation().is_empty());
    home.apply(vec![crate::check::CheckedItem(crate::check::Checked::Pulse)]);
    assert!(!home.ledger.is_fenced());
}

#[test]
fn a_fence_says_who_it_waits_for_and_ends_with_an_event() {
    let mut world = World::new();
    let backup = world.homes[0].ledger.freeze();
    restore(&mut world.homes[0], &backup);
    let waiting = world.homes[0].ledger.reconciliation();
    assert_eq!(waiting.iter().map(|(peer, state)| (*peer, state.passes)).collect::<Vec<_>>(), [(domain(1), 0)]);
    let page = world.deliver(&world.owed(0).remove(0)).1.remove(0);
    let stale = world.batch(&page);
    world.deliver(&page);
    assert!(!world.homes[0].ledger.is_fenced() && world.homes[0].ledger.reconciliation().is_empty());
    assert_eq!(world.deliver_batch(&page, stale).0, [Outcome::Exists], "a page that comes late changes nothing");
    restore(&mut world.homes[0], &backup);
    assert_eq!(world.deliver(&page).0, [Outcome::OldIncarnation], "a page for an earlier restore");
    let page = world.deliver(&world.owed(0).remove(0)).1.remove(0);
    let batch = world.batch(&page);
    let item = crate::check::CheckedItem(crate::check::Checked::Settlement(alloc::boxed::Box::new(batch)));
    let applied = world.homes[0].apply(vec![item]);
    let lifted = |kind: &EventKind| matches!(kind, EventKind::FenceLifted { incarnation: 2 | 3 });
    assert!(applied.events.iter().any(|event| lifted(&event.kind)), "{:?}", applied.events);
    let old = backup
        .freeze()
        .restored(1, &Roster::open(&world.homes[0].roster.seal(&world.homes[0].root)).expect("a roster"));
    assert_eq!(old.err(), Some(Outcome::OldIncarnation));
}
