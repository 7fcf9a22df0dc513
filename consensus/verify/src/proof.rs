//! Short proofs about a history that stays where it is (RFC 9162): this tree extends that one, this event is in it.
//!
//! A proof is judged against signed checkpoints that the caller holds. Its length is fixed by the sizes, so one of another
//! length is refused before anything is hashed.

use comity_ledger::{
    checkpoint::Checkpoint,
    merkle::{VerifyError, leaf_hash, verify_consistency, verify_inclusion},
};
use comity_proto::ids::Hash;
use std::fmt;

/// Why a proof, or a pair of checkpoints, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The two checkpoints are of different domains.
    OtherDomain,
    /// The newer one has fewer events: history was cut.
    Shrunk {
        /// Events in the older one.
        older: u64,
        /// Events in the newer one.
        newer: u64,
    },
    /// One size, two roots: the two together prove that the domain said two things.
    SameSizeOtherRoot {
        /// Events in both.
        size: u64,
    },
    /// The older tree is empty: every tree extends it, so a proof would prove nothing.
    EmptyOlder,
    /// The event's index lies outside of the tree.
    OutsideTree {
        /// The index.
        index: u64,
        /// Events in the tree.
        size: u64,
    },
    /// More hashes than the sizes demand.
    ProofTooLong {
        /// What the sizes demand.
        expected: usize,
        /// What was given.
        given: usize,
    },
    /// Fewer hashes than the sizes demand.
    ProofTooShort {
        /// What the sizes demand.
        expected: usize,
        /// What was given.
        given: usize,
    },
    /// The hashes do not lead to the older root: what was signed then is not in what is shown now.
    OlderRootDiffers,
    /// The hashes do not lead to the (newer) root.
    RootDiffers,
}

impl Refused {
    /// Stable name for machines.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Refused::OtherDomain => "other_domain",
            Refused::Shrunk { .. } => "shrunk",
            Refused::SameSizeOtherRoot { .. } => "same_size_other_root",
            Refused::EmptyOlder => "empty_older",
            Refused::OutsideTree { .. } => "outside_tree",
            Refused::ProofTooLong { .. } => "proof_too_long",
            Refused::ProofTooShort { .. } => "proof_too_short",
            Refused::OlderRootDiffers => "older_root_differs",
            Refused::RootDiffers => "root_differs",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::OtherDomain => f.write_str("the checkpoints are of different domains"),
            Refused::Shrunk { older, newer } => write!(f, "{older} events were signed before, {newer} now"),
            Refused::SameSizeOtherRoot { size } => write!(f, "two roots were signed over {size} events"),
            Refused::EmptyOlder => f.write_str("the older tree is empty"),
            Refused::OutsideTree { index, size } => write!(f, "event {index} of a tree of {size}"),
            Refused::ProofTooLong { expected, given } | Refused::ProofTooShort { expected, given } => {
                write!(f, "{given} hashes where the sizes demand {expected}")
            }
            Refused::OlderRootDiffers => f.write_str("the proof does not lead to the older root"),
            Refused::RootDiffers => f.write_str("the proof does not lead to the root"),
        }
    }
}

impl std::error::Error for Refused {}

/// Whether `newer` may extend `older` at all; for one size this is the whole question.
///
/// # Errors
/// Another domain, a shrunk tree, one size with two roots.
pub fn comparable(older: &Checkpoint, newer: &Checkpoint) -> Result<(), Refused> {
    if older.domain != newer.domain {
        return Err(Refused::OtherDomain);
    }
    if newer.size < older.size {
        return Err(Refused::Shrunk { older: older.size, newer: newer.size });
    }
    if newer.size == older.size && newer.root != older.root {
        return Err(Refused::SameSizeOtherRoot { size: newer.size });
    }
    Ok(())
}

/// Checks that `newer` extends `older`.
///
/// # Errors
/// Named; nothing was hashed when the length is wrong.
pub fn extends(older: &Checkpoint, newer: &Checkpoint, proof: &[Hash]) -> Result<(), Refused> {
    comparable(older, newer)?;
    if older.size == 0 {
        return Err(Refused::EmptyOlder);
    }
    verify_consistency(older.size, newer.size, &older.root, &newer.root, proof).map_err(|error| named(error, 0, 0))
}

/// Checks that the event with these exact bytes stands at `index`.
///
/// # Errors
/// As [`extends`].
pub fn includes(checkpoint: &Checkpoint, index: u64, event: &[u8], proof: &[Hash]) -> Result<(), Refused> {
    let size = checkpoint.size;
    verify_inclusion(&leaf_hash(event), index, size, proof, &checkpoint.root).map_err(|error| named(error, index, size))
}

const fn named(error: VerifyError, index: u64, size: u64) -> Refused {
    match error {
        VerifyError::OutOfRange => Refused::OutsideTree { index, size },
        VerifyError::WrongLength { expected, given } if given > expected => Refused::ProofTooLong { expected, given },
        VerifyError::WrongLength { expected, given } => Refused::ProofTooShort { expected, given },
        VerifyError::OlderRootDiffers => Refused::OlderRootDiffers,
        VerifyError::RootDiffers => Refused::RootDiffers,
    }
}
