//! A peer as static configuration: pinned keys, status, caps. Two-sided signing comes with federation.

use crate::{
    amount::AssetId,
    ids::{DomainId, PublicKey},
    text::Nickname,
};
use alloc::vec::Vec;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What this domain grants a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treaty {
    /// The peer.
    pub peer: DomainId,
    /// Its root key, pinned; certifies its nodes and rosters.
    pub peer_key: PublicKey,
    /// Display and name resolution on this side.
    pub nickname: Nickname,
    /// Whether a new prepare is accepted. Anything begun is always finished.
    pub active: bool,
    /// How much of each asset issued by the peer this domain accepts in all, minor units.
    pub caps: Vec<ExposureCap>,
    /// The peer's roster as first known: an envelope in context `Roster`.
    pub roster: Bytes,
}

/// An upper bound on a peer's paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposureCap {
    /// An asset issued by the peer.
    pub asset: AssetId,
    /// Minor units, wrapped supply plus pending.
    pub cap: u64,
}
