//! The end of a treaty: two statements, one verdict, and nothing moves in between.

use super::{
    checker::check,
    random::{Chance, terms},
    world::{Message, Side, World, agent, domain, party, root, transfer_id, usd},
};
use crate::{
    Ledger, Outcome,
    check::check as judged,
    event::EventKind,
    statement::{Discrepancy, SupplyStatement},
    treaty::{Closing as Ends, TreatyState},
};
use alloc::{collections::BTreeSet, format, string::String, vec, vec::Vec};
use comity_proto::{
    command::Verb,
    entry::EntryItem,
    envelope::Signed as _,
    identity::Roster,
    ids::{EscrowId, Hash, TransferId},
    limits::REDEMPTION_MS,
    settlement::{Closing, ClosingAnswer, Prepare, SettlementMessage, Source},
    text::Reason,
    treaty::{TreatyNotice, TreatyStanding},
};

const ESCROW: EscrowId = EscrowId([5; 16]);
const BACK: TransferId = TransferId([8; 16]);

/// The operator of one side ends the treaty; the other side has not heard of it.
fn ends(world: &mut World, side: Side, standing: TreatyStanding) {
    let peer = domain(1 - side);
    let serial = world.homes[side].ledger.treaty(&peer).expect("a treaty").ours.serial + 1;
    let reason = Reason::new("we part").expect("a reason");
    let notice = TreatyNotice { from: domain(side), to: peer, serial, standing, denies: None, reason };
    let verb = Verb::ChangeTreaty { notice: notice.seal(&root(side)) };
    assert_eq!(world.homes[side].operator_does(side, verb), Outcome::Applied);
}

/// The other side hears it.
fn hears(world: &mut World, from: Side) -> Vec<Message> {
    let (_, push) = world.homes[from].ledger.treaties_owed(&[]).into_iter().next().expect("a word");
    let to = 1 - from;
    let applied = world.homes[to].apply(vec![judged(&EntryItem::Treaty(push.encode()))]);
    applied.owed.into_iter().map(|owed| (to, world.homes[to].message_to(&owed.peer, owed.message))).collect()
}

fn state(world: &World, side: Side) -> TreatyState {
    world.homes[side].ledger.treaty_state(&domain(1 - side)).expect("a treaty")
}

fn closing(world: &World, side: Side) -> &Ends {
    &world.homes[side].ledger.treaty(&domain(1 - side)).expect("a treaty").closing
}

fn statement(said: &SettlementMessage) -> Option<SupplyStatement> {
    let SettlementMessage::Closing(said) = said else { return None };
    SupplyStatement::from_bytes(&said.statement).ok()
}

/// The closing statement that a side owes, as a message.
fn owed(world: &World, side: Side) -> Option<Message> {
    world.owed(side).into_iter().find(|(_, said)| matches!(said, SettlementMessage::Closing(_)))
}

/// The same with other words in it.
fn edited(message: &Message, edit: impl FnOnce(&mut Closing, &mut SupplyStatement)) -> Message {
    let (side, SettlementMessage::Closing(said)) = message else { panic!("a closing statement") };
    let (mut said, mut statement) = (said.clone(), statement(&message.1).expect("a statement"));
    edit(&mut said, &mut statement);
    if !said.statement.is_empty() {
        said.statement = statement.to_bytes().into();
    }
    (*side, SettlementMessage::Closing(said))
}

/// One payment out, then both sides know that side 0 drains.
fn drained() -> World {
    let mut world = World::new();
    assert_eq!(world.pay(0, 0, 0, transfer_id(1), usd(0), 100_000), Outcome::Begun);
    world.settle_now();
    ends(&mut world, 0, TreatyStanding::Draining);
    hears(&mut world, 0);
    world
}

fn prepare(world: &World, n: u64, source: Source) -> Message {
    let prepare = Prepare {
        transfer: transfer_id(n),
        origin: domain(0),
        source,
        recipient: party(1, 0),
        asset: usd(0),
        amount: 5,
        decide_by_ms: world.homes[0].now_ms + 10_000,
    };
    (0, SettlementMessage::Prepare(prepare))
}

#[test]
fn what_is_open_ends_first_then_both_state_the_same_and_paper_goes_back() {
    let mut world = World::new();
    assert_eq!(world.pay(0, 0, 0, transfer_id(1), usd(0), 100_000), Outcome::Begun);
    let begun = world.owed(0).remove(0);
    let votes = world.deliver(&begun).1;
    ends(&mut world, 0, TreatyStanding::Draining);
    hears(&mut world, 0);
    assert_eq!((closing(&world, 0), closing(&world, 1)), (&Ends::default(), &Ends::default()), "a promise is open");
    assert_eq!(world.pay(0, 0, 0, transfer_id(2), usd(0), 1), Outcome::TreatyDraining);
    let decided = world.deliver(&votes[0]).1;
    let posted = world.deliver(&decided[0]).1;
    let stated = owed(&world, 1).expect("nothing is open at the participant");
    assert_eq!(closing(&world, 0).ours, None, "the origin has not heard that it is posted");
    world.deliver(&stated);
    assert_eq!((state(&world, 0), closing(&world, 0).fits), (TreatyState::Draining, None));
    world.deliver(&posted[0]);
    assert_eq!(state(&world, 0), TreatyState::RedeemOnly, "both statements are here");
    assert_eq!(world.pay(1, 0, 0, transfer_id(3), usd(0), 500), Outcome::TreatyDraining, "and not yet there");
    world.settle_now();
    for side in 0..2 {
        let said = closing(&world, side);
        assert_eq!((state(&world, side), said.fits, said.difference()), (TreatyState::RedeemOnly, Some(true), None));
        let (ours, theirs) = (said.ours.as_ref().expect("said"), said.theirs.as_ref().expect("heard"));
        assert_eq!((ours.untold, ours.answer.map(Outcome::is_success)), (false, Some(true)));
        assert_eq!(ours.statement.incarnation, theirs.statement.incarnation);
        let line = ours.statement.asset(&usd(0)).expect("a line");
        assert_eq!(if side == 0 { line.reserve } else { line.wrapped }, Some(100_000));
        let copy = Ledger::from_chunks(world.homes[side].ledger.snapshot_chunks());
        assert_eq!(copy.as_ref(), Ok(&world.homes[side].ledger), "it is stored as it is");
    }
    assert_eq!(
        closing(&world, 0).ours.as_ref().map(|ours| &ours.statement),
        closing(&world, 1).theirs.as_ref().map(|heard| &heard.statement)
    );
    assert_eq!(world.pay(1, 0, 0, transfer_id(3), usd(0), 500), Outcome::Begun);
    assert_eq!(world.pay(1, 0, 0, transfer_id(4), usd(1), 500), Outcome::TreatyDraining);
    world.settle_now();
    assert_eq!(world.homes[1].issued(&usd(0)), 99_500);
    check(&world).expect("the equation holds");
}

#[test]
fn a_prepare_after_the_drain_is_refused_by_name_and_what_escrows_owe_waits_for_the_verdict() {
    let mut world = drained();
    let refused = |world: &mut World, n, source| {
        let said = prepare(world, n, source);
        world.deliver(&said).0
    };
    let owed_by = |attempt| Source::Escrow { escrow: ESCROW, milestone: 0, payee: 0, attempt };
    assert_eq!(refused(&mut world, 11, Source::Agent(agent(0, 0))), [Outcome::TreatyDraining]);
    assert_eq!(refused(&mut world, 12, owed_by(0)), [Outcome::TreatyDraining], "while both sides compare");
    world.settle_now();
    assert_eq!(state(&world, 1), TreatyState::RedeemOnly);
    assert_eq!(refused(&mut world, 13, Source::Agent(agent(0, 0))), [Outcome::TreatyDraining]);
    assert_eq!(refused(&mut world, 14, owed_by(1)), [Outcome::Applied], "and then it is paid");
}

#[test]
fn statements_that_differ_are_refused_by_name_on_both_sides_and_nothing_moves() {
    let mut world = drained();
    let honest = owed(&world, 1).expect("stated");
    let false_words = edited(&honest, |_, statement| {
        for line in statement.assets.iter_mut().filter(|line| line.asset == usd(0)) {
            line.wrapped = line.wrapped.map(|wrapped| wrapped - 1);
        }
    });
    let (outcomes, answers) = world.deliver(&false_words);
    assert_eq!(outcomes, [Outcome::StatementDiffers]);
    let told = |answers: &[Message]| {
        answers.iter().find_map(|(_, said)| match said {
            SettlementMessage::ClosingAnswer(ClosingAnswer { outcome, .. }) => Outcome::from_code(*outcome),
            _ => None,
        })
    };
    assert_eq!(told(&answers), Some(Outcome::StatementDiffers));
    let again = world.deliver(&false_words);
    assert_eq!((again.0, told(&again.1)), (vec![Outcome::Exists], Some(Outcome::StatementDiffers)));
    let difference = Discrepancy::Unexplained { asset: usd(0), difference: 1, one_sided: 0 };
    assert_eq!((closing(&world, 0).fits, closing(&world, 0).difference()), (Some(false), Some(difference)));
    let (outcomes, answers) = world.deliver(&honest);
    assert_eq!(outcomes, [Outcome::ExistsWithDifferentContent], "its last word was its last word");
    assert_eq!(told(&answers), Some(Outcome::ExistsWithDifferentContent));
    world.settle_now();
    assert_eq!((state(&world, 0), state(&world, 1)), (TreatyState::Draining, TreatyState::RedeemOnly));
    assert_eq!(world.pay(1, 0, 0, transfer_id(3), usd(0), 500), Outcome::Begun);
    world.settle_now();
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 99_500, "the other side votes no, and it comes back");
    let owed = prepare(&world, 12, Source::Escrow { escrow: ESCROW, milestone: 0, payee: 0, attempt: 0 });
    world.deliver(&owed);
    assert_eq!(world.pay(0, 0, 0, transfer_id(4), usd(0), 5), Outcome::TreatyDraining);
    check(&world).expect("the equation holds");
}

#[test]
fn a_statement_that_is_none_or_of_others_or_of_another_moment_is_refused_by_name() {
    let mut world = drained();
    let honest = owed(&world, 1).expect("stated");
    let before = closing(&world, 0).clone();
    let cases: [(Message, Outcome); 6] = [
        (edited(&honest, |said, _| said.statement = Vec::new().into()), Outcome::Malformed),
        (edited(&honest, |_, statement| statement.domain = domain(0)), Outcome::WrongDomain),
        (edited(&honest, |_, statement| statement.peer = domain(1)), Outcome::WrongDomain),
        (edited(&honest, |_, statement| statement.incarnation = 2), Outcome::OldIncarnation),
        (edited(&honest, |said, _| said.treaty = Hash([3; 32])), Outcome::TreatyVersion),
        (
            (1, SettlementMessage::ClosingAnswer(ClosingAnswer { statement: Hash([3; 32]), outcome: 2 })),
            Outcome::WrongState,
        ),
    ];
    for (message, outcome) in cases {
        assert_eq!(world.deliver(&message).0, [outcome]);
        assert_eq!(closing(&world, 0), &before, "{outcome} changes nothing");
    }
    let answer = ClosingAnswer { statement: Hash([3; 32]), outcome: u16::MAX };
    assert_eq!(world.deliver(&(1, SettlementMessage::ClosingAnswer(answer))).0, [Outcome::Malformed]);
    assert_eq!(world.deliver(&honest).0, [Outcome::Applied]);
    let mut active = World::new();
    ends(&mut active, 1, TreatyStanding::Draining);
    let early = owed(&active, 1).expect("nothing is open");
    assert_eq!(active.deliver(&early), (vec![Outcome::TooEarly], vec![]), "it is said again");
    let unfinished = edited(&honest, |_, statement| {
        statement.assets.iter_mut().for_each(|line| line.promised.push((transfer_id(9), 0)));
    });
    let mut world = drained();
    assert_eq!(world.deliver(&unfinished).0, [Outcome::StatementDiffers]);
    assert!(matches!(closing(&world, 0).difference(), Some(Discrepancy::Unfinished { .. })));
}

#[test]
fn a_revocation_is_closed_too_and_stays_a_revocation() {
    let mut world = World::new();
    assert_eq!(world.pay(0, 0, 0, transfer_id(1), usd(0), 100_000), Outcome::Begun);
    let begun = world.owed(0).remove(0);
    world.deliver(&begun);
    ends(&mut world, 1, TreatyStanding::Revoked);
    hears(&mut world, 1);
    assert!(world.heal());
    world.settle_now();
    for side in 0..2 {
        assert_eq!((state(&world, side), closing(&world, side).fits), (TreatyState::Revoked, Some(true)));
    }
    assert_eq!(world.pay(1, 0, 0, transfer_id(3), usd(0), 500), Outcome::TreatyRevoked);
}

#[test]
fn the_time_to_bring_paper_back_ends_by_an_entry() {
    let mut world = drained();
    world.settle_now();
    let at_ms = world.homes[0].ledger.treaty(&domain(1)).expect("a treaty").drained_ms.expect("drained");
    let home = &mut world.homes[0];
    home.now_ms = at_ms + REDEMPTION_MS;
    assert!(!home.ledger.pulse_due(home.now_ms));
    assert_eq!(state(&world, 0), TreatyState::RedeemOnly, "to the last moment");
    let home = &mut world.homes[0];
    home.now_ms += 1;
    assert!(home.ledger.pulse_due(home.now_ms));
    for expected in [1, 0] {
        let applied = home.apply(vec![judged(&EntryItem::Pulse)]);
        let over = applied.events.iter().filter(|event| matches!(event.kind, EventKind::RedemptionEnded { .. }));
        assert_eq!(over.count(), expected);
    }
    assert_eq!(state(&world, 0), TreatyState::Closed);
    world.homes[1].now_ms = world.homes[0].now_ms;
    assert_eq!(world.pay(1, 0, 0, transfer_id(3), usd(0), 500), Outcome::TreatyDraining);
}

#[test]
fn a_domain_that_was_restored_states_anew_and_so_does_its_peer() {
    let mut world = drained();
    let backup = world.homes[1].ledger.freeze();
    world.settle_now();
    assert_eq!(world.pay(1, 0, 0, transfer_id(3), usd(0), 500), Outcome::Begun);
    world.settle_now();
    let home = &mut world.homes[1];
    home.roster = Roster { epoch: 2, ..home.roster.clone() };
    let roster = Roster::open(&home.roster.seal(&home.root)).expect("a roster");
    home.ledger = backup.restored(2, &roster).expect("a backup of this domain");
    assert_eq!(closing(&world, 1), &Ends::default());
    for _ in 0..8 {
        world.settle_now();
    }
    assert!(!world.homes[1].ledger.is_fenced(), "{:?}", world.homes[1].ledger.reconciliation());
    for side in 0..2 {
        let said = closing(&world, side);
        assert_eq!((state(&world, side), said.fits), (TreatyState::RedeemOnly, Some(true)));
        let incarnations = [
            said.ours.as_ref().map(|ours| ours.statement.incarnation),
            said.theirs.as_ref().map(|heard| heard.statement.incarnation),
        ];
        assert_eq!(incarnations, if side == 0 { [Some(1), Some(2)] } else { [Some(2), Some(1)] });
    }
    check(&world).expect("the equation holds");
}

/// Every order, loss and repetition of the words of a treaty that ends, with something under way.
struct Search {
    seen: BTreeSet<String>,
    states: usize,
}

/// Statements by what they say of money: sizes and roots of logs tell nothing that matters here.
fn plain(said: &SettlementMessage) -> String {
    match said {
        SettlementMessage::ClosingAnswer(answer) => format!("answer {}", answer.outcome),
        _ => statement(said).map_or_else(|| format!("{said:?}"), |statement| format!("{:?}", statement.assets)),
    }
}

fn fingerprint(world: &World, sent: &[Message]) -> String {
    let side = |side: Side| {
        let settlement = &world.homes[side].ledger.settlement;
        let outgoing: Vec<_> = settlement.outgoing.values().map(|record| record.state).collect();
        let incoming: Vec<_> = settlement.incoming.values().map(|record| record.state).collect();
        let payouts: Vec<_> =
            settlement.payouts.values().map(|payout| (payout.attempt, payout.retry_at_ms.is_some())).collect();
        let told = closing(world, side).ours.as_ref().map(|ours| (ours.untold, ours.answer));
        let both = [closing(world, side).ours.is_some(), closing(world, side).theirs.is_some()];
        let standing = world.homes[side].ledger.treaty(&domain(1 - side)).expect("a treaty").standing();
        format!("{outgoing:?} {incoming:?} {payouts:?} {told:?} {both:?} {standing:?}")
    };
    let mut said: Vec<String> = sent.iter().map(|(from, said)| format!("{from} {}", plain(said))).collect();
    said.sort();
    format!("{} {} {said:?}", side(0), side(1))
}

fn add(sent: &[Message], more: Vec<Message>) -> Vec<Message> {
    let mut all = sent.to_vec();
    more.into_iter().for_each(|message| {
        if !all.contains(&message) {
            all.push(message)
        }
    });
    all
}

/// What a side does by itself: part, hear of it, let time decide, bring paper back.
fn own_steps(world: &World, back: bool) -> Vec<fn(&mut World) -> Vec<Message>> {
    let standing = |side: Side| world.homes[side].ledger.treaty(&domain(1 - side)).expect("a treaty").standing();
    let mut steps: Vec<fn(&mut World) -> Vec<Message>> = Vec::new();
    match (standing(0), standing(1)) {
        (TreatyStanding::Active, _) => steps.push(|next| {
            ends(next, 0, TreatyStanding::Draining);
            next.owed(0)
        }),
        (_, TreatyStanding::Active) => steps.push(|next| hears(next, 0)),
        _ => {}
    }
    if world.homes[0].ledger.settlement.timers.first().is_some() {
        steps.push(|next| next.pulse(0, 20_000));
    }
    if back && state(world, 1) == TreatyState::RedeemOnly && world.homes[1].ledger.outgoing_transfer(&BACK).is_none() {
        steps.push(|next| {
            assert_eq!(next.pay(1, 0, 1, BACK, usd(0), 10), Outcome::Begun);
            next.owed(1)
        });
    }
    steps
}

/// What must hold in every state, and from every state in which both know of the end.
fn even(world: &World) {
    check(world).expect("the equation holds");
    for side in 0..2 {
        let said = closing(world, side);
        assert_ne!(said.fits, Some(false), "honest sides never differ: {:?}", said.difference());
    }
    if world.homes[1].ledger.treaty(&domain(0)).expect("a treaty").standing() == TreatyStanding::Draining {
        let mut healed = world.clone();
        assert!(healed.heal(), "it ends");
        healed.settle_now();
        for side in 0..2 {
            assert_eq!(state(&healed, side), TreatyState::RedeemOnly, "{:?}", closing(&healed, side));
        }
        check(&healed).expect("the equation holds");
    }
}

impl Search {
    fn visit(&mut self, world: &World, sent: &[Message]) {
        if !self.seen.insert(fingerprint(world, sent)) {
            return;
        }
        self.states += 1;
        even(world);
        for message in sent {
            let mut next = world.clone();
            let (_, answers) = next.deliver(message);
            self.visit(&next, &add(sent, answers));
        }
        for message in (0..2).flat_map(|side| world.owed(side)) {
            self.visit(world, &add(sent, vec![message]));
        }
        // Paper that goes back has orders of its own: `exhaustive` walks through them.
        for step in own_steps(world, false) {
            let mut next = world.clone();
            let more = step(&mut next);
            self.visit(&next, &add(sent, more));
        }
    }
}

fn paid_before() -> World {
    let mut world = World::new();
    assert_eq!(world.pay(0, 0, 0, transfer_id(1), usd(0), 100_000), Outcome::Begun);
    world.settle_now();
    world
}

#[test]
fn in_every_order_a_payment_ends_and_then_both_statements_fit() {
    let mut world = paid_before();
    assert_eq!(world.pay(0, 0, 0, transfer_id(2), usd(0), 1_000), Outcome::Begun);
    let sent = world.owed(0);
    let mut search = Search { seen: BTreeSet::new(), states: 0 };
    search.visit(&world, &sent);
    assert!(search.states > 100, "{} states", search.states);
}

/// Its attempts are numbered, so the orders have no end: many of them, by chance.
#[test]
fn a_share_of_an_escrow_is_paid_before_the_statements_or_after_them() {
    let mut waited = 0;
    for seed in 0..60 {
        let (mut world, mut chance) = (paid_before(), Chance(seed));
        let terms = terms(&world, 0, 0, 0, 10_000);
        assert_eq!(world.homes[0].agent_does(0, 0, Verb::LockEscrow { escrow_id: ESCROW, terms }), Outcome::Created);
        let release = Verb::ReleaseEscrow { escrow_id: ESCROW, milestone: None, verified_hash: None };
        assert!(world.homes[0].agent_does(0, 0, release).is_success());
        let mut sent = world.owed(0);
        for _ in 0..30 {
            let owed: Vec<_> = (0..2).flat_map(|side| world.owed(side)).collect();
            let steps = own_steps(&world, true);
            let pick = |chance: &mut Chance, of: usize| chance.below(of as u64) as usize;
            let more = match chance.below(5) {
                0 if !steps.is_empty() => steps[pick(&mut chance, steps.len())](&mut world),
                1 if !owed.is_empty() => vec![owed[pick(&mut chance, owed.len())].clone()],
                _ => world.deliver(&sent[pick(&mut chance, sent.len())]).1,
            };
            sent = add(&sent, more);
        }
        even(&world);
        let closes = closing(&world, 0).ours.is_some() && !world.homes[0].ledger.settlement.payouts.is_empty();
        waited += u32::from(closes);
        assert!(world.heal(), "it ends");
        assert!(world.homes[1].balance(agent(1, 0), &usd(0)) > 100_000, "the share is paid in the end");
    }
    assert!(waited > 0, "in some order it waits for the statements");
}
