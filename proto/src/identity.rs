//! Who is who: certificates of nodes, rosters of voters, the beginning of a domain, and asking to join one.
//!
//! All are signed by the domain's root key except the join request, which the joining node signs itself.

use crate::{
    amount::AssetCode,
    ids::{AgentId, DomainId, Hash, PublicKey},
    limits::NONCE_BYTES,
    policy::Policy,
    text::{Endpoint, Nickname},
};
use alloc::{collections::BTreeMap, vec::Vec};
use bytes::Bytes;

/// A node belongs to a domain. Context [`crate::envelope::Context::NodeCertificate`]; signed by the domain's root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    /// The domain.
    pub domain: DomainId,
    /// The node's key: its libp2p identity.
    pub node: PublicKey,
    /// What it may do.
    pub roles: Roles,
    /// Valid from, ms since the Unix epoch.
    pub not_before_ms: u64,
    /// Valid until, ms since the Unix epoch.
    pub not_after_ms: u64,
    /// Counts up with each certificate of the domain; a revocation names it.
    pub serial: u64,
}

/// What a node may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Votes in the domain's Raft group.
    pub voter: bool,
    /// Follows the log without a vote.
    pub learner: bool,
    /// Speaks with other domains for its own.
    pub gateway: bool,
}

/// The voters of a domain. Context [`crate::envelope::Context::Roster`]; signed by the domain's root key. The highest
/// epoch counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roster {
    /// The domain.
    pub domain: DomainId,
    /// Counts up with each membership change.
    pub epoch: u64,
    /// 1 to [`crate::limits::ROSTER_MAX`] node keys, ascending, each once.
    pub voters: Vec<PublicKey>,
    /// Whose each of these keys is, while a voter has more than one: the position of the first key of the same voter. Empty
    /// where each is another voter's.
    pub seats: Vec<u8>,
}

/// The seats of a roster, from whoever holds each of its keys, in their order.
pub fn seats_of<T: PartialEq>(holders: &[T]) -> Vec<u8> {
    let first = |holder: &T| holders.iter().position(|other| other == holder).unwrap_or_default();
    let seats = || holders.iter().map(first);
    if seats().enumerate().all(|(at, seat)| at == seat) {
        return Vec::new();
    }
    seats().map(|seat| u8::try_from(seat).unwrap_or(u8::MAX)).collect()
}

/// For each voter of a roster all keys that it may sign with.
pub fn keys_by_seat(voters: &[PublicKey], seats: &[u8]) -> BTreeMap<usize, Vec<PublicKey>> {
    let mut all: BTreeMap<usize, Vec<PublicKey>> = BTreeMap::new();
    for (at, key) in voters.iter().enumerate() {
        let seat = seats.get(at).map_or(at, |seat| usize::from(*seat));
        all.entry(seat).or_default().push(*key);
    }
    all
}

/// Node certificates that a domain takes back before their end. Context [`crate::envelope::Context::Revocations`]; signed
/// by the domain's root key. The highest epoch counts and lists them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocations {
    /// The domain.
    pub domain: DomainId,
    /// Counts up with each list.
    pub epoch: u64,
    /// 1 to [`crate::limits::REVOKED_MAX`] serials, ascending, each once.
    pub serials: Vec<u64>,
}

/// How a domain begins: the first item of its log. Context [`crate::envelope::Context::Genesis`]; signed by the domain's
/// root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The hash of `domain_key`.
    pub domain: DomainId,
    /// The domain's first root key.
    pub domain_key: PublicKey,
    /// Display only.
    pub nickname: Nickname,
    /// Signs the operator's commands; need not be the root key.
    pub operator_key: PublicKey,
    /// Code of the domain's own first asset.
    pub asset_code: AssetCode,
    /// Its decimals.
    pub asset_scale: u8,
    /// Its supply cap, minor units; 0: this domain issues nothing, its agents use the money of others.
    pub supply_cap: u64,
    /// In force at once.
    pub policy: Policy,
    /// The first roster: an envelope of the same root key.
    pub roster: Bytes,
    /// 1; raised when a ledger is restored from a backup.
    pub incarnation: u64,
}

/// A node asks to join a domain. Context [`crate::envelope::Context::JoinRequest`]; signed by the node's own key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The domain to join.
    pub domain: DomainId,
    /// The node that asks; equals the signing key.
    pub node: PublicKey,
    /// [`JoinRequest::proof_of`] the join token's secret and `node`: shows that this node was invited, and is of no use
    /// to another one.
    pub token_proof: Hash,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// When it asked, ms since the Unix epoch.
    pub issued_at_ms: u64,
    /// Random, so that two requests differ.
    pub nonce: [u8; NONCE_BYTES],
}

impl JoinRequest {
    /// What the holder of a join token's secret computes for its node key.
    pub fn proof_of(secret: &[u8; 32], node: &PublicKey) -> Hash {
        Hash::of_parts("comity/v1/join-token", &[secret, &node.0])
    }
}

/// A home domain confirms which key an agent signs with now. Context [`crate::envelope::Context::KeyAttestation`];
/// signed by a voter of that domain: whoever relies on it looks the signing key up in the domain's roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAttestation {
    /// The home domain.
    pub domain: DomainId,
    /// The agent.
    pub agent: AgentId,
    /// Its current key.
    pub key: PublicKey,
    /// Not to be relied on after this, ms since the Unix epoch.
    pub valid_until_ms: u64,
}
