//! Two indexes over the events: what concerns another domain, for that domain to be shown; and what was projected from
//! another domain's log, to be found again.

use comity_ledger::event::{Event, EventKind};
use comity_proto::ids::DomainId;
use redb::{ReadableDatabase, TableDefinition, WriteTransaction};

use super::{EVENTS, EventKey, EventStore, LEAVES, StoreError, StoredEvent, rows};

/// Domain and leaf number.
pub(super) const CONCERNS: TableDefinition<'_, &[u8], ()> = TableDefinition::new("concerns");
/// Peer, kind and number in its log, to the key of the event of ours.
pub(super) const PROJECTED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("projected");

/// A tree of a peer's log, by its size.
const TREE: u8 = 0;
/// An event of a peer's log, by its number there.
const EVENT: u8 = 1;

fn concerns_key(domain: &DomainId, leaf: u64) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(&domain.0);
    key[32..].copy_from_slice(&leaf.to_be_bytes());
    key
}

/// The leaf of a row of [`CONCERNS`].
pub(super) fn concerns_leaf(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(32..)?.try_into().ok()?))
}

fn projected_key(peer: &DomainId, kind: u8, number: u64) -> [u8; 41] {
    let mut key = [kind; 41];
    key[..32].copy_from_slice(&peer.0);
    key[33..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Writes the rows of events with their leaves; most events have none.
pub(super) fn write<'a>(
    transaction: &WriteTransaction,
    events: impl Iterator<Item = (u64, &'a Event)>,
) -> Result<(), StoreError> {
    let (mut concerns, mut projected) = (Vec::new(), Vec::new());
    for (leaf, event) in events {
        concerns.extend(event.concerned().iter().map(|domain| concerns_key(domain, leaf)));
        let key = match &event.kind {
            EventKind::PeerCheckpointHeld(held) => projected_key(&held.peer, TREE, held.size),
            EventKind::EventProjected(told) => projected_key(&told.peer, EVENT, told.index),
            _ => continue,
        };
        projected.push((key, EventKey { log_index: event.log_index, n: event.n }));
    }
    if !concerns.is_empty() {
        let mut table = transaction.open_table(CONCERNS)?;
        for key in &concerns {
            table.insert(key.as_slice(), ())?;
        }
    }
    if !projected.is_empty() {
        let mut table = transaction.open_table(PROJECTED)?;
        for (key, event) in &projected {
            table.insert(key.as_slice(), event.to_bytes().as_slice())?;
        }
    }
    Ok(())
}

impl EventStore {
    /// At most `limit` events from leaf `from` to before `below` that concern another domain, in order.
    pub fn concerning(
        &self,
        domain: &DomainId,
        (from, below): (u64, u64),
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let transaction = self.database.begin_read()?;
        let concerns = transaction.open_table(CONCERNS)?;
        let (leaves, events) = (transaction.open_table(LEAVES)?, transaction.open_table(EVENTS)?);
        let (first, end) = (concerns_key(domain, from), concerns_key(domain, below));
        let mut found = Vec::new();
        if from >= below {
            return Ok(found);
        }
        for row in concerns.range(first.as_slice()..end.as_slice())?.take(limit) {
            let (key, _) = row?;
            let Some(leaf) = concerns_leaf(key.value()) else { continue };
            let Some(key) = leaves.get(leaf)? else { continue };
            if let Some(value) = events.get(key.value())? {
                found.extend(rows::read_event(value.value()));
            }
        }
        Ok(found)
    }

    /// At most `limit` events of ours that hold one of a peer's, the newest of its log first; only that of `index`, if it
    /// is named.
    pub fn projected(&self, peer: &DomainId, index: Option<u64>, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let (first, last) = (index.unwrap_or(0), index.unwrap_or(u64::MAX));
        self.held(&projected_key(peer, EVENT, first), &projected_key(peer, EVENT, last), limit)
    }

    /// The event of ours that holds a peer's signed tree of this size.
    pub fn peer_checkpoint(&self, peer: &DomainId, size: u64) -> Result<Option<StoredEvent>, StoreError> {
        let key = projected_key(peer, TREE, size);
        Ok(self.held(&key, &key, 1)?.pop())
    }

    fn held(&self, first: &[u8], last: &[u8], limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let transaction = self.database.begin_read()?;
        let (projected, events) = (transaction.open_table(PROJECTED)?, transaction.open_table(EVENTS)?);
        let mut found = Vec::new();
        for row in projected.range(first..=last)?.rev().take(limit) {
            let (_, key) = row?;
            if let Some(value) = events.get(key.value())? {
                found.extend(rows::read_event(value.value()));
            }
        }
        Ok(found)
    }
}
