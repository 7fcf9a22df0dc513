//! How a replica is run.

use std::{sync::Arc, time::Duration};

use openraft::{Config, SnapshotPolicy};

use crate::types::NodeInfo;

/// How a replica is run. [`ReplicaConfig::new`] gives the values for a LAN or a laptop.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// This member's Raft id. A node that lost its disk joins with another one.
    pub id: u64,
    /// This member as the others reach it.
    pub info: NodeInfo,
    /// How often a leader shows that it lives; also the deadline of one append. Below 250 ms busy machines flap.
    pub heartbeat: Duration,
    /// Shortest silence of the leader after which a follower starts an election; at least three heartbeats.
    pub election_min: Duration,
    /// Longest such silence; above the shortest one.
    pub election_max: Duration,
    /// Entries in one append. Bytes are bounded by the frame.
    pub append_entries_max: u64,
    /// A snapshot is made after this many entries.
    pub snapshot_every: u64,
    /// Entries kept behind a snapshot, so that a member that was away briefly needs no snapshot.
    pub keep_entries: u64,
    /// Bytes reserved per log segment.
    pub segment_bytes: u64,
    /// Longest wait of [`crate::Replica::submit`] and of a linearizable read, elections included.
    pub patience: Duration,
}

impl ReplicaConfig {
    /// The values for a LAN or a laptop.
    pub fn new(id: u64, info: NodeInfo) -> ReplicaConfig {
        ReplicaConfig {
            id,
            info,
            heartbeat: Duration::from_millis(250),
            election_min: Duration::from_millis(1500),
            election_max: Duration::from_millis(3000),
            append_entries_max: 512,
            snapshot_every: 20_000,
            keep_entries: 5_000,
            segment_bytes: 32 << 20,
            patience: Duration::from_secs(10),
        }
    }

    pub(crate) fn raft(&self) -> Result<Arc<Config>, String> {
        if self.election_min < self.heartbeat * 2 || self.election_max <= self.election_min {
            return Err(format!(
                "elections begin after {:?} to {:?} of silence: the first must be two heartbeats ({:?}) or more, the second longer",
                self.election_min, self.election_max, self.heartbeat
            ));
        }
        let config = Config {
            cluster_name: "comity".into(),
            heartbeat_interval: millis(self.heartbeat),
            // Elections are begun by our own timer. To openraft the first is how long it waits for a vote, the second
            // how long a voter that heard a leader grants no other one its vote.
            enable_elect: false,
            election_timeout_min: millis((self.heartbeat + self.election_min) / 2),
            election_timeout_max: millis(self.election_min),
            max_payload_entries: self.append_entries_max,
            // A member that lags behind by more gets a snapshot rather than entries.
            replication_lag_threshold: self.keep_entries,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            max_in_snapshot_log_to_keep: self.keep_entries,
            purge_batch_size: 256.min(self.keep_entries.max(1)),
            ..Config::default()
        };
        config.validate().map(Arc::new).map_err(|error| error.to_string())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
