//! Conservation inside one domain.

use std::collections::BTreeMap;

use super::{Oracle, Phase, View};
use crate::world::{HostId, TimeNs};

/// The check costs a walk over the whole ledger, and all replicas agree: the one that is furthest is asked this often.
const EVERY: TimeNs = 500_000_000;

/// What was checked last, by host.
#[derive(Default)]
pub(super) struct Books {
    next: TimeNs,
    seen: BTreeMap<HostId, u64>,
}

impl Oracle for Books {
    fn name(&self) -> &'static str {
        "books"
    }

    fn claim(&self) -> &'static str {
        "in every ledger all accounts of an asset sum to zero, and every held amount belongs to something open"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        let audit = view.phase == Phase::Audit;
        if view.now < self.next && !audit {
            return Ok(());
        }
        self.next = view.now + EVERY;
        let mut furthest: BTreeMap<usize, (u64, HostId)> = BTreeMap::new();
        for (host, node) in view.hosts.nodes() {
            let domain = view.hosts.with(host, |machine| machine.domain);
            let applied = node.replica().read_stale(|ledger, _| ledger.log_index());
            let key = if audit { host as usize } else { domain };
            let best = furthest.entry(key).or_default();
            *best = (*best).max((applied, host));
        }
        for (applied, host) in furthest.into_values() {
            let Some(node) = view.hosts.node(host) else { continue };
            if self.seen.insert(host, applied) != Some(applied) {
                node.replica()
                    .read_stale(|ledger, _| comity_ledger::invariants::check_all(ledger))
                    .map_err(|broken| format!("host {host}: {broken}"))?;
            }
        }
        Ok(())
    }
}
