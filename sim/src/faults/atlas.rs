//! Which disks may lose what was promised, so that no domain loses it.
//!
//! Raft keeps its word while a majority keeps its disks. One member at a time may be damaged, and only until it has been
//! replaced and has caught up. A member that only *forgets* (a lying disk, an older copy) under its own name is worse: it
//! may vote twice. That is harmless only while all others hold everything that it could forget, its vote included.

use std::collections::BTreeSet;

use super::apply::Act;
use crate::world::HostId;

impl Act {
    /// Whether the disk of `host` may be damaged now; from then on it counts as damaged.
    pub(super) fn claim_damage(&self, host: HostId) -> bool {
        let domain = self.hosts.domain_of(host);
        let mut damaged = self.damaged.lock();
        // The founding host holds the keys that let others join; a copy of them in a safe is not modelled.
        let may = domain.hosts.len() >= 3
            && domain.hosts[0] != host
            && domain.hosts.iter().all(|other| !damaged.contains(other));
        if may {
            damaged.insert(host);
        }
        may
    }

    /// The damage of a host is over.
    pub(super) fn release_damage(&self, host: HostId) {
        self.damaged.lock().remove(&host);
    }

    /// Whether `host` could forget its unflushed log and vote now without breaking a promise: all others follow the same
    /// leader in the same term, with everything that `host` has, and nobody else is damaged. Its leader may take it at its
    /// old word and end it for good, so it must be one that can be replaced.
    pub(super) fn may_forget(&self, host: HostId) -> bool {
        let domain = self.hosts.domain_of(host);
        if domain.hosts[0] == host {
            return false;
        }
        let Some(own) = self.hosts.node(host).map(|node| node.replica().status()) else { return false };
        if own.leader_id.is_none() || own.leader_id == Some(own.id) {
            return false;
        }
        let damaged = self.damaged.lock();
        domain.hosts.iter().filter(|other| **other != host).all(|other| {
            let Some(node) = self.hosts.node(*other) else { return false };
            let status = node.replica().status();
            let keeps = self.hosts.with(*other, |machine| !machine.disk.mood().is_lying);
            keeps
                && !damaged.contains(other)
                && status.term == own.term
                && status.leader_id == own.leader_id
                && status.last_log >= own.last_log
                && status.voters.len() == domain.hosts.len()
        })
    }
}

/// Hosts whose disks have lost something and that have not been replaced yet.
pub(super) type Damaged = BTreeSet<HostId>;
