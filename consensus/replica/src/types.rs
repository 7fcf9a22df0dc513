//! The types that openraft is run with.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use comity_ledger::Outcome;
use comity_proto::ids::PublicKey;
use comity_runtime::disk::DiskFile;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::raft_runtime::RaftRuntime;

openraft::declare_raft_types!(
    /// openraft's types for one domain's log.
    pub TypeConfig:
        D = EntryBytes,
        R = Reply,
        NodeId = u64,
        Node = NodeInfo,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = SnapshotFile,
        AsyncRuntime = RaftRuntime,
);

/// A log entry of this domain.
pub type RaftEntry = openraft::Entry<TypeConfig>;
/// Term, leader and index of an entry.
pub type LogId = openraft::LogId<u64>;
/// A vote as openraft stores and sends it.
pub type Vote = openraft::Vote<u64>;
/// openraft's storage error.
pub type StorageError = openraft::StorageError<u64>;

/// The exact bytes of one encoded `proto::entry::Entry`. Cloning shares them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EntryBytes(pub Bytes);

impl fmt::Debug for EntryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryBytes({} bytes)", self.0.len())
    }
}

impl fmt::Display for EntryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Serialize for EntryBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for EntryBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = EntryBytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of an entry")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<EntryBytes, E> {
                Ok(EntryBytes(Bytes::copy_from_slice(bytes)))
            }
            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<EntryBytes, E> {
                Ok(EntryBytes(Bytes::from(bytes)))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

/// What applying one entry answers to whoever proposed it. Empty for entries without items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Index of the entry in the Raft log.
    pub log_index: u64,
    /// The ledger's time after the entry, ms since the Unix epoch.
    pub stamp_ms: u64,
    /// Per item of the entry, per command of the item.
    pub outcomes: Vec<Vec<Outcome>>,
}

/// A member of the Raft group: who it is and where it may be reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// The node's transport key; links are authenticated by it.
    pub key: PublicKey,
    /// Multiaddresses, best first.
    pub addresses: Vec<String>,
}

impl Default for NodeInfo {
    /// The all-zero key: openraft asks for a default, nobody is reached by it.
    fn default() -> Self {
        NodeInfo { key: PublicKey([0; 32]), addresses: Vec::new() }
    }
}

impl fmt::Debug for NodeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.key.0;
        write!(f, "NodeInfo({a:02x}{b:02x}{c:02x}{d:02x}.. {:?})", self.addresses)
    }
}

/// A finished snapshot file on this node's disk, or an empty new one to be filled.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    /// Name on the disk.
    pub name: String,
    /// The open file; it stays readable after a newer snapshot replaced it.
    pub file: Arc<dyn DiskFile>,
}
