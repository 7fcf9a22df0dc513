//! Whoever is held for failed is gone.

use std::collections::BTreeMap;

use comity_node::mesh::MemberState;

use super::{EVERY, Tables};
use crate::{
    oracles::{Oracle, View},
    world::{HostId, TimeNs},
};

/// A refutation, or repair of what gossip lost, takes at most so long where the network lets it through.
const LONG: TimeNs = 45_000_000_000;

/// Since when, without a break, one node holds another for failed that most hold alive.
#[derive(Default)]
pub(super) struct Failed {
    next: TimeNs,
    since: BTreeMap<(HostId, HostId), TimeNs>,
}

impl Oracle for Failed {
    fn name(&self) -> &'static str {
        "failed-means-dead"
    }

    fn claim(&self) -> &'static str {
        "nobody is held for failed for long by a node that most others hold alive, while most hold it alive itself"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.now < self.next {
            return Ok(());
        }
        self.next = view.now + EVERY;
        let tables = Tables::read(view);
        let mut wrong = BTreeMap::new();
        for (eyes, of) in tables.up().flat_map(|eyes| tables.up().map(move |of| (eyes, of))) {
            let is_wrong = tables.state(eyes, of) == Some(MemberState::Failed)
                && tables.most_hold_alive(of)
                && tables.most_hold_alive(eyes)
                && hears_most(view, eyes);
            if is_wrong {
                let since = self.since.get(&(eyes, of)).copied().unwrap_or(view.now);
                if view.now > since + LONG {
                    let seconds = (view.now - since) / 1_000_000_000;
                    return Err(format!(
                        "host {eyes} has held host {of} for failed for {seconds} s; most hold it alive"
                    ));
                }
                wrong.insert((eyes, of), since);
            }
        }
        self.since = wrong;
        Ok(())
    }
}

/// Whether the ways between a host and half of the others are open in both directions.
fn hears_most(view: &View<'_>, host: HostId) -> bool {
    let network = &view.hosts.network;
    let is_open = |other: &HostId| network.link(*other, host).blocked == 0 && network.link(host, *other).blocked == 0;
    let open = (0..view.hosts.count()).filter(|other| *other != host).filter(is_open).count();
    2 * open >= view.hosts.count() as usize
}
