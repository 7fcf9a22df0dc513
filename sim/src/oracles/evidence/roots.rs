//! The Merkle log: one root per size, recomputed here from the events alone.

use std::collections::BTreeMap;

use comity_proto::ids::Hash;

use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
    world::HostId,
};

/// A Merkle tree (RFC 6962) as the roots of its complete subtrees, largest first.
#[derive(Default)]
struct Tree {
    size: u64,
    peaks: Vec<Hash>,
}

impl Tree {
    fn add(&mut self, leaf: &[u8]) {
        self.peaks.push(Hash::of(&[&[0], leaf].concat()));
        self.size += 1;
        // As often as the new size divides by two, the last two subtrees are of one size.
        for _ in 0..self.size.trailing_zeros() {
            if let (Some(right), Some(left)) = (self.peaks.pop(), self.peaks.pop()) {
                self.peaks.push(node(&left, &right));
            }
        }
    }

    fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev().copied();
        let Some(last) = peaks.next() else { return Hash::of(&[]) };
        peaks.fold(last, |right, left| node(&left, &right))
    }
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Hash::of(&[&[1][..], &left.0, &right.0].concat())
}

/// By domain: the tree, and its root at every size.
#[derive(Default)]
pub(super) struct Roots {
    trees: BTreeMap<usize, (Tree, Vec<Hash>)>,
    looked: BTreeMap<HostId, u64>,
}

impl Oracle for Roots {
    fn name(&self) -> &'static str {
        "one-root"
    }

    fn claim(&self) -> &'static str {
        "at the same number of events every replica's log has the same root, which follows from the events alone"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (domain, story) in view.seen.stories.iter().enumerate() {
            let (tree, roots) = self.trees.entry(domain).or_default();
            for event in &story.events()[roots.len()..] {
                tree.add(&event.to_bytes());
                roots.push(tree.root());
            }
        }
        for (host, node) in view.hosts.nodes() {
            let domain = view.hosts.with(host, |machine| machine.domain);
            let count = node.replica().read_stale(|ledger, _| ledger.event_count());
            if self.looked.insert(host, count) == Some(count) {
                continue;
            }
            let checkpoint = node.replica().read_stale(|ledger, _| ledger.checkpoint());
            let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.size > 0) else { continue };
            let roots = &self.trees[&domain].1;
            if roots.get(checkpoint.size as usize - 1).is_some_and(|root| *root != checkpoint.root) {
                return Err(format!("host {host}: the root over {} events is not theirs", checkpoint.size));
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.trees.remove(&restore.domain);
        Ok(())
    }
}
