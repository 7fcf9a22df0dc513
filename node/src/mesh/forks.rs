//! Domains of which somebody has shown another root key than the one that is known to follow.
//!
//! Only who has a root key of that domain can show one: its owner has prepared two, or a thief speaks. The one that was
//! known first stands, and what matters is that operators hear of it, so it is kept for as long as the node runs.

use std::collections::BTreeMap;

use comity_proto::ids::DomainId;
use comity_runtime::{self as runtime, Instant};
use parking_lot::Mutex;

use super::handle::MeshHandle;

/// How often another root key of a domain was shown, and when last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootFork {
    /// Since this node started.
    pub times: u64,
    /// The last time.
    pub last: Instant,
}

/// By domain. Bounded by the domains whose key is pinned: of others nothing is known that could be forked.
#[derive(Debug, Default)]
pub(crate) struct Forks(Mutex<BTreeMap<DomainId, RootFork>>);

impl Forks {
    pub(crate) fn shown(&self, domain: DomainId) {
        let last = runtime::now();
        let mut forks = self.0.lock();
        let fork = forks.entry(domain).or_insert(RootFork { times: 0, last });
        fork.times += 1;
        fork.last = last;
    }
}

impl MeshHandle {
    /// Somebody has shown another root key of this domain, of whose root keys the bytes were judged.
    pub(crate) fn root_fork_shown(&self, domain: DomainId) {
        self.shared().forks.shown(domain);
    }

    /// Every domain of which another root key was shown since the start.
    pub fn root_forks(&self) -> BTreeMap<DomainId, RootFork> {
        self.shared().forks.0.lock().clone()
    }
}
