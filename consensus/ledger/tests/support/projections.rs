//! What a domain of the tests shows another one of its log.

use super::{World, domain_of, root_of, roster_of};
use bytes::Bytes;
use comity_ledger::{
    Event,
    checkpoint::Checkpoint,
    merkle::{CompactRange, NodeReader, consistency_proof, inclusion_proof, leaf_hash},
};
use comity_proto::{
    envelope::Signed as _,
    ids::{DomainId, Hash},
    projection::{Excerpt, Projection, ProvedEvent},
};
use std::collections::BTreeMap;

struct Nodes(BTreeMap<(u8, u64), Hash>);

impl NodeReader for Nodes {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.0.get(&(level, index)).copied()
    }
}

/// The checkpoint over the first `size` events of a world.
pub fn checkpoint_at(of: &World, size: u64) -> Checkpoint {
    let mut tree = CompactRange::new();
    for event in of.history.iter().take(size as usize) {
        tree.append(leaf_hash(event));
    }
    Checkpoint { domain: of.home, size, root: tree.root(), stamp_ms: of.now_ms, log_index: of.log_index }
}

/// Numbers of the events of a world that concern a domain.
pub fn concerning(of: &World, whom: DomainId) -> Vec<u64> {
    let events = (0..).zip(of.history.iter().map(|bytes| Event::from_bytes(bytes).expect("our own event")));
    events.filter(|(_, event)| event.concerned().contains(&whom)).map(|(index, _)| index).collect()
}

/// These events of a world, proved to its tree of `size`, which is proved to extend that of `held`.
pub fn shown(of: &World, indices: &[u64], held: u64, size: u64) -> Projection {
    let mut tree = CompactRange::new();
    let completed = of.history.iter().flat_map(|event| tree.append(leaf_hash(event)));
    let nodes = Nodes(completed.map(|node| ((node.level, node.index), node.hash)).collect());
    let proved = |index: &u64| ProvedEvent {
        index: *index,
        event: Bytes::from(of.history[*index as usize].clone()),
        path: inclusion_proof(&nodes, *index, size).expect("inside the tree"),
    };
    let extends = if held == 0 { vec![] } else { consistency_proof(&nodes, held, size).expect("inside the tree") };
    assert_eq!(of.home, domain_of(&of.name));
    Projection {
        roster: roster_of(&of.name),
        checkpoint: checkpoint_at(of, size).seal(&root_of(&of.name)),
        excerpt: Excerpt { extends, events: indices.iter().map(proved).collect() },
    }
}
