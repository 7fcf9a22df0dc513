//! The life of the keys that act for a domain: the operator's, and that of each node.
//!
//! ```text
//! prepare    the next key is known, and does nothing yet
//! activate   it acts; the one before still counts for a while, so nobody who has not heard refuses anything
//! retire     the one before counts no more
//! revoke     a key that is not the active one counts no more, at once, and never again
//! ```
//! One document for each step, counted by a serial, so that a step is taken once and an old one never again. The ledger
//! judges who may sign it: the root key for the operator's key and for the next root key, the next root key itself when it
//! is activated, the node's own keys for a node's.

use crate::{
    ids::{AgentId, DomainId, PublicKey},
    keys::{SIGNATURE_BYTES, SecretKey, prove_rotation, verify_rotation},
    text::Reason,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What is done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum KeyChange {
    /// The next one is made known.
    Prepare,
    /// The prepared one acts from here on.
    Activate,
    /// The one before counts no more.
    Retire,
    /// A prepared or earlier one counts no more, and never again.
    Revoke,
}

impl KeyChange {
    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            KeyChange::Prepare => "prepare",
            KeyChange::Activate => "activate",
            KeyChange::Retire => "retire",
            KeyChange::Revoke => "revoke",
        }
    }
}

/// One step. Context [`crate::envelope::Context::KeyStep`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStep {
    /// Whose keys.
    pub domain: DomainId,
    /// A node's: the first key of its place among the voters, which names the place for ever. The root's: the first root
    /// key, which names the domain. `None`: the operator's.
    pub place: Option<PublicKey>,
    /// Counts up from 1 with each step of this holder.
    pub serial: u64,
    /// What is done.
    pub change: KeyChange,
    /// To which key.
    pub key: PublicKey,
    /// Activation of an operator's or root key: how long the one before still counts, ledger milliseconds.
    pub overlap_ms: u64,
    /// Preparation, else empty: of an operator's key [`KeyStep::prove`], of a node's its envelope of a
    /// [`crate::identity::NodeCertificate`], of a root key the links to it ([`crate::roots`]).
    pub proof: Bytes,
    /// For people.
    pub reason: Reason,
}

impl KeyStep {
    /// Whether it is about the domain's root key.
    pub fn is_of_root(&self) -> bool {
        self.place.is_some_and(|first| DomainId::of_key(&first) == self.domain)
    }

    /// The holder of the next operator's key agrees.
    pub fn prove(domain: &DomainId, next: &SecretKey) -> Bytes {
        Bytes::copy_from_slice(&prove_rotation(&AgentId(domain.0), next))
    }

    /// Whether the holder of the key agreed to become the operator.
    pub fn is_agreed(&self) -> bool {
        let proof: Result<[u8; SIGNATURE_BYTES], _> = self.proof.as_ref().try_into();
        proof.is_ok_and(|proof| verify_rotation(&AgentId(self.domain.0), &self.key, &proof).is_ok())
    }
}
