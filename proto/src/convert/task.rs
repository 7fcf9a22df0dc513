//! Tasks and payment requests.

use super::{asset, narrow, need, party, put};
use crate::{
    envelope::{Context, Signed},
    ids::{EscrowId, Hash, TaskId},
    limits as l,
    reject::{Reject, within},
    strict::{self, array},
    task::{PAYMENT_REQUEST_VERSION, PaymentRequest, TaskEvent, TaskEventKind, TaskRequest},
    text::{Capability, Reason},
    wire::{self, task_event::Event as Wire},
};
use bytes::Bytes;
use prost::Message as _;

impl Signed for TaskRequest {
    const CONTEXT: Context = Context::Task;
    const PAYLOAD_BYTES_MAX: usize = l::TASK_BYTES_MAX + 1_024;
    const LIMIT: &'static str = "task_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::TaskRequest {
            task_id: put(&self.task_id.0),
            from: Some((&self.from).into()),
            to: Some((&self.to).into()),
            escrow_id: put(&self.escrow_id.0),
            capability: self.capability.as_str().into(),
            body: self.body.clone(),
            deadline_ms: self.deadline_ms,
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<TaskRequest, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::TaskRequest = strict::decode(payload)?;
        within(wire.body.len(), l::TASK_BYTES_MAX, Self::LIMIT)?;
        Ok(TaskRequest {
            task_id: TaskId(array(&wire.task_id, "task_id")?),
            from: party(wire.from, "from")?,
            to: party(wire.to, "to")?,
            escrow_id: EscrowId(array(&wire.escrow_id, "escrow_id")?),
            capability: Capability::new(&wire.capability)?,
            body: wire.body,
            deadline_ms: wire.deadline_ms,
        })
    }
}

impl TaskEvent {
    /// The one encoding.
    pub fn encode(&self) -> Bytes {
        let event = match &self.kind {
            TaskEventKind::Accepted => Wire::Accepted(wire::Nothing {}),
            TaskEventKind::Progress(bytes) => Wire::Progress(bytes.clone()),
            TaskEventKind::Result(bytes) => Wire::Result(bytes.clone()),
            TaskEventKind::Finished(bytes) => Wire::Finished(bytes.clone()),
            TaskEventKind::Failed(reason) => Wire::Failed(reason.as_str().into()),
        };
        let wire = wire::TaskEvent { task_id: put(&self.task_id.0), index: self.index, event: Some(event) };
        wire.encode_to_vec().into()
    }

    /// Reads one item of the stream; chunks are slices.
    pub fn decode(bytes: &Bytes) -> Result<TaskEvent, Reject> {
        within(bytes.len(), l::TASK_CHUNK_BYTES.saturating_add(64), "task_chunk_bytes")?;
        let wire: wire::TaskEvent = strict::decode(bytes)?;
        let chunk = |bytes: Bytes| within(bytes.len(), l::TASK_CHUNK_BYTES, "task_chunk_bytes").map(|()| bytes);
        let kind = match wire.event.ok_or(Reject::WrongKind { field: "task_event" })? {
            Wire::Accepted(wire::Nothing {}) => TaskEventKind::Accepted,
            Wire::Progress(bytes) => TaskEventKind::Progress(chunk(bytes)?),
            Wire::Result(bytes) => TaskEventKind::Result(chunk(bytes)?),
            Wire::Finished(bytes) => TaskEventKind::Finished(chunk(bytes)?),
            Wire::Failed(reason) => TaskEventKind::Failed(Reason::new(&reason)?),
        };
        Ok(TaskEvent { task_id: TaskId(array(&wire.task_id, "task_id")?), index: wire.index, kind })
    }
}

impl Signed for PaymentRequest {
    const CONTEXT: Context = Context::PaymentRequest;
    const PAYLOAD_BYTES_MAX: usize = l::IDENTITY_BYTES_MAX;
    const LIMIT: &'static str = "identity_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::PaymentRequest {
            version: PAYMENT_REQUEST_VERSION,
            task_id: put(&self.task_id.0),
            escrow_id: put(&self.escrow_id.0),
            milestone: self.milestone.map(u32::from),
            payee: Some((&self.payee).into()),
            asset: Some((&self.asset).into()),
            amount: self.amount,
            result_hash: put(&self.result_hash.0),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<PaymentRequest, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let version = |request: &wire::PaymentRequest| request.version;
        let wire: wire::PaymentRequest = strict::versioned(payload, PAYMENT_REQUEST_VERSION, version)?;
        need((wire.amount > 0).then_some(()), "amount")?;
        Ok(PaymentRequest {
            task_id: TaskId(array(&wire.task_id, "task_id")?),
            escrow_id: EscrowId(array(&wire.escrow_id, "escrow_id")?),
            milestone: wire.milestone.map(|milestone| narrow(milestone, "milestone")).transpose()?,
            payee: party(wire.payee, "payee")?,
            asset: asset(wire.asset)?,
            amount: wire.amount,
            result_hash: Hash(array(&wire.result_hash, "result_hash")?),
        })
    }
}
