//! Short proofs against the definition of RFC 9162, written out naively; and every way in which one is refused.

use comity_ledger::{
    checkpoint::Checkpoint,
    merkle::{CompactRange, Node, NodeReader, consistency_proof, inclusion_proof, leaf_hash, node_hash},
};
use comity_proto::ids::{DomainId, Hash};
use comity_verify::proof::{Refused, extends, includes};
use proptest::prelude::*;
use std::collections::BTreeMap;

struct Nodes(BTreeMap<(u8, u64), Hash>);

impl NodeReader for Nodes {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.0.get(&(level, index)).copied()
    }
}

fn event(index: u64) -> Vec<u8> {
    format!("event {index}").into_bytes()
}

fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(|index| leaf_hash(&event(index))).collect()
}

fn nodes(leaves: &[Hash]) -> Nodes {
    let mut range = CompactRange::new();
    let completed = leaves.iter().flat_map(|leaf| range.append(*leaf));
    Nodes(completed.map(|Node { level, index, hash }| ((level, index), hash)).collect())
}

/// MTH of RFC 9162 §2.1.1.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => comity_ledger::merkle::empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

/// SUBPROOF of RFC 9162 §2.1.4.1, word for word.
fn subproof(older: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if older == leaves.len() {
        return if whole { vec![] } else { vec![root(leaves)] };
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    if older <= split {
        let mut proof = subproof(older, left, whole);
        proof.push(root(right));
        proof
    } else {
        let mut proof = subproof(older - split, right, false);
        proof.push(root(left));
        proof
    }
}

/// PATH of RFC 9162 §2.1.3.1.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return vec![];
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let (mut proof, sibling) =
        if index < split { (path(index, left), root(right)) } else { (path(index - split, right), root(left)) };
    proof.push(sibling);
    proof
}

fn checkpoint(leaves: &[Hash]) -> Checkpoint {
    let size = leaves.len() as u64;
    Checkpoint { domain: DomainId([1; 32]), size, root: root(leaves), stamp_ms: 0, log_index: size }
}

proptest! {
    #[test]
    fn proofs_are_those_of_the_definition_and_hold(newer in 1_u64..300, pick in any::<u64>()) {
        let all = leaves(newer);
        let nodes = nodes(&all);
        let older = pick % newer + 1;
        let now = checkpoint(&all);
        let then = checkpoint(&all[..older as usize]);
        let proof = consistency_proof(&nodes, older, newer).expect("all nodes are there");
        prop_assert_eq!(&proof, &subproof(older as usize, &all, true));
        prop_assert_eq!(extends(&then, &now, &proof), Ok(()));

        let index = older - 1;
        let proof = inclusion_proof(&nodes, index, newer).expect("all nodes are there");
        prop_assert_eq!(&proof, &path(index as usize, &all));
        prop_assert_eq!(includes(&now, index, &event(index), &proof), Ok(()));
        prop_assert_eq!(includes(&now, index, b"another event", &proof), Err(Refused::RootDiffers));
    }

    #[test]
    fn a_history_with_one_old_event_changed_never_extends(newer in 2_u64..200, pick in any::<u64>()) {
        let all = leaves(newer);
        let older = pick % (newer - 1) + 1;
        let then = checkpoint(&all[..older as usize]);
        let mut rewritten = all;
        rewritten[(pick % older) as usize] = leaf_hash(b"rewritten");
        let proof = subproof(older as usize, &rewritten, true);
        let refused = extends(&then, &checkpoint(&rewritten), &proof).expect_err("a rewritten history");
        prop_assert!(matches!(refused, Refused::OlderRootDiffers | Refused::RootDiffers));
    }
}

#[test]
fn each_way_to_be_refused_has_a_name() {
    let all = leaves(11);
    let (then, now) = (checkpoint(&all[..6]), checkpoint(&all));
    let proof = subproof(6, &all, true);
    assert_eq!(extends(&then, &now, &proof), Ok(()));

    let (short, long) = (&proof[1..], [proof.as_slice(), &[Hash([0; 32])]].concat());
    let expected = proof.len();
    assert_eq!(extends(&then, &now, short), Err(Refused::ProofTooShort { expected, given: expected - 1 }));
    assert_eq!(extends(&then, &now, &long), Err(Refused::ProofTooLong { expected, given: expected + 1 }));
    assert_eq!(extends(&then, &now, &[]), Err(Refused::ProofTooShort { expected, given: 0 }));
    assert_eq!(extends(&now, &now, &proof), Err(Refused::ProofTooLong { expected: 0, given: expected }));
    assert_eq!(extends(&now, &then, &proof), Err(Refused::Shrunk { older: 11, newer: 6 }));
    let other = Checkpoint { root: Hash([9; 32]), ..now };
    assert_eq!(extends(&now, &other, &[]), Err(Refused::SameSizeOtherRoot { size: 11 }));
    let stranger = Checkpoint { domain: DomainId([2; 32]), ..now };
    assert_eq!(extends(&then, &stranger, &proof), Err(Refused::OtherDomain));
    assert_eq!(extends(&checkpoint(&[]), &now, &[]), Err(Refused::EmptyOlder));
    let forged = Checkpoint { root: Hash([9; 32]), ..then };
    assert_eq!(extends(&forged, &now, &proof), Err(Refused::OlderRootDiffers));
    assert_eq!(extends(&then, &other, &proof), Err(Refused::RootDiffers));

    let path = path(3, &all);
    let expected = path.len();
    assert_eq!(includes(&now, 3, &event(3), &path), Ok(()));
    assert_eq!(includes(&now, 11, &event(3), &path), Err(Refused::OutsideTree { index: 11, size: 11 }));
    assert_eq!(includes(&now, 3, &event(3), &path[1..]), Err(Refused::ProofTooShort { expected, given: expected - 1 }));
    let long = [path.as_slice(), &[Hash([0; 32])]].concat();
    assert_eq!(includes(&now, 3, &event(3), &long), Err(Refused::ProofTooLong { expected, given: expected + 1 }));
    assert_eq!(includes(&now, 4, &event(3), &path), Err(Refused::RootDiffers));
}
