//! Judges what a domain says of its own history, with nothing of that domain but a file: no network, no node, no trust in
//! whoever handed the file over.
//!
//! ```text
//! file -> document (form) -> chain (who signed) -> export: leaf, replay (double entry), root -> Report | Wrong
//! ```
//! | module | holds |
//! |---|---|
//! | [`document`] | the five file formats, written and read as a stream |
//! | [`chain`] | domain id -> root key -> roster -> voter -> checkpoint |
//! | [`replay`] | the rules of the books, one event at a time |
//! | [`export`] | a whole history against its signed checkpoint, and against an older one |
//! | `keyring` | the steps of every key, and which root key acts |
//! | [`projected`] | events of other domains in a history, each with its proof |
//! | [`proof`] | one tree extends another, one event is in a tree: short proofs instead of a history |
//! | [`decisions`] | two signed ends of one transfer as a proof of their own |
//! | [`verdict`] | one entry for every kind of document; two signed histories as a proof of their own |
//! | [`wrong`] | every refusal, by name |
//!
//! Absent on purpose: any code of a node, and `apply`. A judge that decides as the accused does finds nothing: the rules
//! here are written from what an event says, not from how the ledger came to it. What an event does not say (the signed
//! commands behind it) is not judged here. Shared with the ledger is one pure rule: which step may follow in the life of a
//! key.
#![forbid(unsafe_code)]

pub mod chain;
mod closing;
pub mod decisions;
pub mod document;
pub mod export;
mod keyring;
pub mod projected;
pub mod proof;
pub mod replay;
pub mod report;
pub mod verdict;
pub mod wrong;

pub use chain::{Chain, Judged};
pub use export::Report;
pub use verdict::{Verdict, checkpoint_of, verify};
pub use wrong::{Place, Rule, Wrong};
