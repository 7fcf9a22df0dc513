//! What may be said in Comity: ids, amounts, limits, signed envelopes, and every message that crosses a wire.
//!
//! `no_std` with `alloc`: no clock, randomness, files, threads, hash maps, floats or logging can leak in.
//!
//! ```text
//! bytes of a frame -> envelope::open -> Verified<T> -> typed message
//! ```
//! | module | holds |
//! |---|---|
//! | [`planted`] | bugs on purpose, in the simulator's extra build only |
//! | [`limits`] | every limit of the system and how limits relate |
//! | [`reject`] | why bytes are refused before a ledger sees them |
//! | [`ids`], [`keys`], [`amount`], [`text`] | the small values |
//! | [`envelope`] | contexts, signing, `Verified<T>` |
//! | [`jws`] | signatures over JSON that software of others reads |
//! | [`command`], [`escrow`], [`policy`], [`treaty`] | what a ledger may be asked |
//! | [`settlement`] | two-phase commit between domains |
//! | [`entry`] | what stands in the replicated log |
//! | [`identity`], [`session`] | certificates, rosters, genesis, joining, sessions |
//! | [`card`], [`gossip`] | what agents and domains say about themselves; heartbeats, suspicions, hello, repair |
//! | [`task`] | work between agents, and the demand for its payment |
//! | [`licence`] | what a domain grants a peer to ask of it, and how much |
//! | [`roots`] | how one root key of a domain follows another, and which of them counts |
//! | [`key_step`] | the life of the keys that act for a domain |
//! | [`drift`] | what a domain notes about a peer with which it disagrees |
//! | [`export`] | what a domain lets the others see and hire |
//! | [`passage`] | what a gateway says about a card that it passes from one mesh to another |
//! | [`projection`] | what the log of one domain says about another one, with proofs |
//! | [`relay`] | what nodes ask each other for agents, and a home domain's receipt |
//!
//! Absent on purpose: the framing of streams (the node's mesh, which has one limit per class), outcomes and events
//! (the ledger's), making keys (the node's), and any rule about money.
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

pub mod amount;
pub mod books;
pub mod card;
pub mod command;
mod convert;
pub mod drift;
pub mod entry;
pub mod envelope;
pub mod escrow;
pub mod export;
pub mod gossip;
pub mod http_signature;
pub mod identity;
pub mod ids;
pub mod jws;
pub mod key_step;
pub mod keys;
pub mod licence;
pub mod limits;
pub mod passage;
pub mod planted;
pub mod policy;
pub mod projection;
#[cfg(feature = "recall")]
pub mod recall;
pub mod reject;
pub mod relay;
pub mod roots;
mod scan;
pub mod session;
pub mod settlement;
mod strict;
pub mod task;
pub mod text;
pub mod treaty;

/// The generated wire types. Private: outside this crate only the typed twins exist.
#[allow(missing_docs, unreachable_pub, dead_code, clippy::all, clippy::arithmetic_side_effects)]
mod wire {
    include!(concat!(env!("OUT_DIR"), "/comity.v1.rs"));
}
