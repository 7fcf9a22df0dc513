//! What the logs of peers say about this domain, as it stands in ours with its proof, and what ours says about them.

use super::{
    audit::{missing, unreadable},
    error::{Kind, ServiceError},
    feed,
};
use crate::node::Node;
use bytes::Bytes;
use comity_ledger::{
    Event, EventKind,
    projection::{PeerCheckpoint, ProjectedEvent},
};
use comity_proto::{
    envelope::Signed as _,
    identity::Roster,
    ids::DomainId,
    limits::{EXCERPT_BYTES_MAX, EXCERPT_EVENT_BYTES_MAX, EXCERPT_EVENTS_MAX},
    planted::{Plant, planted},
    projection::{Excerpt, ProvedEvent},
};
use comity_replica::{EventStore, StoreError, StoredEvent};
use comity_runtime as runtime;
use comity_verify::{
    Chain,
    document::{Head, Inclusion, Kind as DocumentKind},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Bytes that an event adds to an excerpt besides itself and its path, and each hash besides its own 32.
const AROUND_EVENT: usize = 32;
const AROUND_HASH: usize = 2;

/// One event of a peer's log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ProjectedView {
    /// Its number in that log.
    pub index: u64,
    /// Number of the event of our log that holds it.
    pub leaf: u64,
    /// Events in the tree that it is proved to.
    pub size: u64,
    /// That domain's ledger time, ms.
    pub stamp_ms: u64,
    /// What happened there.
    pub kind: String,
    /// The fields of it.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// What this domain's log says about a peer, for that peer: from event `from` on, proved to the tree of `size` events, which
/// is proved to extend that of `held`. The inner error is how many events there are, when that is fewer.
///
/// # Errors
/// `events_missing` while this node fetches what a snapshot skipped; `bad_range`; `events_unreadable`.
pub async fn excerpt(
    node: &Node,
    peer: DomainId,
    (from, held, size): (u64, u64, u64),
) -> Result<Result<Excerpt, u64>, ServiceError> {
    let count = node.replica().read_stale(|ledger, _| ledger.event_count());
    if size > count {
        return Ok(Err(count));
    }
    if size == 0 || held > size {
        return Err(ServiceError::bad_input("bad_range", format!("a tree of {held} events inside one of {size}")));
    }
    let store = node.replica().events().clone();
    store.settle().await.map_err(|error| unreadable(&error))?;
    let read = runtime::run_blocking(move || {
        // The index has a hole where rows are still to be fetched: what is passed over now would be so for ever.
        if store.gap()?.is_some_and(|(gap, _)| gap < size) {
            return Err(StoreError::NoProof("rows are being fetched".to_owned()));
        }
        cut(&store, &peer, (from, held, size))
    });
    let read = read.await.unwrap_or(Err(StoreError::Stopped));
    read.map(Ok).map_err(|error| match error {
        StoreError::NoProof(_) => missing(from),
        error => unreadable(&error),
    })
}

fn cut(store: &EventStore, peer: &DomainId, (from, held, size): (u64, u64, u64)) -> Result<Excerpt, StoreError> {
    let extends = if held == 0 { Vec::new() } else { store.consistency(held, size)? };
    let mut left = EXCERPT_BYTES_MAX - extends.len() * (32 + AROUND_HASH);
    let mut events = Vec::new();
    for StoredEvent { leaf, bytes } in store.concerning(peer, (from, size), EXCERPT_EVENTS_MAX)? {
        if bytes.len() > EXCERPT_EVENT_BYTES_MAX {
            continue;
        }
        let path = store.inclusion(leaf, size)?;
        let length = bytes.len() + path.len() * (32 + AROUND_HASH) + AROUND_EVENT;
        let Some(rest) = left.checked_sub(length) else { break };
        left = rest;
        let event = if planted(Plant::ProjectionUnproved) { later(&bytes) } else { bytes };
        events.push(ProvedEvent { index: leaf, event, path });
    }
    Ok(Excerpt { extends, events })
}

/// The bug that is planted as `projection-unproved`: it happened a moment later than the log says.
fn later(bytes: &Bytes) -> Bytes {
    let event = Event::from_bytes(bytes);
    event.map(|event| Event { stamp_ms: event.stamp_ms + 1, ..event }.to_bytes().into()).unwrap_or_default()
}

async fn read<T: Send + 'static>(
    node: &Node,
    work: impl FnOnce(&EventStore) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, ServiceError> {
    let store = node.replica().events().clone();
    store.settle().await.map_err(|error| unreadable(&error))?;
    let read = runtime::run_blocking(move || work(&store)).await;
    read.unwrap_or(Err(StoreError::Stopped)).map_err(|error| unreadable(&error))
}

fn projected(stored: &StoredEvent) -> Option<ProjectedEvent> {
    match Event::from_bytes(&stored.bytes).ok()?.kind {
        EventKind::EventProjected(told) => Some(*told),
        _ => None,
    }
}

fn view(stored: &StoredEvent) -> Option<ProjectedView> {
    let ProjectedEvent { index, size, event, .. } = projected(stored)?;
    let event = Event::from_bytes(&event.0).ok()?;
    let (kind, data) = feed::words(&event.kind);
    Some(ProjectedView { index, leaf: stored.leaf, size, stamp_ms: event.stamp_ms, kind, data })
}

/// The last events of a peer's log that concern this domain, newest first.
///
/// # Errors
/// `events_unreadable`.
pub async fn list(node: &Node, peer: DomainId, last: usize) -> Result<Vec<ProjectedView>, ServiceError> {
    let found = read(node, move |store| store.projected(&peer, None, last)).await?;
    Ok(found.iter().filter_map(view).collect())
}

/// One of them with all that proves it, as a document that is judged alone.
///
/// # Errors
/// `unknown_event`; `events_unreadable`.
pub async fn document(node: &Node, peer: DomainId, index: u64) -> Result<Bytes, ServiceError> {
    let unknown = || ServiceError::not_found("event", format!("{index} of {peer}"));
    let found = read(node, move |store| {
        let told = store.projected(&peer, Some(index), 1)?.first().and_then(projected);
        let Some(told) = told else { return Ok(None) };
        let held = store.peer_checkpoint(&peer, told.size)?;
        let held = held.and_then(|held| Event::from_bytes(&held.bytes).ok());
        Ok(held.map(|held| (told, held.kind)))
    });
    let Some((told, EventKind::PeerCheckpointHeld(held))) = found.await? else { return Err(unknown()) };
    let PeerCheckpoint { roster, checkpoint, .. } = *held;
    let root_key = Roster::open(&roster.0).map(|roster| *roster.first_key()).map_err(|_| unknown())?;
    let chain = Chain { domain: peer, root_key, roster: roster.0 };
    let mut out = Vec::new();
    let rest = Inclusion { index, event: told.event.0, path: told.path };
    let written = Head { kind: DocumentKind::Inclusion, chain, checkpoint: checkpoint.0 }
        .write(&mut out)
        .and_then(|()| rest.write(&mut out));
    written.map_err(|error| ServiceError::new(Kind::Internal, "too_large", error.to_string(), "see the node's log"))?;
    Ok(out.into())
}
