//! What clients asked for and what they were told: the only memory that oracles of promises may trust.

use std::sync::Arc;

use comity_ledger::Outcome;
use comity_proto::{command::Verb, ids::RequestId};
use parking_lot::Mutex;

use crate::world::TimeNs;

/// What was asked.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Index of the asking agent, see [`super::SimAgent`]; `None` for an operator.
    pub agent: Option<usize>,
    /// Index of the domain whose ledger was asked.
    pub domain: usize,
    /// Idempotency key.
    pub request_id: RequestId,
    /// The command.
    pub verb: Verb,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The ledger decided: entry and outcome.
    Done {
        /// Raft log index.
        log_index: u64,
        /// What it made of it.
        outcome: Outcome,
    },
    /// Refused before the ledger, by this code; nothing changed.
    Refused(String),
    /// Nobody knows: it may or may not have happened.
    Unknown(String),
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What was asked.
    pub operation: Operation,
    /// When it was sent first.
    pub asked: TimeNs,
    /// When the answer came, and which; `None` while it is under way.
    pub answered: Option<(TimeNs, Answer)>,
}

/// All calls. Clones are the same history.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<Vec<Call>>>);

impl History {
    /// A call begins; answers its number.
    pub fn ask(&self, now: TimeNs, operation: Operation) -> usize {
        let mut calls = self.0.lock();
        calls.push(Call { operation, asked: now, answered: None });
        calls.len() - 1
    }

    /// A call ends.
    pub fn answer(&self, call: usize, now: TimeNs, answer: Answer) {
        self.0.lock()[call].answered = Some((now, answer));
    }

    /// Looks at all calls.
    pub fn with<T>(&self, look: impl FnOnce(&[Call]) -> T) -> T {
        look(&self.0.lock())
    }
}
