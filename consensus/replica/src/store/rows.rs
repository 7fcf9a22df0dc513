//! Keys and values of the event store's tables. Big endian, so the order of the bytes is the order of the log.

use bytes::Bytes;
use comity_proto::ids::AgentId;

use super::StoredEvent;

/// Where an event stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventKey {
    /// Raft log index of its entry.
    pub log_index: u64,
    /// Position among the events of that entry.
    pub n: u32,
}

impl EventKey {
    pub(crate) const BYTES: usize = 12;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.log_index.to_be_bytes());
        bytes[8..].copy_from_slice(&self.n.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<EventKey> {
        let (log_index, n) = bytes.split_first_chunk::<8>()?;
        Some(EventKey { log_index: u64::from_be_bytes(*log_index), n: u32::from_be_bytes(n.try_into().ok()?) })
    }

    /// The first key behind this one.
    pub(crate) fn next(self) -> EventKey {
        match self.n.checked_add(1) {
            Some(n) => EventKey { log_index: self.log_index, n },
            None => EventKey { log_index: self.log_index.saturating_add(1), n: 0 },
        }
    }
}

pub(super) fn event_value(leaf: u64, event: &[u8]) -> Vec<u8> {
    [leaf.to_be_bytes().as_slice(), event].concat()
}

/// Leaf number and canonical bytes of an event's value. A value that is too short reads as an empty leaf 0: its hash
/// then differs from every checkpoint, so the damage cannot stay hidden.
pub(super) fn leaf_of(value: &[u8]) -> (u64, &[u8]) {
    value.split_first_chunk::<8>().map_or((0, &[]), |(leaf, event)| (u64::from_be_bytes(*leaf), event))
}

pub(super) fn read_event(value: &[u8]) -> Option<StoredEvent> {
    let (leaf, event) = leaf_of(value);
    (!event.is_empty()).then(|| StoredEvent { leaf, bytes: Bytes::copy_from_slice(event) })
}

pub(super) fn node_key(level: u8, index: u64) -> [u8; 9] {
    let mut key = [level; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

/// First leaf behind the subtree that a node of the Merkle log stands for.
pub(super) fn leaves_below(key: &[u8]) -> Option<u64> {
    let (level, index) = key.split_first()?;
    let index = u64::from_be_bytes(index.try_into().ok()?);
    index.checked_add(1)?.checked_mul(1_u64.checked_shl(u32::from(*level))?)
}

pub(super) fn history_key(agent: &AgentId, key: EventKey) -> [u8; 44] {
    let mut bytes = [0; 44];
    bytes[..32].copy_from_slice(&agent.0);
    bytes[32..].copy_from_slice(&key.to_bytes());
    bytes
}

/// Whose history a row belongs to.
pub(super) fn history_agent(key: &[u8; 44]) -> &[u8] {
    &key[..32]
}

/// The event that a history row points to.
pub(super) fn history_event(key: &[u8]) -> Option<EventKey> {
    EventKey::from_bytes(key.get(32..)?)
}

/// Keys of an agent's history: first, and the end that is not part of it.
pub(super) fn agent_range(agent: &AgentId, before: Option<EventKey>) -> ([u8; 44], [u8; 44]) {
    let first = history_key(agent, EventKey { log_index: 0, n: 0 });
    let end = before.unwrap_or(EventKey { log_index: u64::MAX, n: u32::MAX });
    (first, history_key(agent, end))
}
