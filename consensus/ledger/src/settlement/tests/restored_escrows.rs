//! A domain comes back from a backup, and its lost log had paid out of escrows: each share is paid once, by the escrow where
//! the backup has it, else by the treasury, and never under an id that a peer knows as something else.

use super::{
    checker::check,
    random::terms,
    restore::{equal, reconcile, restore, settle},
    world::{FUNDS, Message, World, agent, domain, party, usd},
};
use crate::{
    Ledger, Outcome,
    escrow::EscrowState,
    event::{Cause, EventKind},
    settlement::{Difference, OutgoingState, PayoutKey, payout_transfer},
};
use alloc::{vec, vec::Vec};
use comity_proto::{
    books::{SharedState, SharedTransfer},
    command::{Actor, Verb},
    escrow::{Arbiter, EscrowTerms, Silence},
    ids::{EscrowId, Hash, PublicKey},
    settlement::{Prepare, SettlementMessage, Source},
};

const ESCROW: EscrowId = EscrowId([5; 16]);
const KEY: PayoutKey = PayoutKey { escrow: ESCROW, milestone: 0, payee: 0 };
const AMOUNT: u64 = 5_000_000;
const SHARE: u64 = 4_950_000;
const ARRIVES: u64 = 4_925_250;

fn lock(world: &mut World, terms: EscrowTerms) {
    let verb = Verb::LockEscrow { escrow_id: ESCROW, terms };
    assert_eq!(world.homes[0].agent_does(0, 0, verb), Outcome::Created);
}

fn locked() -> World {
    let mut world = World::new();
    let terms = terms(&world, 0, 0, 0, AMOUNT);
    lock(&mut world, terms);
    world
}

fn release(world: &mut World, milestone: Option<u16>) -> Outcome {
    world.homes[0].agent_does(0, 0, Verb::ReleaseEscrow { escrow_id: ESCROW, milestone, verified_hash: None })
}

fn payee_does(world: &mut World, verb: Verb) {
    let answer = world.homes[0].command(0, Actor::Agent(agent(1, 0)), PublicKey([9; 32]), verb);
    assert!(answer.is_success(), "{answer}");
}

fn state(world: &World) -> EscrowState {
    world.homes[0].ledger.escrow(&ESCROW).expect("known").state()
}

fn arrived(world: &World) -> u64 {
    world.homes[1].balance(agent(1, 0), &usd(0))
}

/// All differences of the restored side, by name.
fn differences(world: &World) -> Vec<Difference> {
    let (_, state) = world.homes[0].ledger.reconciliation().remove(0);
    state.differences.into_values().collect()
}

/// Everything that moves is moved, and everybody has what they had.
fn ends_as_if_nothing_was_lost(world: &mut World, at: &str) {
    assert!(world.heal(), "{at}: {:?}", world.homes[0].ledger.in_doubt());
    check(world).unwrap_or_else(|fault| panic!("{at}: {fault}"));
    assert_eq!((arrived(world), state(world)), (ARRIVES, EscrowState::Released), "{at}");
    assert_eq!(world.homes[0].balance(agent(0, 0), &usd(0)), FUNDS - AMOUNT, "{at}");
    assert_eq!(world.homes[0].treasury(&usd(0)), AMOUNT - SHARE, "{at}");
}

#[test]
fn wherever_a_backup_cuts_a_payout_it_is_paid_once() {
    let fresh = locked();
    for (cut, lost) in (0..5).flat_map(|cut| (0..5 - cut).map(move |lost| (cut, lost))) {
        let at = alloc::format!("cut {cut}, lost {lost}");
        let mut world = fresh.clone();
        let mut backup = world.homes[0].ledger.freeze();
        assert!(release(&mut world, None).is_success());
        let mut network = world.owed(0);
        let mut run = |world: &mut World, steps: usize| {
            for _ in 0..steps.min(network.len()) {
                let message = network.remove(0);
                network.extend(world.deliver(&message).1);
            }
        };
        // A cut of 0 is a backup from before the release.
        if cut > 0 {
            (1..cut).for_each(|_| run(&mut world, 1));
            backup = world.homes[0].ledger.freeze();
        }
        (0..lost).for_each(|_| run(&mut world, 1));
        restore(&mut world.homes[0], &backup);
        assert!(reconcile(&mut world, 0), "{at}: {:?}", differences(&world));
        equal(&world).unwrap_or_else(|fault| panic!("{at}: {fault}"));
        if state(&world) == EscrowState::Locked {
            assert!(arrived(&world) == 0 && cut == 0, "{at}");
            assert!(release(&mut world, None).is_success(), "{at}");
        }
        ends_as_if_nothing_was_lost(&mut world, &at);
    }
}

#[test]
fn a_share_that_waits_is_tried_under_an_id_that_no_peer_has_heard() {
    let mut world = locked();
    world.set_treaty(0, false);
    assert!(release(&mut world, None).is_success());
    let backup = world.homes[0].ledger.freeze();
    // The lost log begins the first attempt, and the peer promises to take it.
    world.set_treaty(0, true);
    let prepare = world.pulse(0, 1_000).remove(0);
    world.deliver(&prepare);
    world.homes[1].kept.clear();
    restore(&mut world.homes[0], &backup);
    world.set_treaty(0, true);
    assert!(reconcile(&mut world, 0), "a promise without its proof moves nothing: {:?}", differences(&world));
    let owed = world.pulse(0, 60_000);
    let incarnation = world.homes[0].ledger.domain().expect("a domain").incarnation;
    assert_eq!(incarnation, 2);
    assert_eq!(world.homes[0].ledger.outgoing_transfer(&payout_transfer(&KEY, 0, 1)), None);
    assert!(world.homes[0].ledger.outgoing_transfer(&payout_transfer(&KEY, 0, 2)).is_some(), "{owed:?}");
    ends_as_if_nothing_was_lost(&mut world, "another id");
    let first = world.homes[1].ledger.incoming_transfer(domain(0), payout_transfer(&KEY, 0, 1));
    assert!(first.is_none_or(|record| !record.is_open()), "what the lost log asked for has an end");
}

#[test]
fn a_later_attempt_says_that_the_one_in_flight_was_aborted() {
    let mut world = locked();
    assert!(release(&mut world, None).is_success());
    let backup = world.homes[0].ledger.freeze();
    // The first prepare is lost and times out; the second attempt arrives.
    world.pulse(0, 10_000);
    let second: Vec<Message> = world.pulse(0, 60_000);
    assert!(world.homes[0].ledger.outgoing_transfer(&payout_transfer(&KEY, 1, 1)).is_some());
    let vote = world.deliver(&second[0]).1.remove(0);
    let commit = world.deliver(&vote).1.remove(0);
    world.deliver(&commit);
    assert_eq!(arrived(&world), ARRIVES);
    restore(&mut world.homes[0], &backup);
    assert!(reconcile(&mut world, 0), "{:?}", differences(&world));
    ends_as_if_nothing_was_lost(&mut world, "two attempts");
}

fn with_milestones(world: &World) -> EscrowTerms {
    EscrowTerms { milestones: vec![2_000_000, 3_000_000], ..terms(world, 0, 0, 0, AMOUNT) }
}

#[test]
fn a_milestone_that_was_paid_is_settled_and_the_other_one_is_not() {
    let mut world = World::new();
    let terms = with_milestones(&world);
    lock(&mut world, terms);
    let backup = world.homes[0].ledger.freeze();
    assert!(release(&mut world, Some(1)).is_success());
    world.settle_now();
    let paid = arrived(&world);
    restore(&mut world.homes[0], &backup);
    assert!(reconcile(&mut world, 0), "{:?}", differences(&world));
    assert_eq!((arrived(&world), state(&world)), (paid, EscrowState::Locked));
    assert_eq!(release(&mut world, Some(1)), Outcome::WrongState, "it is paid");
    assert!(release(&mut world, Some(0)).is_success());
    ends_as_if_nothing_was_lost(&mut world, "two milestones");
}

fn disputed() -> World {
    let mut world = World::new();
    let arbiter = Arbiter { party: party(0, 2), key: PublicKey([0; 32]) };
    let terms = EscrowTerms { arbiter: Some(arbiter), ..terms(&world, 0, 0, 0, AMOUNT) };
    lock(&mut world, terms);
    let result_hash = Hash([3; 32]);
    payee_does(&mut world, Verb::SubmitEscrow { escrow_id: ESCROW, milestone: None, result_hash });
    world
}

#[test]
fn what_an_arbiter_ruled_follows_from_the_share_that_was_paid() {
    for payee_bps in [1, 3_333, 5_000, 9_999, 10_000] {
        let mut world = disputed();
        let backup = world.homes[0].ledger.freeze();
        let verb = Verb::DisputeEscrow { escrow_id: ESCROW, evidence_hash: Hash([4; 32]) };
        assert!(world.homes[0].agent_does(0, 0, verb).is_success());
        assert!(world.homes[0].agent_does(0, 2, Verb::RuleEscrow { escrow_id: ESCROW, payee_bps }).is_success());
        world.settle_now();
        let had = |world: &World| (arrived(world), world.homes[0].balance(agent(0, 0), &usd(0)), state(world));
        let before = had(&world);
        restore(&mut world.homes[0], &backup);
        assert!(reconcile(&mut world, 0), "{payee_bps}: {:?}", differences(&world));
        assert_eq!(had(&world), before, "{payee_bps}");
        check(&world).unwrap_or_else(|fault| panic!("{payee_bps}: {fault}"));
    }
}

/// The backup is older than the escrow, and the treasury pays what the peer shows.
fn fronted() -> World {
    let mut world = World::new();
    let backup = world.homes[0].ledger.freeze();
    let terms = terms(&world, 0, 0, 0, AMOUNT);
    lock(&mut world, terms);
    assert!(release(&mut world, None).is_success());
    world.settle_now();
    restore(&mut world.homes[0], &backup);
    assert!(!reconcile(&mut world, 0));
    assert_eq!(differences(&world), [Difference::Refused(Outcome::WrongState)], "nobody here has an escrow like that");
    let verb = Verb::Issue { code: usd(0).code, to: None, amount: SHARE };
    assert_eq!(world.homes[0].operator_does(0, verb), Outcome::Created);
    assert_eq!(settle(&mut world.homes[0], 0, 1), Outcome::Applied);
    assert_eq!(world.homes[0].treasury(&usd(0)), 0);
    equal(&world).expect("the treasury bears it");
    world
}

#[test]
fn a_share_that_the_treasury_fronted_is_the_treasurys_when_the_escrow_pays_it() {
    let mut world = fronted();
    let copy = Ledger::from_chunks(world.homes[0].ledger.snapshot_chunks());
    assert_eq!(copy.as_ref(), Ok(&world.homes[0].ledger), "it is remembered");
    let terms = terms(&world, 0, 0, 0, AMOUNT);
    lock(&mut world, terms);
    assert!(release(&mut world, None).is_success());
    assert_eq!(state(&world), EscrowState::Released, "nothing is owed");
    assert!(world.heal());
    assert_eq!(arrived(&world), ARRIVES, "paid once");
    assert_eq!(world.homes[0].treasury(&usd(0)), AMOUNT, "the fee, and what it had fronted");
    equal(&world).expect("the books agree");
}

#[test]
fn only_the_share_that_was_fronted_is_kept() {
    let mut world = fronted();
    let terms = with_milestones(&world);
    lock(&mut world, terms);
    assert!(release(&mut world, Some(1)).is_success());
    world.settle_now();
    assert!(arrived(&world) > ARRIVES, "another milestone is another share");
}

#[test]
fn what_the_treasury_fronted_comes_out_of_whatever_is_ruled_on_the_escrow() {
    for payee_bps in [2_000, 10_000] {
        let mut world = fronted();
        let arbiter = Arbiter { party: party(0, 2), key: PublicKey([0; 32]) };
        let terms = EscrowTerms { arbiter: Some(arbiter), ..terms(&world, 0, 0, 0, 2 * AMOUNT) };
        lock(&mut world, terms);
        let result_hash = Hash([3; 32]);
        payee_does(&mut world, Verb::SubmitEscrow { escrow_id: ESCROW, milestone: None, result_hash });
        let verb = Verb::DisputeEscrow { escrow_id: ESCROW, evidence_hash: Hash([4; 32]) };
        assert!(world.homes[0].agent_does(0, 0, verb).is_success());
        assert!(world.homes[0].agent_does(0, 2, Verb::RuleEscrow { escrow_id: ESCROW, payee_bps }).is_success());
        assert!(world.heal());
        let (gross, due) = (AMOUNT * u64::from(payee_bps) / 5_000, SHARE * u64::from(payee_bps) / 5_000);
        let rest = due.saturating_sub(SHARE);
        assert_eq!(arrived(&world), ARRIVES + (rest - rest / 200), "{payee_bps}: what it lacks");
        assert_eq!(world.homes[0].treasury(&usd(0)), gross - due + due.min(SHARE), "{payee_bps}");
        equal(&world).expect("the books agree");
    }
}

#[test]
fn a_release_that_was_taken_over_says_so_in_its_event() {
    let mut world = locked();
    let backup = world.homes[0].ledger.freeze();
    assert!(release(&mut world, None).is_success());
    world.settle_now();
    restore(&mut world.homes[0], &backup);
    let page = world.deliver(&world.owed(0).remove(0)).1.remove(0);
    let item = crate::check::CheckedItem(crate::check::Checked::Settlement(alloc::boxed::Box::new(world.batch(&page))));
    let events = world.homes[0].apply(vec![item]).events;
    let is_paid = |kind: &EventKind| {
        matches!(kind, EventKind::EscrowPaid { milestone: 0, gross: AMOUNT, returned: 0, cause: Cause::Restored, .. })
    };
    assert_eq!(events.iter().filter(|event| is_paid(&event.kind)).count(), 1, "{events:?}");
}

#[test]
fn a_ruling_on_the_rest_is_not_taken_for_one_on_everything() {
    let mut world = World::new();
    let arbiter = Arbiter { party: party(0, 2), key: PublicKey([0; 32]) };
    // As much as silence would give of everything is what the ruling gives of the rest.
    let on_no_ruling = Silence::Split { payee_bps: 6_000 };
    let terms = EscrowTerms { arbiter: Some(arbiter), on_no_ruling, ..with_milestones(&world) };
    lock(&mut world, terms);
    let backup = world.homes[0].ledger.freeze();
    assert!(release(&mut world, Some(0)).is_success());
    let result_hash = Hash([3; 32]);
    payee_does(&mut world, Verb::SubmitEscrow { escrow_id: ESCROW, milestone: Some(1), result_hash });
    let verb = Verb::DisputeEscrow { escrow_id: ESCROW, evidence_hash: Hash([4; 32]) };
    assert!(world.homes[0].agent_does(0, 0, verb).is_success());
    assert!(world.homes[0].agent_does(0, 2, Verb::RuleEscrow { escrow_id: ESCROW, payee_bps: 10_000 }).is_success());
    world.settle_now();
    restore(&mut world.homes[0], &backup);
    assert!(reconcile(&mut world, 0), "{:?}", differences(&world));
    assert_eq!((arrived(&world), state(&world)), (ARRIVES, EscrowState::Ruled));
    assert_eq!(world.homes[0].balance(agent(0, 0), &usd(0)), FUNDS - AMOUNT, "nothing of it goes back");
    check(&world).expect("the books agree");
}

/// The first attempt is in flight in the backup, and the peer has posted it without being able to prove it.
#[test]
fn what_is_in_flight_and_has_arrived_is_committed_by_the_operators_word() {
    let mut world = locked();
    assert!(release(&mut world, None).is_success());
    let backup = world.homes[0].ledger.freeze();
    world.settle_now();
    world.homes[1].kept.clear();
    restore(&mut world.homes[0], &backup);
    assert!(!reconcile(&mut world, 0));
    assert_eq!(differences(&world), [Difference::Unproved]);
    let treasury = world.homes[0].treasury(&usd(0));
    assert_eq!(settle(&mut world.homes[0], 0, 1), Outcome::Applied);
    assert_eq!(world.homes[0].treasury(&usd(0)), treasury, "the amount in flight bears it");
    ends_as_if_nothing_was_lost(&mut world, "in flight");
}

#[test]
fn a_share_that_waits_and_has_arrived_without_proof_is_the_treasurys() {
    let mut world = locked();
    world.set_treaty(0, false);
    assert!(release(&mut world, None).is_success());
    let backup = world.homes[0].ledger.freeze();
    world.set_treaty(0, true);
    world.pulse(0, 1_000);
    world.settle_now();
    world.homes[1].kept.clear();
    restore(&mut world.homes[0], &backup);
    assert!(!reconcile(&mut world, 0));
    assert_eq!(settle(&mut world.homes[0], 0, 1), Outcome::Applied, "the share is there to pay it");
    world.set_treaty(0, true);
    assert!(world.heal());
    equal(&world).expect("the books agree");
    assert_eq!((arrived(&world), state(&world)), (ARRIVES, EscrowState::Released));
    assert_eq!(world.homes[0].treasury(&usd(0)), AMOUNT - SHARE, "the fee alone");
}

/// The peer tells all that it knows, and that this has arrived.
fn says_falsely(world: &mut World, prepare: Prepare) {
    let (side, said) = world.deliver(&world.owed(0).remove(0)).1.remove(0);
    let SettlementMessage::Books(mut page) = said else { panic!("a page") };
    page.transfers.push(SharedTransfer { prepare, state: SharedState::Posted { fee: 0 }, evidence: None });
    world.deliver(&(side, SettlementMessage::Books(page)));
}

/// A line that the peer made up about a share that waits for its own agent.
#[test]
fn a_false_line_takes_from_the_peers_own_agent_and_no_more_than_it_says() {
    for (to, amount) in [(0, 1), (0, SHARE), (0, u64::MAX), (1, SHARE)] {
        let mut world = locked();
        world.set_treaty(0, false);
        assert!(release(&mut world, None).is_success());
        let backup = world.homes[0].ledger.freeze();
        restore(&mut world.homes[0], &backup);
        let source = Source::Escrow { escrow: ESCROW, milestone: 0, payee: 0, attempt: 0 };
        let prepare = Prepare {
            transfer: payout_transfer(&KEY, 0, 1),
            origin: domain(0),
            source,
            recipient: party(1, to),
            asset: usd(0),
            amount,
            decide_by_ms: 1,
        };
        says_falsely(&mut world, prepare);
        assert_eq!(differences(&world), [Difference::Unproved]);
        assert_eq!(settle(&mut world.homes[0], 0, 1), Outcome::Applied);
        world.set_treaty(0, true);
        assert!(world.heal());
        let rest = if to == 0 { SHARE.saturating_sub(amount) } else { SHARE };
        assert_eq!(arrived(&world), rest - rest / 200, "{amount} to {to}");
        equal(&world).expect("the books agree");
    }
}

#[test]
fn a_line_about_another_transfer_of_the_same_id_commits_nothing() {
    let mut world = locked();
    assert!(release(&mut world, None).is_success());
    let backup = world.homes[0].ledger.freeze();
    restore(&mut world.homes[0], &backup);
    let known = world.homes[0].ledger.outgoing_transfer(&payout_transfer(&KEY, 0, 1)).expect("in flight").clone();
    let prepare = Prepare { amount: known.prepare.amount - 1, ..known.prepare };
    says_falsely(&mut world, prepare);
    assert_eq!(differences(&world), [Difference::Contradicted]);
    assert_eq!(settle(&mut world.homes[0], 0, 1), Outcome::Applied);
    let after = world.homes[0].ledger.outgoing_transfer(&payout_transfer(&KEY, 0, 1)).expect("in flight").state;
    assert!(!matches!(after, OutgoingState::Decided { commit: true, .. }), "{after:?}");
    assert!(world.heal());
    equal(&world).expect("the books agree");
    assert_eq!(state(&world), EscrowState::Released);
}

#[test]
fn of_two_attempts_that_were_promised_the_later_one_goes_on() {
    let mut world = locked();
    let backup = world.homes[0].ledger.freeze();
    assert!(release(&mut world, None).is_success());
    let first = world.owed(0).remove(0);
    world.deliver(&first);
    world.pulse(0, 10_000);
    let second = world.pulse(0, 60_000).into_iter().find(|(_, said)| matches!(said, SettlementMessage::Prepare(_)));
    world.deliver(&second.expect("a second attempt"));
    restore(&mut world.homes[0], &backup);
    assert!(reconcile(&mut world, 0), "{:?}", differences(&world));
    assert_eq!(world.homes[0].ledger.payout(&KEY).expect("in flight").attempt, 1);
    ends_as_if_nothing_was_lost(&mut world, "two promises");
}

#[test]
fn silence_that_splits_is_told_from_a_release() {
    let mut world = World::new();
    let on_silence = Silence::Split { payee_bps: 2_500 };
    let terms = EscrowTerms { on_silence, ..terms(&world, 0, 0, 0, AMOUNT) };
    lock(&mut world, terms);
    let result_hash = Hash([3; 32]);
    payee_does(&mut world, Verb::SubmitEscrow { escrow_id: ESCROW, milestone: None, result_hash });
    let backup = world.homes[0].ledger.freeze();
    while state(&world) == EscrowState::Submitted {
        world.pulse(0, 30_000);
    }
    world.settle_now();
    let paid = arrived(&world);
    assert!(paid > 0 && paid < ARRIVES / 3, "{paid}");
    restore(&mut world.homes[0], &backup);
    assert!(reconcile(&mut world, 0), "{:?}", differences(&world));
    assert_eq!(arrived(&world), paid);
    assert_eq!(world.homes[0].balance(agent(0, 0), &usd(0)), FUNDS - AMOUNT / 4, "the rest went back");
}
