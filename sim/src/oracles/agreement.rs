//! Replicas of one domain agree byte for byte.

use std::collections::BTreeMap;

use super::{Oracle, Phase, View};
use crate::world::{HostId, TimeNs};

/// A digest costs a walk over the whole ledger: taken this seldom, at the end, and of each life once it has caught up.
const EVERY: TimeNs = 5_000_000_000;

/// By domain: digests at one index; of each host the last life that was compared.
#[derive(Default)]
pub(super) struct Agreement {
    next: BTreeMap<usize, TimeNs>,
    lives: BTreeMap<HostId, u64>,
}

impl Oracle for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn claim(&self) -> &'static str {
        "replicas of one domain that applied the same entries hold the same bytes"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for domain in 0..view.seen.stories.len() {
            let mut at: BTreeMap<u64, Vec<HostId>> = BTreeMap::new();
            for (host, node) in view.hosts.nodes() {
                if view.hosts.with(host, |machine| machine.domain) == domain {
                    at.entry(node.replica().read_stale(|ledger, _| ledger.log_index())).or_default().push(host);
                }
            }
            let due = view.phase == Phase::Audit || view.now >= self.next.get(&domain).copied().unwrap_or(0);
            for same in at.into_values().filter(|same| same.len() > 1) {
                let life = |host: &HostId| view.hosts.with(*host, |machine| machine.boots);
                let is_new = |host: &HostId| self.lives.get(host) != Some(&life(host));
                if due || same.iter().any(is_new) {
                    compare(view, &same)?;
                    self.lives.extend(same.iter().map(|host| (*host, life(host))));
                    self.next.insert(domain, view.now + EVERY);
                }
            }
        }
        Ok(())
    }
}

fn compare(view: &View<'_>, hosts: &[HostId]) -> Result<(), String> {
    let digest = |host: &HostId| {
        Some(view.hosts.node(*host)?.replica().read_stale(|ledger, _| (ledger.log_index(), ledger.digest().0)))
    };
    let mut digests = hosts.iter().filter_map(|host| Some((*host, digest(host)?)));
    let Some((first, known)) = digests.next() else { return Ok(()) };
    match digests.find(|(_, digest)| *digest != known) {
        Some((host, _)) => Err(format!("hosts {first} and {host} differ after entry {}", known.0)),
        None => Ok(()),
    }
}
