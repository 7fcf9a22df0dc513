//! Nobody is said to have left who did not say so.

use std::collections::{BTreeMap, BTreeSet};

use comity_node::mesh::MemberState;

use super::{EVERY, Tables};
use crate::{
    oracles::{Oracle, View},
    world::{HostId, TimeNs},
};

/// A node that stops in an orderly way says so first, and is still there for so long.
const STOPPING: TimeNs = 10_000_000_000;

/// Machines whose node was down at some time, or was there twice: only those may have said that they leave.
#[derive(Default)]
pub(super) struct Left {
    next: TimeNs,
    stopped: BTreeSet<HostId>,
    /// Since when one node holds another for left that runs.
    since: BTreeMap<(HostId, HostId), TimeNs>,
}

impl Oracle for Left {
    fn name(&self) -> &'static str {
        "leave-is-said"
    }

    fn claim(&self) -> &'static str {
        "a node that has run all the time is never held for one that left"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.now < self.next {
            return Ok(());
        }
        self.next = view.now + EVERY;
        let tables = Tables::read(view);
        // An adversary with a stolen key may leave in its name.
        let is_doubled = view.hosts.marks().contains_key("lie:twin:there");
        for host in 0..view.hosts.count() {
            let boots = view.hosts.with(host, |machine| machine.boots);
            if view.hosts.node(host).is_none() || boots > 1 || is_doubled {
                self.stopped.insert(host);
            }
        }
        for (eyes, of) in tables.up().flat_map(|eyes| tables.up().map(move |of| (eyes, of))) {
            let is_left = tables.state(eyes, of) == Some(MemberState::Left) && !self.stopped.contains(&of);
            if !is_left {
                self.since.remove(&(eyes, of));
            } else if view.now > *self.since.entry((eyes, of)).or_insert(view.now) + STOPPING {
                return Err(format!("host {eyes} holds host {of} for left, which has run all the time"));
            }
        }
        Ok(())
    }
}
