//! One entry in, outcomes and events out. Nothing here can fail or panic on any input: wrong input is an outcome.
//!
//! ```text
//! entry -> clock (stamp, stalls) -> items in order -> sweep of forgotten request ids -> Applied
//! ```
//! Settlement keeps its own effects while it works; [`Ledger::settle`] is the one place where they join the events.

mod agents;
mod assets;
mod clock;
mod commands;
mod genesis;
mod governance;
mod names;
mod requests;
mod transfers;
mod warm;

#[cfg(test)]
mod gate_tests;

use crate::{
    account::Leg,
    check::{Checked, CheckedItem},
    escrow,
    event::{Event, EventBytes, EventKind},
    merkle::Node,
    outcome::Outcome,
    posting::post,
    settlement::{CheckedBatch, Effects, Owed},
    state::Ledger,
};
use alloc::{vec, vec::Vec};
use bytes::Bytes;
use comity_proto::ids::Hash;

/// What one entry did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Per item, per command or message of it. A pulse, a genesis and a roster have one outcome.
    pub outcomes: Vec<Vec<Outcome>>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The canonical bytes of each event.
    pub encoded: EventBytes,
    /// Nodes of the Merkle log that are complete from now on; the replica keeps them for proofs.
    pub nodes: Vec<Node>,
    /// Messages to peers that are newly owed.
    pub owed: Vec<Owed>,
    /// Signed bytes to keep, by their SHA-256.
    pub evidence: Vec<(Hash, Bytes)>,
}

/// A success, or a refusal that changed nothing.
pub(crate) type Answer = Result<Outcome, Outcome>;

/// What one entry leaves behind, while it is applied.
#[derive(Debug, Default)]
pub(crate) struct Out {
    pub(crate) events: Vec<Event>,
    pub(crate) encoded: EventBytes,
    pub(crate) nodes: Vec<Node>,
    pub(crate) owed: Vec<Owed>,
    pub(crate) evidence: Vec<(Hash, Bytes)>,
}

impl Out {
    /// With room for one event per command, and two nodes: as many inner nodes as leaves.
    fn for_commands(commands: usize) -> Out {
        let (events, nodes) = (Vec::with_capacity(commands), Vec::with_capacity(commands.saturating_mul(2)));
        Out { events, encoded: EventBytes::for_events(commands), nodes, ..Out::default() }
    }
}

/// Number of commands in these items.
fn commands_of(items: &[CheckedItem]) -> usize {
    items.iter().fold(0, |sum, item| match &item.0 {
        Checked::Commands(checked) => sum.saturating_add(checked.batch.commands.len()),
        _ => sum,
    })
}

impl Ledger {
    /// Applies one entry. Entries come in log order; `stamp_ms` below the last stamp counts as the last stamp.
    pub fn apply(&mut self, log_index: u64, stamp_ms: u64, items: Vec<CheckedItem>) -> Applied {
        let mut out = Out::for_commands(commands_of(&items));
        self.head.log_index = log_index;
        self.advance(stamp_ms, &mut out);
        let mut outcomes: Vec<Vec<Outcome>> = Vec::with_capacity(items.len());
        let mut items = items.into_iter();
        while !items.as_slice().is_empty() {
            let warm = self.warm(items.as_slice());
            outcomes.extend(items.by_ref().take(warm).map(|item| self.apply_item(item, &mut out)));
        }
        if self.is_fenced() {
            self.lift_fence(&mut out);
        }
        if !self.is_fenced() {
            for peer in self.closings_due() {
                self.settle(&mut out, |ledger, effects| ledger.state_closing(peer, effects));
            }
        }
        let answered = outcomes.iter().fold(0, |sum: usize, item| sum.saturating_add(item.len()));
        self.sweep(answered);
        let Out { events, encoded, nodes, owed, evidence } = out;
        Applied { outcomes, events, encoded, nodes, owed, evidence }
    }

    fn apply_item(&mut self, item: CheckedItem, out: &mut Out) -> Vec<Outcome> {
        match item.0 {
            Checked::Refused(outcome) => vec![outcome],
            Checked::Genesis(checked) => vec![either(self.begin_domain(*checked, out))],
            Checked::Commands(checked) => self.apply_commands(checked, out),
            Checked::Settlement(batch) => self.apply_settlement(&batch, out),
            Checked::Roster(roster) => vec![either(self.set_roster(&roster, out))],
            Checked::Pulse => vec![self.apply_pulse(out)],
            Checked::Treaty(push) => vec![self.take_push(&push, out)],
            Checked::TreatyReceipt(receipt) => vec![either(self.take_receipt(&receipt, out))],
            Checked::Key(step) => vec![either(self.change_key(&step, out))],
            Checked::Contradiction(proof) => vec![either(self.accuse(&proof, out))],
            Checked::DriftNote(note) => vec![either(self.note_drift(&note, out))],
            Checked::Projection(shown) => vec![either(self.project(&shown, out))],
        }
    }

    fn apply_settlement(&mut self, batch: &CheckedBatch, out: &mut Out) -> Vec<Outcome> {
        let now_ms = self.head.stamp_ms;
        self.settle(out, |ledger, effects| ledger.apply_settlement_batch(now_ms, batch, effects))
    }

    /// Runs a step of settlement and takes over what it leaves: events, owed messages, evidence, finished payouts.
    pub(crate) fn settle<T>(&mut self, out: &mut Out, step: impl FnOnce(&mut Ledger, &mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        let result = step(self, &mut effects);
        let Effects { events, owed, evidence, payouts_done } = effects;
        for (kind, legs) in events {
            self.emit(out, kind, legs);
        }
        out.owed.extend(owed.into_iter().filter(|owed| self.may_say(owed)));
        out.evidence.extend(evidence);
        for key in payouts_done {
            escrow::payout_done(self, out, key);
        }
        result
    }

    /// Posts the legs and records the event that explains them; moves nothing and records nothing if they are refused.
    pub(crate) fn transact(&mut self, out: &mut Out, kind: EventKind, legs: Vec<Leg>) -> Result<(), Outcome> {
        post(&mut self.accounts, &legs)?;
        self.emit(out, kind, legs);
        Ok(())
    }

    /// Records an event whose legs, if any, are posted already.
    pub(crate) fn emit(&mut self, out: &mut Out, kind: EventKind, legs: Vec<Leg>) {
        let n = u32::try_from(out.events.len()).unwrap_or(u32::MAX);
        let event = Event { log_index: self.head.log_index, n, stamp_ms: self.head.stamp_ms, kind, legs };
        let leaf = out.encoded.push(&event);
        self.head.events.append_to(leaf, &mut out.nodes);
        out.events.push(event);
    }
}

/// An answer as the outcome that is told.
fn either(answer: Answer) -> Outcome {
    answer.unwrap_or_else(|refusal| refusal)
}
