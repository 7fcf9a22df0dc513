//! What clients asked for and what they were told: the only memory that oracles of promises may trust.

use std::{collections::BTreeSet, sync::Arc};

use comity_ledger::Outcome;
use comity_proto::{
    amount::AssetId,
    card::AgentCard,
    command::Verb,
    ids::{AgentId, DomainId, Hash, RequestId},
};
use parking_lot::Mutex;

use crate::world::{HostId, TimeNs};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who asks; `None` for an operator.
    pub by: Option<AgentId>,
    /// Index of the domain whose ledger was asked.
    pub domain: usize,
    /// Idempotency key.
    pub request_id: RequestId,
    /// Last ledger time at which it may be applied, ms.
    pub valid_until_ms: u64,
    /// The command.
    pub verb: Verb,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The ledger decided: entry and outcome.
    Done {
        /// Raft log index; 0 for a refusal, which does not name its entry.
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

/// What a read showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadAnswer {
    /// A balance.
    Balance {
        /// Minor units.
        amount: u64,
        /// Of a stale read: the entry after which this was so. `None` for a linearizable read.
        applied: Option<u64>,
    },
    /// Nothing, for this reason.
    Nothing(String),
}

/// One read of one balance.
#[derive(Clone, Debug)]
pub struct Read {
    /// Index of the domain.
    pub domain: usize,
    /// Which node was asked.
    pub host: HostId,
    /// Whose balance.
    pub agent: AgentId,
    /// Of what.
    pub asset: AssetId,
    /// When it was sent.
    pub asked: TimeNs,
    /// When the answer came, and which.
    pub answered: Option<(TimeNs, ReadAnswer)>,
}

/// Locked apart: whoever judges a read looks at the calls, too.
#[derive(Default)]
struct State {
    calls: Mutex<Vec<Call>>,
    reads: Mutex<Vec<Read>>,
    savers: Mutex<Vec<(AgentId, usize)>>,
    published: Mutex<BTreeSet<Hash>>,
    cards: Mutex<Vec<(Hash, AgentCard)>>,
    accused: Mutex<BTreeSet<(HostId, DomainId)>>,
}

/// All calls. Clones are the same history.
#[derive(Clone, Default)]
pub struct History(Arc<State>);

impl History {
    /// A call begins; answers its number.
    pub fn ask(&self, now: TimeNs, operation: Operation) -> usize {
        let mut calls = self.0.calls.lock();
        calls.push(Call { operation, asked: now, answered: None });
        calls.len() - 1
    }

    /// A call ends.
    pub fn answer(&self, call: usize, now: TimeNs, answer: Answer) {
        self.0.calls.lock()[call].answered = Some((now, answer));
    }

    /// Looks at all calls.
    pub fn with<T>(&self, look: impl FnOnce(&[Call]) -> T) -> T {
        look(&self.0.calls.lock())
    }

    /// A read begins; answers its number.
    pub fn begin_read(&self, read: Read) -> usize {
        let mut reads = self.0.reads.lock();
        reads.push(read);
        reads.len() - 1
    }

    /// A read ends.
    pub fn end_read(&self, read: usize, now: TimeNs, answer: ReadAnswer) {
        self.0.reads.lock()[read].answered = Some((now, answer));
    }

    /// Looks at all reads.
    pub fn with_reads<T>(&self, look: impl FnOnce(&[Read]) -> T) -> T {
        look(&self.0.reads.lock())
    }

    /// An agent that only ever pays, and is only ever paid by, savers of its domain: its account's history is complete.
    pub fn add_saver(&self, agent: AgentId, domain: usize) {
        self.0.savers.lock().push((agent, domain));
    }

    /// All savers with their domains.
    pub fn savers(&self) -> Vec<(AgentId, usize)> {
        self.0.savers.lock().clone()
    }

    /// An agent signed a card, whose envelope has this digest.
    pub fn publish(&self, digest: Hash, card: AgentCard) {
        self.0.published.lock().insert(digest);
        self.0.cards.lock().push((digest, card));
    }

    /// Cards that were signed after the first so many, in the order of signing.
    pub fn cards_from(&self, known: usize) -> Vec<(Hash, AgentCard)> {
        self.0.cards.lock().get(known..).unwrap_or_default().to_vec()
    }

    /// A node showed its operator a proof against a domain.
    pub fn accuse(&self, host: HostId, domain: DomainId) {
        self.0.accused.lock().insert((host, domain));
    }

    /// Which nodes have shown a proof against which domains.
    pub fn accused(&self) -> BTreeSet<(HostId, DomainId)> {
        self.0.accused.lock().clone()
    }

    /// Whether some agent signed a card with this digest.
    pub fn has_published(&self, digest: &Hash) -> bool {
        self.0.published.lock().contains(digest)
    }
}
