//! Takes settlement batches of peers into the log.
//!
//! Nothing is judged here: the ledger of every replica judges the signature, the roster and each message. Who delivers a
//! batch does not matter, only who signed it.

use crate::mesh::Refusal;
use bytes::Bytes;
use comity_proto::{
    entry::EntryItem,
    envelope::{Envelope, Signed as _},
    planted::{Plant, planted},
    settlement::{SettlementBatch, SettlementMessage},
};
use comity_replica::Replica;
use std::time::Duration;

/// How long a batch waits here for a leader: the sender's other nodes may be better off, and its places are few.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Answers a peer once its batch is applied: then it was heard for good.
pub(crate) async fn take(replica: Replica, envelope: Bytes, hold_votes: Duration) -> Result<Bytes, Refusal> {
    if !hold_votes.is_zero() && carries_a_vote(&envelope) {
        comity_runtime::sleep(hold_votes).await;
    }
    if planted(Plant::LeakTask) {
        (0..8).for_each(|_| drop(comity_runtime::spawn(std::future::pending::<()>())));
    }
    match comity_runtime::timeout(PATIENCE, replica.submit(EntryItem::Settlement(envelope))).await {
        Ok(Ok(_applied)) => Ok(Bytes::new()),
        Ok(Err(error)) => Err(Refusal(error.to_string())),
        Err(comity_runtime::Elapsed) => Err(Refusal("no leader in time; another node may know one".to_owned())),
    }
}

/// Unverified, and only for a node that was told to hold votes back.
fn carries_a_vote(envelope: &Bytes) -> bool {
    let batch = Envelope::parse(envelope, SettlementBatch::PAYLOAD_BYTES_MAX, SettlementBatch::LIMIT)
        .and_then(|envelope| SettlementBatch::decode(envelope.unverified_payload()));
    batch.is_ok_and(|batch| batch.messages.iter().any(|message| matches!(message, SettlementMessage::Vote(_))))
}
