//! Licences: what one domain grants a peer to ask of it, and how much.
//!
//! A licence is signed by the root key of the domain that grants it and bound to the root key of the one that holds it.
//! Each next word about it, a suspension or a revocation too, is the next epoch of the same document: the highest epoch
//! stands, so an older one that somebody kept is worth nothing.
//!
//! A holder that cannot prove its key over HTTPS is given a bearer token: the licence has its SHA-256 and nobody has the
//! token but its holder. The token ends with the licence, and with the next one that is granted.

use crate::{
    ids::{DomainId, Hash, PublicKey},
    text::{Nickname, Reason},
};
use serde::{Deserialize, Serialize};

/// Whether a licence lets anything in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LicenceStatus {
    /// Up to its quotas.
    Active,
    /// Nothing new, until it is active again.
    Suspended,
    /// Nothing new, until another one is granted.
    Revoked,
}

impl LicenceStatus {
    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            LicenceStatus::Active => "active",
            LicenceStatus::Suspended => "suspended",
            LicenceStatus::Revoked => "revoked",
        }
    }
}

/// What a domain grants a peer. Context [`crate::envelope::Context::Licence`]; signed by its root key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licence {
    /// Who grants.
    pub from: DomainId,
    /// Root key of whoever holds it.
    pub holder: PublicKey,
    /// Counts up from 1 with each word of this domain about it.
    pub epoch: u64,
    /// A name for people.
    pub tier: Nickname,
    /// Agents of the holder whose cards are kept.
    pub agents_max: u32,
    /// Tasks, payments begun, relayed commands and cards of the holder that each node takes in a minute.
    pub events_per_minute: u32,
    /// Until then, ms since the Unix epoch.
    pub expires_at_ms: u64,
    /// From this epoch on.
    pub status: LicenceStatus,
    /// For people of both sides.
    pub reason: Reason,
    /// SHA-256 of the token that stands for the holder, if it was given one.
    pub bearer: Option<Hash>,
}
