//! What a peer tells a domain that was restored from a backup: every transfer that the two share, with its proof, and
//! what their assets come to.
//!
//! The restored ledger asks page by page, under its new incarnation; whoever has heard that hears no older one any more,
//! so a page stays true until the fence is lifted.

use crate::{
    amount::AssetId,
    ids::{DomainId, Hash, TransferId},
    settlement::Prepare,
};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A transfer among those of all origins; pages follow its order.
pub type SharedKey = (DomainId, TransferId);

/// Asks for the transfers behind one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BooksAsk {
    /// The last one that was told; `None` from the first on.
    pub after: Option<SharedKey>,
}

/// One page of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Books {
    /// The incarnation that asked.
    pub incarnation: u64,
    /// As in the question.
    pub after: Option<SharedKey>,
    /// In order; at most [`crate::limits::BOOKS_TRANSFERS_MAX`].
    pub transfers: Vec<SharedTransfer>,
    /// Signed words of the domain that asked, which the transfers name as their proof.
    pub evidence: Vec<Bytes>,
    /// On the last page.
    pub end: Option<BooksEnd>,
}

/// One transfer as the sender of the page has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedTransfer {
    /// What was asked.
    pub prepare: Prepare,
    /// What became of it there.
    pub state: SharedState,
    /// Digest of the proof: signed by the domain that asked.
    pub evidence: Option<Hash>,
}

impl SharedTransfer {
    /// Which.
    pub const fn key(&self) -> SharedKey {
        (self.prepare.origin, self.prepare.transfer)
    }
}

/// What became of a shared transfer at the sender of the page. In brackets what proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SharedState {
    /// Undecided, and the receiver's or the sender's yes stands. \[the receiver's prepare, or its vote\]
    Promised,
    /// Committed, and the sender has not posted its part, or is itself the origin. \[the receiver's decision, or its vote\]
    Committed,
    /// Committed, and the sender has posted its part of the receiver's transfer. \[the receiver's decision\]
    Posted {
        /// Fee that the sender took.
        fee: u64,
    },
    /// The sender voted no; its own word is the proof.
    Refused {
        /// An outcome code.
        reason: u16,
    },
    /// Aborted. \[the receiver's decision; of its own transfers the sender's word\]
    Aborted,
    /// A third domain's payment to the receiver: the sender's reserve has moved behind it.
    Backed,
}

/// What closes the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BooksEnd {
    /// Of each asset that one of the two issues, ascending: at its issuer the reserve with what is held of it, at its
    /// holder the wrapped units. Zero is absent.
    pub figures: Vec<(AssetId, u64)>,
    /// What the receiver began and was to be decided until then is finished and forgotten here; its ledger time.
    pub yours_forgotten_ms: u64,
    /// The same of what the sender began; its own ledger time.
    pub ours_forgotten_ms: u64,
}
