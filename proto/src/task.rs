//! Work between agents: a request, a stream of events, and the signed demand for payment that ends it.

use crate::{
    amount::AssetId,
    command::Party,
    ids::{EscrowId, Hash, TaskId},
    text::{Capability, Reason},
};
use bytes::Bytes;

/// The version of the payment request that this program speaks.
pub const PAYMENT_REQUEST_VERSION: u32 = 1;

/// A task for an agent. Context [`crate::envelope::Context::Task`]; signed by the orchestrator's agent key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRequest {
    /// Chosen by the orchestrator; the same id with the same content is the same task.
    pub task_id: TaskId,
    /// Who asks.
    pub from: Party,
    /// Who shall work.
    pub to: Party,
    /// The escrow that pays for it; its terms carry the hash of `body`.
    pub escrow_id: EscrowId,
    /// Which of the worker's capabilities.
    pub capability: Capability,
    /// The input; at most [`crate::limits::TASK_BYTES_MAX`].
    pub body: Bytes,
    /// No use after this, ms since the Unix epoch.
    pub deadline_ms: u64,
}

impl TaskRequest {
    /// What the escrow's terms must carry as `task_hash`.
    pub fn body_hash(&self) -> Hash {
        Hash::of(&self.body)
    }
}

/// One item of the reply stream. Not signed: what counts is the payment request at its end, which is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEvent {
    /// Which task.
    pub task_id: TaskId,
    /// 0, 1, 2 … without gaps: a resumed stream goes on where it broke.
    pub index: u64,
    /// What happened.
    pub kind: TaskEventKind,
}

/// What happened to a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEventKind {
    /// The worker has begun.
    Accepted,
    /// Whatever the worker wants to show; at most [`crate::limits::TASK_CHUNK_BYTES`].
    Progress(Bytes),
    /// The next piece of the result; at most [`crate::limits::TASK_CHUNK_BYTES`]. The result is all of them joined.
    Result(Bytes),
    /// The end: envelope of a [`PaymentRequest`] over the whole result.
    Finished(Bytes),
    /// The end: there is no result.
    Failed(Reason),
}

/// A payee asks for a release. Context [`crate::envelope::Context::PaymentRequest`]; signed by the payee's agent key.
///
/// Program code, never a language model, compares it with the escrow and the result before it releases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRequest {
    /// Which task.
    pub task_id: TaskId,
    /// Which escrow.
    pub escrow_id: EscrowId,
    /// Which milestone; `None` when the terms have none.
    pub milestone: Option<u16>,
    /// Who is to be paid.
    pub payee: Party,
    /// In what.
    pub asset: AssetId,
    /// Minor units, before fees.
    pub amount: u64,
    /// SHA-256 of the result.
    pub result_hash: Hash,
}
