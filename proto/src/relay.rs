//! What one node asks another on behalf of agents, and a home domain's receipt for commands that came from elsewhere.
//!
//! A question and its answer are not signed, because the connection is; a receipt is, because it is shown to others.

use crate::{
    ids::{AgentId, DomainId, Hash, TransferId},
    projection::Excerpt,
    reject::Reject,
};
use alloc::vec::Vec;
use bytes::Bytes;

/// The version of questions and answers that this program speaks.
pub const RELAY_VERSION: u32 = 1;

/// One request on a stream of class `tasks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Did this agent ask you for work? Inside one domain only.
    IsHere(AgentId),
    /// Envelope of a command batch for the ledger of the domain that is asked, from an agent at home elsewhere.
    Commands(Bytes),
    /// Your newest checkpoint, and the proof that it extends your tree of so many events; 0: the checkpoint alone.
    Extend(u64),
    /// Envelope of a [`Cosignature`] of a checkpoint of yours.
    Cosigned(Bytes),
    /// A checkpoint document of any domain.
    Seen(Bytes),
    /// An equivocation document, or one of two decisions.
    Accusation(Bytes),
    /// The SPIFFE bundle of your domain.
    Bundle,
    /// A task that an agent of our domain gave at my door, so that you can answer for it too. Inside one domain only.
    Given {
        /// Envelope of a [`crate::task::TaskRequest`].
        request: Bytes,
        /// What the door wants to remember of it; may be empty.
        note: Bytes,
    },
    /// Envelope of the settlement batch in which the origin of a transfer across told the asker how it ends: were you told the
    /// same?
    Told(Bytes),
    /// How did this transfer of our domain end? The answer is an envelope of a [`crate::settlement::DecisionWord`] to that
    /// participant. Inside one domain only.
    Word(DomainId, TransferId),
    /// What your log says about my domain, with proofs to a tree whose signed checkpoint I hold.
    Concerning {
        /// The first event that is not known here yet.
        from: u64,
        /// Events in the tree that earlier ones were proved to; 0: none.
        held: u64,
        /// Events in the tree to prove them to.
        size: u64,
    },
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Whether the agent is there.
    IsHere(bool),
    /// Envelope of a [`Receipt`]: the log has answered.
    Receipt(Bytes),
    /// Refused before the log, with an outcome code; nothing was recorded.
    Refused(u16),
    /// There is no receipt.
    NotNow(NotNow),
    /// A checkpoint or extension document, or a SPIFFE bundle, as was asked for.
    Document(Bytes),
    /// My log has only so many events yet.
    Behind(u64),
    /// Whether it was new here and is kept.
    Taken(bool),
    /// What was asked for, as much as fits; nothing: there is no more in that tree.
    Excerpt(Excerpt),
}

/// Why there is no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNow {
    /// Too much is waiting; nothing was recorded.
    Busy,
    /// No leader in time; nothing was recorded.
    NoLeader,
    /// The node is no voter and cannot speak for its domain; nothing was recorded.
    NotAVoter,
    /// It may have been recorded: the same bytes again make it known.
    Unknown,
}

/// What a ledger answered to a command batch. Context [`crate::envelope::Context::Receipt`]; signed by a voter of the
/// roster it carries, which the domain's root key signed. Whether a newer roster is known is for the reader, who has state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Whose ledger.
    pub domain: DomainId,
    /// SHA-256 of the envelope of the command batch.
    pub batch: Hash,
    /// Raised when that ledger is restored from a backup.
    pub incarnation: u64,
    /// Raft log index of the entry that answered.
    pub log_index: u64,
    /// That domain's ledger time at the entry, ms since the Unix epoch.
    pub stamp_ms: u64,
    /// Outcome codes: one per command, or one for the whole batch.
    pub outcomes: Vec<u16>,
    /// Envelope of the domain's roster.
    pub roster: Bytes,
}

/// A peer has checked that a checkpoint extends the last one that it saw of that log, and keeps it. Context
/// [`crate::envelope::Context::Cosignature`]; signed by a voter of the roster it carries, which the witness's root key
/// signed. It says nothing of what the events say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// Who checked.
    pub witness: DomainId,
    /// Whose log.
    pub domain: DomainId,
    /// Events in the checkpoint.
    pub size: u64,
    /// Merkle root over them.
    pub root: Hash,
    /// The witness's wall clock, ms since the Unix epoch.
    pub seen_ms: u64,
    /// Envelope of the witness's roster.
    pub roster: Bytes,
}

impl NotNow {
    /// Every reason, for tests and tables.
    pub const ALL: [NotNow; 4] = [NotNow::Busy, NotNow::NoLeader, NotNow::NotAVoter, NotNow::Unknown];
}

impl Receipt {
    /// Whether it answers this command batch, addressed to this domain, with so many commands.
    ///
    /// # Errors
    /// The field that belongs to something else.
    pub fn check_answers(&self, domain: DomainId, batch: Hash, commands: usize) -> Result<(), Reject> {
        if self.domain != domain {
            return Err(Reject::WrongKind { field: "domain" });
        }
        if self.batch != batch {
            return Err(Reject::WrongKind { field: "batch" });
        }
        // One outcome stands for a batch that was refused as such.
        let fits = self.outcomes.len() == commands || self.outcomes.len() == 1;
        if fits { Ok(()) } else { Err(Reject::OutOfRange { field: "outcomes" }) }
    }
}
