//! What an onlooker may see of a replica, without asking or changing anything: for simulators and doctors.
//!
//! An onlooker outlives the replica that it watches: it keeps the log's index and openraft's figures, never the replica
//! itself, so a watched node can end.

use comity_proto::ids::Hash;
use openraft::{EntryPayload, RaftLogId, ServerState};

use crate::{
    leader::Metrics,
    log_store::LogReader,
    replica::Replica,
    types::{EntryBytes, RaftEntry, TypeConfig},
};

/// Consensus as one member holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RaftSight {
    /// Term and node of the vote that it gave last; votes are ordered by term, then node.
    pub vote: (u64, u64),
    /// Whether a majority has given that vote too, as far as this member knows.
    pub vote_committed: bool,
    /// Whether it leads.
    pub leads: bool,
    /// First and last index of the entries on its disk.
    pub log: Option<(u64, u64)>,
    /// Index of the last applied entry.
    pub applied: u64,
    /// Index up to which its log is purged behind a snapshot.
    pub purged: u64,
}

/// One entry of a log, by what identifies it and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its index.
    pub index: u64,
    /// Term and node of the leader that proposed it.
    pub leader: (u64, u64),
    /// Digest of its content.
    pub digest: Hash,
}

/// Watches the consensus of one replica.
pub struct Onlooker {
    metrics: Metrics,
    log: LogReader<TypeConfig>,
}

impl Replica {
    /// An onlooker on this replica.
    pub fn onlooker(&self) -> Onlooker {
        Onlooker { metrics: self.inner.leadership.metrics.clone(), log: self.inner.log.clone() }
    }
}

impl Onlooker {
    /// Returns when something may have changed since the last sight; false once the replica has ended.
    pub async fn changed(&mut self) -> bool {
        self.metrics.changed().await.is_ok()
    }

    /// What there is to see now.
    pub fn sight(&mut self) -> RaftSight {
        let metrics = self.metrics.borrow_and_update();
        let leader = metrics.vote.leader_id();
        RaftSight {
            vote: (leader.term, leader.node_id),
            vote_committed: metrics.vote.is_committed(),
            leads: metrics.state == ServerState::Leader,
            log: self.log.bounds(),
            applied: metrics.last_applied.map_or(0, |id| id.index),
            // As the entries: right after a start the metrics know nothing yet.
            purged: self.log.purged(),
        }
    }

    /// The entry at an index, if it stands in the log and can be read.
    pub fn line(&self, index: u64) -> Option<LogLine> {
        let entry = self.log.entry(index)?;
        let id = entry.get_log_id();
        let digest = Hash::of(&content(&entry));
        Some(LogLine { index, leader: (id.leader_id.term, id.leader_id.node_id), digest })
    }

    /// Content of the entry at an index: the bytes of a `proto::entry::Entry`; `None` also for entries without any.
    pub fn bytes(&self, index: u64) -> Option<EntryBytes> {
        match self.log.entry(index)?.payload {
            EntryPayload::Normal(bytes) => Some(bytes),
            EntryPayload::Blank | EntryPayload::Membership(_) => None,
        }
    }
}

fn content(entry: &RaftEntry) -> bytes::Bytes {
    match &entry.payload {
        EntryPayload::Normal(bytes) => bytes.0.clone(),
        EntryPayload::Blank => bytes::Bytes::new(),
        // Plain values into memory: cannot fail.
        EntryPayload::Membership(members) => postcard::to_allocvec(members).unwrap_or_default().into(),
    }
}
