//! Who is held for what, against who was there.

mod agree;
mod failed;
mod left;

use std::collections::BTreeMap;

use comity_node::mesh::MemberState;
use comity_proto::ids::PublicKey;

use super::{Oracle, View};
use crate::world::{HostId, TimeNs};

/// Time between two looks at all tables.
const EVERY: TimeNs = 500_000_000;

pub(super) fn all() -> Vec<Box<dyn Oracle>> {
    vec![Box::new(failed::Failed::default()), Box::new(left::Left::default()), agree::oracle()]
}

/// What every running node holds every machine for.
struct Tables {
    of: BTreeMap<HostId, BTreeMap<PublicKey, MemberState>>,
    keys: BTreeMap<HostId, PublicKey>,
}

impl Tables {
    fn read(view: &View<'_>) -> Tables {
        let keys = (0..view.hosts.count()).map(|host| (host, view.hosts.with(host, |machine| machine.key.public())));
        let table = |node: &comity_node::node::Node| {
            node.mesh().members().into_iter().map(|member| (member.node, member.state)).collect()
        };
        let of = view.hosts.nodes().into_iter().map(|(host, node)| (host, table(&node))).collect();
        Tables { of, keys: keys.collect() }
    }

    /// What the node on `eyes` holds that on `of` for.
    fn state(&self, eyes: HostId, of: HostId) -> Option<MemberState> {
        self.of.get(&eyes)?.get(self.keys.get(&of)?).copied()
    }

    /// Hosts whose node runs.
    fn up(&self) -> impl Iterator<Item = HostId> + '_ {
        self.of.keys().copied()
    }

    /// Whether more than half of all machines run a node that holds it alive.
    fn most_hold_alive(&self, of: HostId) -> bool {
        let alive = self.up().filter(|eyes| *eyes != of && self.state(*eyes, of) == Some(MemberState::Alive)).count();
        2 * alive >= self.keys.len()
    }
}
