//! Every order of delivery, loss, duplication, delay, time-out, retry and a lost origin log, for one transfer.
//!
//! The network is the set of all messages ever sent: each may arrive at any time, any number of times, or never.
//! Deliberately broken participants and origins walk through the same states and must be caught by the same checker.

use super::{
    checker::check,
    world::{Message, Side, World, domain, transfer_id, usd},
};
use crate::settlement::{Incoming, IncomingState, OutgoingState, content_of};
use alloc::{collections::BTreeSet, format, string::String, vec::Vec};
use comity_proto::settlement::{Decision, SettlementMessage};

const AMOUNT: u64 = 1_000;

/// What is wrong with a domain on purpose. Each is a plausible shortcut, and each loses or makes money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// A participant drops its promise after some time.
    ParticipantTimesOut,
    /// An origin forgets a commit before it is acknowledged, and the query after it finds nothing.
    PrunesBeforeAcknowledge,
    /// An origin answers a query about an unknown prepare with an abort and writes nothing.
    NoTombstone,
}

struct Search {
    broken: Broken,
    origin: Side,
    may_lose_log: bool,
    /// The origin's state before the begin: a log that lost its tail.
    before: World,
    seen: BTreeSet<String>,
    fault: Option<String>,
    states: usize,
}

fn fingerprint(world: &World, sent: &[Message]) -> String {
    let side = |side: Side| {
        let home = &world.homes[side];
        let outgoing: Vec<_> = home.ledger.settlement.outgoing.values().map(|record| record.state).collect();
        let incoming: Vec<_> = home.ledger.settlement.incoming.values().map(|record| record.state).collect();
        (outgoing, incoming, home.now_ms, home.ledger.may_trade(&domain(1 - side), false).is_ok())
    };
    let mut said: Vec<String> = sent.iter().map(|message| format!("{message:?}")).collect();
    said.sort();
    format!("{:?} {:?} {said:?}", side(0), side(1))
}

fn add(sent: &[Message], more: Vec<Message>) -> Vec<Message> {
    let mut all = sent.to_vec();
    for message in more {
        if !all.contains(&message) {
            all.push(message);
        }
    }
    all
}

impl Search {
    fn new(broken: Broken, origin: Side, may_lose_log: bool, before: World) -> Search {
        Search { broken, origin, may_lose_log, before, seen: BTreeSet::new(), fault: None, states: 0 }
    }

    fn visit(&mut self, world: &World, sent: &[Message]) {
        if self.fault.is_some() || !self.seen.insert(fingerprint(world, sent)) {
            return;
        }
        self.states += 1;
        self.fault = check(world).err();
        if self.fault.is_none() && self.broken == Broken::Nothing {
            let mut healed = world.clone();
            if !healed.heal() {
                self.fault = Some(format!("never ends: {:?}", healed.homes[0].ledger.in_doubt()));
            } else {
                self.fault = check(&healed).err();
            }
        }
        if self.fault.is_some() {
            return;
        }
        self.deliveries(world, sent);
        self.own_steps(world, sent);
    }

    fn deliveries(&mut self, world: &World, sent: &[Message]) {
        for message in sent {
            let mut next = world.clone();
            if let Some(answer) = self.broken_answer(world, message) {
                self.visit(&next, &add(sent, Vec::from([answer])));
                continue;
            }
            let (_, answers) = next.deliver(message);
            self.visit(&next, &add(sent, answers));
        }
    }

    /// Retries, the deadline, a client that asks again, a log that loses its tail, and what is broken.
    fn own_steps(&mut self, world: &World, sent: &[Message]) {
        for message in (0..2).flat_map(|side| world.owed(side)) {
            self.visit(world, &add(sent, Vec::from([message])));
        }
        let origin = self.origin;
        if world.homes[1 - origin].ledger.may_trade(&domain(origin), false).is_ok() {
            // From here on the participant votes no; what it promised it still keeps.
            let mut next = world.clone();
            next.set_treaty(1 - origin, false);
            self.visit(&next, sent);
        }
        let record = world.homes[origin].ledger.outgoing_transfer(&transfer_id(1)).map(|record| record.state);
        if record == Some(OutgoingState::Undecided) {
            let mut next = world.clone();
            let owed = next.pulse(origin, 10_000);
            self.visit(&next, &add(sent, owed));
            if self.may_lose_log {
                let mut next = world.clone();
                next.homes[origin] = self.before.homes[origin].clone();
                self.visit(&next, sent);
            }
        }
        if record.is_none() {
            let mut next = world.clone();
            next.pay(origin, 0, 0, transfer_id(1), usd(0), AMOUNT);
            let owed = next.owed(origin);
            self.visit(&next, &add(sent, owed));
        }
        self.broken_steps(world, sent);
    }

    fn broken_steps(&mut self, world: &World, sent: &[Message]) {
        let (origin, participant) = (self.origin, 1 - self.origin);
        let mut next = world.clone();
        match self.broken {
            Broken::ParticipantTimesOut => {
                let key = (domain(origin), transfer_id(1));
                let settlement = &mut next.homes[participant].ledger.settlement;
                let Some(record) = settlement.incoming.get(&key).cloned() else { return };
                if matches!(record.state, IncomingState::Voted { .. }) {
                    let state = IncomingState::Finished { commit: false, fee: 0 };
                    settlement.put_incoming(key, Incoming { state, ..record });
                    self.visit(&next, sent);
                }
            }
            Broken::PrunesBeforeAcknowledge => {
                let settlement = &mut next.homes[origin].ledger.settlement;
                let state = settlement.outgoing.get(&transfer_id(1)).map(|record| record.state);
                if let Some(OutgoingState::Decided { commit: true, .. }) = state {
                    settlement.outgoing.remove(&transfer_id(1));
                    settlement.rebuild();
                    self.visit(&next, sent);
                }
            }
            Broken::Nothing | Broken::NoTombstone => {}
        }
    }

    fn broken_answer(&self, world: &World, message: &Message) -> Option<Message> {
        let (from, SettlementMessage::Query(query)) = message else { return None };
        let known = world.homes[1 - from].ledger.outgoing_transfer(&query.transfer).is_some();
        if self.broken != Broken::NoTombstone || known {
            return None;
        }
        let batch = world.batch(message);
        let prepare = batch.queried(&query.transfer)?;
        let (content, decide_by_ms) = (content_of(prepare), prepare.decide_by_ms);
        let transfer = query.transfer;
        let decision = Decision { transfer, content, commit: false, vote_evidence: None, decide_by_ms };
        Some((1 - from, SettlementMessage::Decision(decision)))
    }
}

/// A payment of USD@0: from side 0 it goes out, from side 1 it comes back.
fn explore(broken: Broken, origin: Side, may_lose_log: bool) -> Search {
    let mut world = World::new();
    if origin == 1 {
        assert!(world.pay(0, 0, 0, transfer_id(9), usd(0), 5 * AMOUNT).is_success());
        world.settle_now();
    }
    let before = world.clone();
    assert!(world.pay(origin, 0, 0, transfer_id(1), usd(0), AMOUNT).is_success());
    let sent = world.owed(origin);
    let mut search = Search::new(broken, origin, may_lose_log, before);
    search.visit(&world, &sent);
    search
}

#[test]
fn every_order_of_an_outgoing_transfer_keeps_the_money_and_ends() {
    let search = explore(Broken::Nothing, 0, false);
    assert_eq!(search.fault, None);
    assert!(search.states > 40, "{} states", search.states);
}

#[test]
fn every_order_of_a_returning_transfer_keeps_the_money_and_ends() {
    let search = explore(Broken::Nothing, 1, false);
    assert_eq!(search.fault, None);
    assert!(search.states > 40, "{} states", search.states);
}

#[test]
fn an_origin_that_lost_an_undecided_transfer_buries_it_before_it_answers() {
    let search = explore(Broken::Nothing, 0, true);
    assert_eq!(search.fault, None);
    assert!(search.states > 50, "{} states", search.states);
}

#[test]
fn a_participant_that_times_out_alone_loses_money_and_is_caught() {
    let fault = explore(Broken::ParticipantTimesOut, 0, false).fault.expect("caught");
    assert!(fault.starts_with("money lost"), "{fault}");
}

#[test]
fn a_commit_forgotten_before_its_acknowledgement_is_caught() {
    let fault = explore(Broken::PrunesBeforeAcknowledge, 0, false).fault.expect("caught");
    assert!(fault.starts_with("supply") || fault.starts_with("money"), "{fault}");
}

#[test]
fn a_query_answered_with_an_abort_but_no_tombstone_is_caught() {
    let fault = explore(Broken::NoTombstone, 0, true).fault.expect("caught");
    assert!(fault.starts_with("money lost"), "{fault}");
}
