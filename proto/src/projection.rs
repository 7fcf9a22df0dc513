//! What the log of one domain says about another one, with the proof that it stands there.
//!
//! ```text
//! event -> path -> root of a tree -> checkpoint, signed by a voter -> roster -> root key, whose hash is the domain's id
//! ```
//! An excerpt is an answer between nodes and is not signed: everything in it is proved against the checkpoint that the asker
//! holds already. With that checkpoint it is a projection, which every replica of the asker judges alone.

use crate::ids::Hash;
use alloc::vec::Vec;
use bytes::Bytes;

/// One event of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedEvent {
    /// Its number in the log, from 0.
    pub index: u64,
    /// Its exact bytes, the data of that leaf.
    pub event: Bytes,
    /// From that leaf to the root, leaf side first (RFC 9162).
    pub path: Vec<Hash>,
}

/// Some events of a log, proved to one tree of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// That the tree extends the one that the asker held before; empty for the first.
    pub extends: Vec<Hash>,
    /// By number, ascending; at most [`crate::limits::EXCERPT_EVENTS_MAX`].
    pub events: Vec<ProvedEvent>,
}

/// An excerpt under the checkpoint of the tree that it is proved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projection {
    /// Envelope of the roster that the checkpoint's signer stands in.
    pub roster: Bytes,
    /// Envelope of the checkpoint.
    pub checkpoint: Bytes,
    /// What is proved.
    pub excerpt: Excerpt,
}
