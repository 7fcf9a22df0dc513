//! Signed commands into a ledger: this domain's, or through the mesh the one of the escrow that a local agent works for.

use super::error::{Changed, Kind, ServiceError};
use crate::{mesh::class::Class, node::Node, tasks::serve::Question};
use bytes::Bytes;
use comity_ledger::Outcome;
use comity_proto::{
    command::CommandBatch,
    entry::EntryItem,
    envelope::{Envelope, Signed as _},
    ids::{DomainId, RequestId},
    reject::Reject,
};
use comity_replica::{SubmitError, SubmitReply};
use std::time::Duration;

/// How long another domain has to take a command into its log and to answer.
const REMOTE_DEADLINE: Duration = Duration::from_secs(10);

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
}

/// Brings a signed batch into the ledger that it addresses. `key` is the `Idempotency-Key` of the door, which must be the
/// first request id, so that a door can not promise what the ledger does not know.
///
/// # Errors
/// What the bytes alone condemn; a refused single command, by the name of its outcome; no leader, no answer.
pub async fn submit(node: &Node, envelope: Bytes, key: &str) -> Result<Submitted, ServiceError> {
    let batch = peek(&envelope)?;
    let first = batch.commands.first().map(|command| command.request_id.to_string()).unwrap_or_default();
    if key.trim_matches('"') != first {
        let detail = format!("the Idempotency-Key is not the request id of the first command, {first}");
        return Err(ServiceError::bad_input("idempotency_key_mismatch", detail));
    }
    let ids = batch.commands.iter().map(|command| command.request_id);
    let reply = if batch.home == node.domain() {
        node.replica().submit(EntryItem::Commands(envelope)).await.map_err(refused)?
    } else {
        elsewhere(node, batch.home, envelope).await?
    };
    let results: Vec<_> = ids.zip(reply.outcomes.iter().copied()).collect();
    if let (1, Some((_, outcome))) = (batch.commands.len(), results.first())
        && !is_success(*outcome)
    {
        return Err(of_outcome(*outcome));
    }
    if results.len() < batch.commands.len() {
        // The batch as a whole was refused: one outcome stands for all.
        return Err(reply
            .outcomes
            .first()
            .map_or_else(|| of_outcome(Outcome::Malformed), |outcome| of_outcome(*outcome)));
    }
    Ok(Submitted { home: batch.home, log_index: reply.log_index, stamp_ms: reply.stamp_ms, results })
}

/// The content of a batch before its signature is judged: for routing only, the ledger judges.
fn peek(envelope: &Bytes) -> Result<CommandBatch, ServiceError> {
    Envelope::parse(envelope, CommandBatch::PAYLOAD_BYTES_MAX, CommandBatch::LIMIT)
        .and_then(|parsed| CommandBatch::decode(parsed.unverified_payload()))
        .map_err(|reject| of_reject(&reject))
}

/// The payee's node hands the batch to the escrow's home; only that home's log makes it count.
async fn elsewhere(node: &Node, home: DomainId, envelope: Bytes) -> Result<SubmitReply, ServiceError> {
    let question = Question::Commands(envelope).encode();
    let mut last = String::from("no node of it is connected");
    for other in node.mesh().nodes_of(&home) {
        match node.mesh().request(other, Class::Tasks, question.clone(), REMOTE_DEADLINE).await {
            Ok(answer) => return decode(&answer),
            Err(error) => last = error.to_string(),
        }
    }
    Err(ServiceError::new(
        Kind::Unavailable,
        "home_unreachable",
        format!("the ledger of domain {home} was not reached: {last}"),
        "send the same command again: its request id makes that safe",
    ))
}

/// The other end of [`elsewhere`]: takes a batch of an agent at home elsewhere into this ledger.
pub(crate) async fn take_foreign(node: &Node, envelope: Bytes) -> Bytes {
    let answer = match peek(&envelope) {
        Ok(batch) if batch.home == node.domain() => node.replica().submit(EntryItem::Commands(envelope)).await,
        Ok(_) => Err(SubmitError::Refused(Outcome::WrongDomain)),
        Err(_) => Err(SubmitError::Refused(Outcome::Malformed)),
    };
    let answer = answer.map(|reply| (reply.log_index, reply.stamp_ms, reply.outcomes));
    // Plain values into memory: cannot fail; an empty answer is refused by the asker.
    postcard::to_allocvec(&answer).unwrap_or_default().into()
}

fn decode(answer: &Bytes) -> Result<SubmitReply, ServiceError> {
    type Answer = Result<(u64, u64, Vec<Outcome>), SubmitError>;
    let answer: Answer = postcard::from_bytes(answer).map_err(|error| {
        ServiceError::new(
            Kind::Unknown,
            "home_not_understood",
            error.to_string(),
            "update this node, then send it again",
        )
    })?;
    let (log_index, stamp_ms, outcomes) = answer.map_err(refused)?;
    Ok(SubmitReply { log_index, stamp_ms, outcomes })
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
