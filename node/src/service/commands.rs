//! Signed commands into a ledger: this domain's, or through the mesh the one of the escrow that a local agent works for.

use super::{
    error::{Changed, Kind, ServiceError},
    relay,
};
use crate::{boundary, node::Node};
use bytes::Bytes;
use comity_ledger::Outcome;
use comity_proto::{
    command::{CommandBatch, Heading},
    entry::EntryItem,
    envelope::{Envelope, Signed as _},
    ids::{DomainId, RequestId},
    reject::Reject,
};
use comity_replica::SubmitError;

/// What the log made of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The ledger that answered.
    pub home: DomainId,
    /// Raft log index of the entry there.
    pub log_index: u64,
    /// Its stamp, ms since the Unix epoch.
    pub stamp_ms: u64,
    /// Per command, in order.
    pub results: Vec<(RequestId, Outcome)>,
    /// Of a ledger elsewhere: the envelope of its receipt.
    pub receipt: Option<Bytes>,
}

/// Brings a signed batch into the ledger that it addresses. `key` is the `Idempotency-Key` of the door, which must be the
/// first request id, so that a door can not promise what the ledger does not know.
///
/// # Errors
/// What the bytes alone condemn; a refused single command, by the name of its outcome; no leader, no answer; `pending`
/// while a ledger elsewhere has given no receipt.
pub async fn submit(node: &Node, envelope: Bytes, key: &str) -> Result<Submitted, ServiceError> {
    let Heading { home, requests } = heading(&envelope)?;
    let first = requests.first().map(RequestId::to_string).unwrap_or_default();
    if key.trim_matches('"') != first {
        let detail = format!("the Idempotency-Key is not the request id of the first command, {first}");
        return Err(ServiceError::bad_input("idempotency_key_mismatch", detail));
    }
    let (reply, receipt) = if home == node.domain() {
        super::drift::refuse_drifted(node, &envelope)?;
        let submitted = node.replica().submit(EntryItem::Commands(envelope.clone())).await;
        (submitted.map_err(|error| explained(error, &envelope))?, None)
    } else {
        // The escrow's log did not say so: the same bytes may have passed before the rule was taken back.
        let unknown = |refusal| ServiceError { changed: Changed::Unknown, ..refusal };
        boundary::acceptance(node, &peek(&envelope)?).await.map_err(unknown)?;
        let (reply, receipt) = relay::ask_home(node, home, envelope, requests.len()).await?;
        (reply, Some(receipt))
    };
    let results: Vec<_> = requests.iter().copied().zip(reply.outcomes.iter().copied()).collect();
    if let (1, Some((_, outcome))) = (requests.len(), results.first())
        && !is_success(*outcome)
    {
        return Err(of_outcome(*outcome));
    }
    if results.len() < requests.len() {
        // The batch as a whole was refused: one outcome stands for all.
        return Err(reply
            .outcomes
            .first()
            .map_or_else(|| of_outcome(Outcome::Malformed), |outcome| of_outcome(*outcome)));
    }
    let (log_index, stamp_ms) = (reply.log_index, reply.stamp_ms);
    Ok(Submitted { home, log_index, stamp_ms, results, receipt })
}

/// Where a batch goes and what its commands are called. The leader reads all of it before it judges it; reading it here as
/// well would cost as much again.
fn heading(envelope: &Bytes) -> Result<Heading, ServiceError> {
    let parsed = Envelope::parse(envelope, CommandBatch::PAYLOAD_BYTES_MAX, CommandBatch::LIMIT);
    let parsed = parsed.map_err(|reject| of_reject(&reject))?;
    match CommandBatch::heading(parsed.unverified_payload()) {
        Some(heading) => Ok(heading),
        None => Err(peek(envelope).map_or_else(|error| error, |_| of_outcome(Outcome::Malformed))),
    }
}

/// A refusal of the bytes in the words of whoever could not read them.
fn explained(error: SubmitError, envelope: &Bytes) -> ServiceError {
    match error {
        SubmitError::Refused(_) => peek(envelope).err().unwrap_or_else(|| refused(error)),
        error => refused(error),
    }
}

/// The content of a batch before its signature is judged: for routing only, the ledger judges.
pub(super) fn peek(envelope: &Bytes) -> Result<CommandBatch, ServiceError> {
    Envelope::parse(envelope, CommandBatch::PAYLOAD_BYTES_MAX, CommandBatch::LIMIT)
        .and_then(|parsed| CommandBatch::decode(parsed.unverified_payload()))
        .map_err(|reject| of_reject(&reject))
}

/// Whether the caller got what it asked for.
pub fn is_success(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Created | Outcome::Applied | Outcome::Begun | Outcome::Exists)
}

/// A refusal by the ledger.
pub fn of_outcome(outcome: Outcome) -> ServiceError {
    let kind = match outcome {
        Outcome::Malformed | Outcome::WrongDomain => Kind::BadInput,
        Outcome::BadSignature | Outcome::NotAuthorised => Kind::Forbidden,
        Outcome::UnknownAgent | Outcome::UnknownEscrow | Outcome::UnknownName | Outcome::UnknownTransfer => {
            Kind::NotFound
        }
        Outcome::NotInitialized | Outcome::Fenced => Kind::Unavailable,
        _ => Kind::Refused,
    };
    let next = if outcome.retry_can_succeed() {
        "it may succeed later: send it under a fresh request id"
    } else {
        "correct the command and send it under a fresh request id"
    };
    ServiceError::new(kind, outcome.name(), format!("the ledger refused: {}", outcome.name().replace('_', " ")), next)
}

/// A refusal of the bytes.
pub fn of_reject(reject: &Reject) -> ServiceError {
    let kind = match reject {
        Reject::TooLarge { .. } => Kind::TooLarge,
        Reject::BadSignature => Kind::Forbidden,
        _ => Kind::BadInput,
    };
    ServiceError::new(kind, reject.code(), reject.to_string(), "correct the message, sign it and send it again")
}

/// A refusal before the ledger.
pub fn refused(error: SubmitError) -> ServiceError {
    let detail = error.to_string();
    let again = "send the same bytes again: their request id makes that safe";
    match error {
        SubmitError::Refused(outcome) => of_outcome(outcome),
        SubmitError::Busy => ServiceError::new(Kind::Busy, "busy", detail, again),
        SubmitError::TooLarge { .. } => ServiceError::new(Kind::TooLarge, "too_large", detail, "send less at once"),
        SubmitError::NotLeader | SubmitError::NoLeader => {
            ServiceError::new(Kind::Unavailable, "no_leader", detail, again)
        }
        SubmitError::Unknown => ServiceError::new(Kind::Unknown, "unknown", detail, again),
        SubmitError::Stopped => {
            let mut error = ServiceError::new(Kind::Unavailable, "stopped", detail, again);
            error.changed = Changed::Unknown;
            error
        }
        SubmitError::ClockJump { .. } => {
            ServiceError::new(Kind::Unavailable, "clock_jump", detail, "correct the clock of this machine")
        }
    }
}
