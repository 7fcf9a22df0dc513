//! The ledger of a domain: a pure state machine. Same entries in, same bytes out, on every replica.
//!
//! ```text
//! entry item -> check (pure, parallel: signatures) -> CheckedItem -> Ledger::apply -> Applied
//!                                                      outcomes, events, Merkle nodes, owed messages, evidence
//! ```
//! | module | holds |
//! |---|---|
//! | [`outcome`] | every answer, in order of precedence |
//! | [`check`] | what can be judged of bytes alone |
//! | `apply` | the gate, and one file per family of verbs |
//! | [`escrow`] | the life of an escrow |
//! | [`settlement`] | two-phase commit with other domains |
//! | [`treaty`] | what this domain agreed on with others |
//! | [`keys`] | the keys that act for this domain, and how they change |
//! | [`projection`] | what the logs of other domains say about this one, with proofs |
//! | `posting` | the one function that moves money |
//! | [`event`], [`merkle`], [`checkpoint`], [`statement`] | what happened, what is out, and the proof of it |
//! | [`state`], [`cow`], [`cow_queue`] | the state, in maps and queues that freeze cheaply |
//! | [`snapshot`], [`statement`] | the state as canonical chunks; the supply towards a peer |
//! | [`invariants`] | what is true after every entry |
//!
//! Absent on purpose: clocks, randomness, files, threads, logging, sending. Time is the stamp of the entry; what must be
//! sent is owed as a value.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::float_arithmetic
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod account;
mod apply;
pub mod check;
pub mod checkpoint;
pub mod cow;
mod cow_block;
pub mod cow_queue;
pub mod escrow;
pub mod event;
mod event_bytes;
pub mod invariants;
pub mod keys;
pub mod merkle;
pub mod outcome;
mod posting;
pub mod projection;
mod reads;
pub mod referral;
pub mod roots;
pub mod settlement;
pub mod snapshot;
pub mod state;
pub mod statement;
mod text_amount;
pub mod treaty;

pub use account::{AccountKey, AccountKind, AssetIndex, Leg};
pub use apply::Applied;
pub use check::{CheckedItem, check};
pub use event::{Event, EventKind};
pub use outcome::{Fault, Outcome};
pub use reads::Sizes;
pub use settlement::{Owed, OwedMessage};
pub use state::Ledger;
