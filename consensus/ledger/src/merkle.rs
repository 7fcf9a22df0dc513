//! The Merkle tree over the event log: hashing of RFC 9162 (the same as RFC 6962) with SHA-256.
//!
//! The ledger holds only the right edge ([`CompactRange`], O(log n)). Each append hands out the nodes that it
//! completed; whoever keeps them under (level, index) can prove anything later through [`NodeReader`]. Verifiers are
//! strict: a proof of another length than the sizes demand is refused before any hashing, and no size makes them panic.

use alloc::vec::Vec;
use comity_proto::ids::Hash;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A tree has at most 2^64 - 1 leaves, so no path is longer.
pub const PATH_MAX: usize = 64;

/// Root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// Hash of a leaf's bytes. The prefix keeps a leaf from posing as an inner node.
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(data).finalize().into())
}

/// Hash of an inner node.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let hasher = Sha256::new().chain_update([1]).chain_update(left.0);
    Hash(hasher.chain_update(right.0).finalize().into())
}

/// A complete subtree: it covers leaves `index << level` up to, not including, `(index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// 0 is a leaf.
    pub level: u8,
    /// Counted from the left within its level.
    pub index: u64,
    /// The subtree's hash.
    pub hash: Hash,
}

/// The right edge of a tree: the roots of its complete subtrees, largest first.
///
/// Invariant: as many peaks as there are ones in the binary form of `size`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct CompactRange {
    size: u64,
    peaks: Vec<Hash>,
}

/// What travels; becomes a [`CompactRange`] only when the invariant holds.
#[derive(Deserialize)]
struct Parts {
    size: u64,
    peaks: Vec<Hash>,
}

impl TryFrom<Parts> for CompactRange {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Self, Self::Error> {
        if u32::try_from(parts.peaks.len()) != Ok(parts.size.count_ones()) {
            return Err("the number of peaks does not fit the size of the tree");
        }
        Ok(CompactRange { size: parts.size, peaks: parts.peaks })
    }
}

impl CompactRange {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        CompactRange { size: 0, peaks: Vec::new() }
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf and returns the nodes that are complete from now on, the leaf first, at most [`PATH_MAX`].
    pub fn append(&mut self, leaf: Hash) -> Vec<Node> {
        let mut completed = Vec::new();
        self.append_to(leaf, &mut completed);
        completed
    }

    /// As [`CompactRange::append`], behind the nodes that are there already.
    pub fn append_to(&mut self, leaf: Hash, completed: &mut Vec<Node>) {
        let mut node = Node { level: 0, index: self.size, hash: leaf };
        completed.push(node);
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            node = Node {
                level: node.level.saturating_add(1),
                index: node.index >> 1,
                hash: node_hash(&left, &node.hash),
            };
            completed.push(node);
        }
        self.peaks.push(node.hash);
        self.size = self.size.saturating_add(1);
    }

    /// Root over all leaves so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let folded = self.peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(empty_root)
    }
}

/// Whoever keeps the completed nodes.
pub trait NodeReader {
    /// Hash of a complete subtree; `None` when it was never handed out or is lost.
    fn node(&self, level: u8, index: u64) -> Option<Hash>;
}

/// Why a proof cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// The leaf or the older size does not lie inside the tree, or the older tree is empty.
    OutOfRange,
    /// The reader does not have this node.
    MissingNode {
        /// 0 is a leaf.
        level: u8,
        /// Counted from the left within its level.
        index: u64,
    },
}

/// Why a proof is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyError {
    /// The leaf or the older size does not lie inside the tree, or the older tree is empty.
    OutOfRange,
    /// The sizes demand another number of hashes.
    WrongLength {
        /// What the sizes demand.
        expected: usize,
        /// What was given.
        given: usize,
    },
    /// The hashes do not lead to the older root.
    OlderRootDiffers,
    /// The hashes do not lead to the root.
    RootDiffers,
}

/// Largest power of two below `width`; `width` is at least 2.
const fn split(width: u64) -> u64 {
    let top = 63_u32.saturating_sub(width.saturating_sub(1).leading_zeros());
    1_u64.wrapping_shl(top)
}

/// Hash over leaves `low..high` of a tree; `low` is a multiple of the largest complete subtree in the range.
fn range_hash(reader: &impl NodeReader, low: u64, high: u64) -> Result<Hash, ProofError> {
    let mut lefts = Vec::new();
    let (mut low, mut width) = (low, high.saturating_sub(low));
    loop {
        let whole = width.is_power_of_two();
        let part = if whole { width } else { split(width) };
        let level = part.trailing_zeros();
        let index = low.wrapping_shr(level);
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        let hash = reader.node(level, index).ok_or(ProofError::MissingNode { level, index })?;
        if whole {
            return Ok(lefts.iter().rev().fold(hash, |right, left| node_hash(left, &right)));
        }
        lefts.push(hash);
        low = low.saturating_add(part);
        width = width.saturating_sub(part);
    }
}

/// Root of the tree as it was with `size` leaves.
pub fn root_at(reader: &impl NodeReader, size: u64) -> Result<Hash, ProofError> {
    if size == 0 {
        return Ok(empty_root());
    }
    range_hash(reader, 0, size)
}

/// Path that proves leaf `index` to a holder of the root over `size` leaves, leaf side first.
pub fn inclusion_proof(reader: &impl NodeReader, index: u64, size: u64) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let mut proof = Vec::new();
    let (mut low, mut high) = (0_u64, size);
    while high.saturating_sub(low) > 1 {
        let middle = low.saturating_add(split(high.saturating_sub(low)));
        if index < middle {
            proof.push(range_hash(reader, middle, high)?);
            high = middle;
        } else {
            proof.push(range_hash(reader, low, middle)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Proof that the tree with `newer` leaves extends the one with `older`. Empty when both are the same tree.
pub fn consistency_proof(reader: &impl NodeReader, older: u64, newer: u64) -> Result<Vec<Hash>, ProofError> {
    if older == 0 || older > newer {
        return Err(ProofError::OutOfRange);
    }
    let mut proof = Vec::new();
    let (mut low, mut high) = (0_u64, newer);
    while older != high {
        let middle = low.saturating_add(split(high.saturating_sub(low)));
        if older <= middle {
            proof.push(range_hash(reader, middle, high)?);
            high = middle;
        } else {
            proof.push(range_hash(reader, low, middle)?);
            low = middle;
        }
    }
    // The verifier holds the older root already: no need to send a subtree that is the whole older tree.
    if low != 0 {
        proof.push(range_hash(reader, low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// How many hashes of a path to leaf `index` lie inside the smallest common subtree with the last leaf, and how many
/// on the left border above it. `index < size`.
const fn path_shape(index: u64, size: u64) -> (u32, u32) {
    let inner = 64_u32.saturating_sub((index ^ size.wrapping_sub(1)).leading_zeros());
    let border = match index.checked_shr(inner) {
        Some(rest) => rest.count_ones(),
        None => 0,
    };
    (inner, border)
}

fn check_length(proof: &[Hash], expected: u32) -> Result<(), VerifyError> {
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    if proof.len() != expected {
        return Err(VerifyError::WrongLength { expected, given: proof.len() });
    }
    Ok(())
}

fn split_proof(proof: &[Hash], inner: u32) -> (&[Hash], &[Hash]) {
    let middle = usize::try_from(inner).unwrap_or(usize::MAX).min(proof.len());
    proof.split_at(middle)
}

/// Walks up inside the common subtree: the bit of `index` at each level says on which side the sibling stands.
fn chain_inner(seed: Hash, siblings: &[Hash], index: u64) -> Hash {
    let mut position = index;
    siblings.iter().fold(seed, |hash, sibling| {
        let right_child = position & 1 == 1;
        position >>= 1;
        if right_child { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
    })
}

/// As [`chain_inner`], but takes only siblings on the left: what the older tree had.
fn chain_inner_older(seed: Hash, siblings: &[Hash], index: u64) -> Hash {
    let mut position = index;
    siblings.iter().fold(seed, |hash, sibling| {
        let right_child = position & 1 == 1;
        position >>= 1;
        if right_child { node_hash(sibling, &hash) } else { hash }
    })
}

fn chain_border(seed: Hash, siblings: &[Hash]) -> Hash {
    siblings.iter().fold(seed, |hash, sibling| node_hash(sibling, &hash))
}

/// Checks that `leaf` (a leaf hash) stands at `index` in the tree of `size` leaves with this root.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), VerifyError> {
    if index >= size {
        return Err(VerifyError::OutOfRange);
    }
    let (inner, border) = path_shape(index, size);
    check_length(proof, inner.saturating_add(border))?;
    let (inside, above) = split_proof(proof, inner);
    if chain_border(chain_inner(*leaf, inside, index), above) != *root {
        return Err(VerifyError::RootDiffers);
    }
    Ok(())
}

/// Checks that the tree (`newer`, `newer_root`) extends the tree (`older`, `older_root`). An empty older tree proves
/// nothing and is refused.
pub fn verify_consistency(
    older: u64,
    newer: u64,
    older_root: &Hash,
    newer_root: &Hash,
    proof: &[Hash],
) -> Result<(), VerifyError> {
    if older == 0 || older > newer {
        return Err(VerifyError::OutOfRange);
    }
    if older == newer {
        check_length(proof, 0)?;
        return if older_root == newer_root { Ok(()) } else { Err(VerifyError::RootDiffers) };
    }
    let last = older.wrapping_sub(1);
    let complete = older.trailing_zeros();
    let (inner, border) = path_shape(last, newer);
    let inner = inner.saturating_sub(complete);
    let demanded = inner.saturating_add(border);
    // A whole older tree is its own seed; otherwise the proof starts with the seed.
    let (seed, rest) = if older.is_power_of_two() {
        check_length(proof, demanded)?;
        (*older_root, proof)
    } else {
        check_length(proof, demanded.saturating_add(1))?;
        match proof.split_first() {
            Some((seed, rest)) => (*seed, rest),
            None => return Err(VerifyError::WrongLength { expected: 1, given: 0 }),
        }
    };
    let position = last.wrapping_shr(complete);
    let (inside, above) = split_proof(rest, inner);
    if chain_border(chain_inner_older(seed, inside, position), above) != *older_root {
        return Err(VerifyError::OlderRootDiffers);
    }
    if chain_border(chain_inner(seed, inside, position), above) != *newer_root {
        return Err(VerifyError::RootDiffers);
    }
    Ok(())
}

#[cfg(test)]
#[path = "merkle_tests.rs"]
mod tests;
