//! What a leader knows beyond the log: the members' clocks, and who votes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use openraft::RaftMetrics;
use tokio::sync::watch;

use crate::{
    clock::{PeerClocks, Stamp, StampAsked},
    types::NodeInfo,
};

/// openraft's metrics as they change.
pub(crate) type Metrics = watch::Receiver<RaftMetrics<u64, NodeInfo>>;

/// Stamps entries. See [`crate::clock`].
pub(crate) struct Leadership {
    pub(crate) own: u64,
    pub(crate) clocks: Arc<PeerClocks>,
    pub(crate) metrics: Metrics,
    pub(crate) fresh: Duration,
    /// The last stamp given by this process: stamps of entries in flight are not applied yet.
    pub(crate) last_ms: AtomicU64,
    /// A time up to which the operator trusts this node's clock, ms since the Unix epoch; 0 when never asked.
    pub(crate) trusted_until_ms: AtomicU64,
}

impl Leadership {
    /// The stamp of the next entry, given the ledger's time.
    pub(crate) fn stamp(&self, ledger_ms: u64) -> Stamp {
        let stamp = self.peek(ledger_ms);
        if let Stamp::Moves(stamp_ms) = stamp {
            self.last_ms.fetch_max(stamp_ms, Ordering::AcqRel);
        }
        stamp
    }

    /// The stamp that the next entry would get, without giving it.
    pub(crate) fn peek(&self, ledger_ms: u64) -> Stamp {
        let voters: Vec<u64> = self.metrics.borrow().membership_config.membership().voter_ids().collect();
        let asked = StampAsked {
            own: self.own,
            voters: &voters,
            fresh: self.fresh,
            previous_ms: ledger_ms.max(self.last_ms.load(Ordering::Acquire)),
            trusted_until_ms: self.trusted_until_ms.load(Ordering::Acquire),
        };
        self.clocks.stamp(&asked)
    }

    /// Whether this member leads, as far as it knows.
    pub(crate) fn leads(&self) -> bool {
        self.metrics.borrow().current_leader == Some(self.own)
    }
}
