//! What others may check: the signed checkpoint and the exact leaves behind it.

use super::{
    books,
    error::{Kind, ServiceError},
};
use crate::{node::Node, witness::GRID};
use bytes::Bytes;
use comity_ledger::{Event, checkpoint::Checkpoint};
use comity_proto::{
    envelope::Signed as _,
    ids::{DomainId, Hash, PublicKey},
};
use comity_runtime as runtime;
use comity_verify::{
    Chain,
    document::{self, Head, Kind as DocumentKind},
};
use std::time::Duration;

/// Most events in one answer: a few hundred kilobytes.
pub const LEAVES_MAX: u64 = 512;
/// How long an answer waits for rows that the store is still writing.
const ROWS_WITHIN: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A checkpoint with everything that is needed to judge it alone.
#[derive(Clone, Debug)]
pub struct SignedCheckpoint {
    /// Whose history.
    pub domain: DomainId,
    /// Its root key; the id is its hash.
    pub domain_key: PublicKey,
    /// The roster that names the voter who signed: an envelope of the root key.
    pub roster: Bytes,
    /// An envelope in context `Checkpoint`, by this node's key.
    pub checkpoint: Bytes,
    /// The same, to read.
    pub plain: Checkpoint,
}

/// Signs the event log as it stands, everything acknowledged before included.
///
/// # Errors
/// `not_a_voter` on a node that the roster does not name: its signature would prove nothing.
pub async fn checkpoint(node: &Node) -> Result<SignedCheckpoint, ServiceError> {
    let own = node.key().public();
    let read = books::read(node, |ledger| {
        let (domain, plain) = (ledger.domain()?, ledger.checkpoint()?);
        Some((domain.key, domain.roster.clone(), domain.voters.contains(&own), plain))
    });
    let found = read.await?;
    let (domain_key, roster, votes, plain) =
        found.ok_or_else(|| super::commands::of_outcome(comity_ledger::Outcome::NotInitialized))?;
    if !votes {
        let detail = "the roster in force does not name this node, so its signature would prove nothing";
        return Err(ServiceError::new(Kind::Conflict, "not_a_voter", detail, "ask a voter: `comity raft list`"));
    }
    let checkpoint = plain.seal(node.key());
    Ok(SignedCheckpoint { domain: plain.domain, domain_key, roster, checkpoint, plain })
}

/// A checkpoint, the one of an older size, and the proof that the history between them was only added to.
#[derive(Clone, Debug)]
pub struct Extension {
    /// The newer one.
    pub newer: SignedCheckpoint,
    /// An envelope in context `Checkpoint` over the older size, signed now.
    pub older: Bytes,
    /// The consistency proof of RFC 9162.
    pub proof: Vec<Hash>,
}

/// The tree as it was with `size` events, at least one.
async fn past(node: &Node, size: u64) -> Result<Checkpoint, ServiceError> {
    // The nodes of an entry are written with its rows.
    let last = leaves(node, size.saturating_sub(1), size).await?;
    let last = last.first().and_then(|bytes| Event::from_bytes(bytes).ok());
    let last = last.ok_or_else(|| missing(size.saturating_sub(1)))?;
    let store = node.replica().events().clone();
    let read = runtime::run_blocking(move || store.root_at(size)).await;
    let root = read.unwrap_or(Err(comity_replica::StoreError::Stopped)).map_err(|error| unproved(&error, size))?;
    Ok(Checkpoint { domain: node.domain(), size, root, stamp_ms: last.stamp_ms, log_index: last.log_index })
}

/// Root of the tree as it was with `size` events.
///
/// # Errors
/// `bad_range`, `events_missing`.
pub async fn root_at(node: &Node, size: u64) -> Result<Hash, ServiceError> {
    past(node, size).await.map(|checkpoint| checkpoint.root)
}

/// Signs the event log as it stands and as it stood with `older` events. Whoever kept a checkpoint of that size compares:
/// another root over it, with this signature beside it, is the proof that this domain rewrote its history.
///
/// # Errors
/// As [`checkpoint`]; `bad_range`; `events_missing` while this node fetches what a snapshot skipped.
pub async fn extension(node: &Node, older: u64) -> Result<Extension, ServiceError> {
    let newer = checkpoint(node).await?;
    let size = newer.plain.size;
    if older == 0 || older > size {
        return Err(ServiceError::bad_input("bad_range", format!("a tree of {older} events inside one of {size}")));
    }
    leaves(node, size.saturating_sub(1), size).await?;
    let past = past(node, older).await?;
    let proof = proof(node, older, size).await?;
    Ok(Extension { older: past.seal(node.key()), newer, proof })
}

async fn proof(node: &Node, older: u64, newer: u64) -> Result<Vec<Hash>, ServiceError> {
    let store = node.replica().events().clone();
    let read = runtime::run_blocking(move || store.consistency(older, newer)).await;
    read.unwrap_or(Err(comity_replica::StoreError::Stopped)).map_err(|error| unproved(&error, older))
}

fn unproved(error: &comity_replica::StoreError, event: u64) -> ServiceError {
    match error {
        comity_replica::StoreError::NoProof(_) => missing(event),
        error => unreadable(error),
    }
}

/// What another witness is shown that holds a tree of `older` events: an extension document, or the checkpoint alone for
/// 0. The newest checkpoint is over a multiple of [`GRID`] where there is one that is newer to the asker. The inner error
/// is how many events there are, when that is fewer.
///
/// # Errors
/// As [`extension`].
pub async fn document(node: &Node, older: u64) -> Result<Result<Bytes, u64>, ServiceError> {
    let newest = checkpoint(node).await?;
    let size = newest.plain.size;
    if older > size {
        return Ok(Err(size));
    }
    let on_grid = size.saturating_sub(size % GRID);
    let newer = past(node, if on_grid > older { on_grid } else { size }).await?;
    let chain = Chain { domain: newest.domain, root_key: newest.domain_key, roster: newest.roster };
    let kind = if older == 0 { DocumentKind::Checkpoint } else { DocumentKind::Extension };
    let mut out = Vec::new();
    let mut written = Head { kind, chain, checkpoint: newer.seal(node.key()) }.write(&mut out);
    if older > 0 {
        let rest = document::Extension {
            older: past(node, older).await?.seal(node.key()),
            proof: proof(node, older, newer.size).await?,
        };
        written = written.and_then(|()| rest.write(&mut out));
    }
    written.map_err(|error| ServiceError::new(Kind::Internal, "too_large", error.to_string(), "see the node's log"))?;
    Ok(Ok(out.into()))
}

pub(super) fn missing(event: u64) -> ServiceError {
    let detail = format!("event {event} is not here: this node was given a snapshot and is still fetching");
    let next = "ask again in a moment, or ask another node of the domain";
    ServiceError::new(Kind::Unavailable, "events_missing", detail, next)
}

/// The exact bytes of events `from..below`, as many as fit one answer, at least one.
///
/// # Errors
/// `bad_range`; `events_missing` while this node fetches what a snapshot skipped; `events_unreadable`.
pub async fn leaves(node: &Node, from: u64, below: u64) -> Result<Vec<Bytes>, ServiceError> {
    let count = node.replica().read_stale(|ledger, _| ledger.event_count());
    if from >= below || below > count {
        let detail = format!("events {from} up to {below} of {count}");
        return Err(ServiceError::bad_input("bad_range", detail));
    }
    let limit = usize::try_from((below - from).min(LEAVES_MAX)).unwrap_or(1);
    let deadline = runtime::now() + ROWS_WITHIN;
    loop {
        let store = node.replica().events().clone();
        store.settle().await.map_err(|error| unreadable(&error))?;
        let (rows, gap) = runtime::run_blocking(move || Ok((store.leaves(from, limit)?, store.gap()?)))
            .await
            .unwrap_or(Err(comity_replica::StoreError::Stopped))
            .map_err(|error| unreadable(&error))?;
        // Rows are in order; one that is missing ends what can be told.
        let present = (from..).zip(rows).take_while(|(leaf, row)| *leaf == row.leaf);
        let present: Vec<Bytes> = present.map(|(_, row)| row.bytes).collect();
        if !present.is_empty() {
            return Ok(present);
        }
        if gap.is_some_and(|(first, end)| (first..end).contains(&from)) || runtime::now() >= deadline {
            return Err(missing(from));
        }
        runtime::sleep(LOOK_EVERY).await;
    }
}

pub(super) fn unreadable(error: &comity_replica::StoreError) -> ServiceError {
    ServiceError::new(Kind::Internal, "events_unreadable", error.to_string(), "see the node's log")
}
