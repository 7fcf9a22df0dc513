//! Licences: how much of what it is let a peer may ask. The node that holds the domain's root key signs.
//!
//! A peer that cannot do mutual TLS is given a bearer token with its licence: shown once, kept as its SHA-256 in the
//! signed licence and so in the ledger. It opens what other domains read over HTTP, and nothing else.

use super::{
    books::read,
    commands,
    error::{Kind, ServiceError},
    peers::{ask, keys, show, until},
    principal::fresh_token,
    view::PeerView,
};
use crate::node::Node;
use comity_ledger::Outcome;
use comity_proto::{
    command::Verb,
    envelope::Signed as _,
    ids::{DomainId, Hash},
    licence::{Licence, LicenceStatus},
    limits::DAY_MS,
    text::{Nickname, Reason},
};
use sha2::{Digest as _, Sha256};

/// What an operator grants.
#[derive(Clone, Debug)]
pub struct Grant {
    /// A name for people.
    pub tier: String,
    /// Agents whose cards are kept.
    pub agents: u32,
    /// Events that each node takes in a minute.
    pub events: u32,
    /// How long.
    pub days: u32,
    /// Whether a token is given with it.
    pub bearer: bool,
}

/// What every bearer token begins with; 64 hexadecimal digits follow.
pub const BEARER: &str = "cm_lic_";

fn hash_of(token: &str) -> Hash {
    Hash(Sha256::digest(token.as_bytes()).into())
}

/// Whether two hashes are one, in the same time whatever they are.
fn same(one: &Hash, other: &Hash) -> bool {
    one.0.iter().zip(&other.0).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
}

/// Whose bearer token it is. Suspended, revoked and ended licences are found too: refusing them has a name of its own.
///
/// # Errors
/// `bad_licence_token`.
pub fn holder(node: &Node, token: &str) -> Result<DomainId, ServiceError> {
    let hash = hash_of(token);
    // Every licence is compared, so that the time says nothing about which one it was.
    let found = node.replica().read_stale(|ledger, _| {
        ledger.treaties().fold(None, |found, treaty| {
            let bearer = treaty.granted.as_ref().and_then(|granted| granted.licence.bearer);
            if bearer.is_some_and(|bearer| same(&bearer, &hash)) { Some(treaty.peer) } else { found }
        })
    });
    found.ok_or_else(|| {
        let next = "send the token that came with the licence; a newer licence ends the token before";
        ServiceError::new(Kind::Unauthenticated, "bad_licence_token", "no licence here has that token", next)
    })
}

/// What the next epoch of a licence says, besides who, when and why.
struct Terms {
    tier: Nickname,
    agents_max: u32,
    events_per_minute: u32,
    expires_at_ms: u64,
    status: LicenceStatus,
    bearer: Option<Hash>,
}

/// Grants a licence, in place of the one before if there is one. Answers its bearer token too: it is nowhere else.
///
/// # Errors
/// `no_domain_key`, `bad_tier`, `reason_missing`, and what the ledger refuses.
pub async fn issue(
    node: &Node,
    peer: DomainId,
    grant: &Grant,
    reason: &str,
) -> Result<(PeerView, Option<String>), ServiceError> {
    let tier = Nickname::new(&grant.tier)
        .map_err(|_| ServiceError::bad_input("bad_tier", format!("`{}` is no name of a tier", grant.tier)))?;
    let ends_in = u64::from(grant.days).saturating_mul(DAY_MS);
    let token = grant.bearer.then(|| format!("{BEARER}{}", fresh_token()));
    let bearer = token.as_deref().map(hash_of);
    let view = say(node, peer, reason, |_, stamp_ms| {
        Some(Terms {
            tier: tier.clone(),
            agents_max: grant.agents,
            events_per_minute: grant.events,
            // A quiet ledger's time stands still.
            expires_at_ms: stamp_ms.max(comity_runtime::wall_ms()).saturating_add(ends_in),
            status: LicenceStatus::Active,
            bearer,
        })
    })
    .await?;
    Ok((view, token))
}

/// Suspends, resumes or revokes the licence that stands, with the quotas that it has.
///
/// # Errors
/// As [`issue`]; `unknown_licence` without one, or once it is revoked.
pub async fn change(
    node: &Node,
    peer: DomainId,
    status: LicenceStatus,
    reason: &str,
) -> Result<PeerView, ServiceError> {
    say(node, peer, reason, |last, _| {
        let stands = last.filter(|last| last.status != LicenceStatus::Revoked);
        let Licence { tier, agents_max, events_per_minute, expires_at_ms, bearer, .. } = stands?.clone();
        Some(Terms { tier, agents_max, events_per_minute, expires_at_ms, status, bearer })
    })
    .await
}

/// Signs the next epoch, and tells the peer.
async fn say(
    node: &Node,
    peer: DomainId,
    reason: &str,
    terms: impl Fn(Option<&Licence>, u64) -> Option<Terms>,
) -> Result<PeerView, ServiceError> {
    let root = &keys(node)?.root;
    if reason.trim().is_empty() {
        return Err(ServiceError::bad_input("reason_missing", "say why: both sides keep it"));
    }
    let reason = Reason::new(reason).map_err(|reject| commands::of_reject(&reject))?;
    let known = read(node, |ledger| {
        let treaty = ledger.treaty(&peer)?;
        let last = treaty.granted.as_ref().map(|granted| &granted.licence);
        let epoch = last.map_or(0, |last| last.epoch).saturating_add(1);
        Some((treaty.peer_key, epoch, terms(last, ledger.stamp_ms())))
    });
    let (holder, epoch, terms) = known.await?.ok_or_else(|| commands::of_outcome(Outcome::UnknownTreaty))?;
    let terms = terms.ok_or_else(|| ServiceError::not_found("licence", peer))?;
    let Terms { tier, agents_max, events_per_minute, expires_at_ms, status, bearer } = terms;
    let licence = Licence {
        from: node.domain(),
        holder,
        epoch,
        tier,
        agents_max,
        events_per_minute,
        expires_at_ms,
        status,
        reason,
        bearer,
    };
    ask(node, Verb::IssueLicence { licence: licence.seal(root) }).await?;
    if !node.mesh().nodes_of(&peer).is_empty() {
        until(node, peer, |treaty| treaty.granted.as_ref().is_none_or(|granted| !granted.untold)).await;
    }
    show(node, peer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_same_only_when_every_bit_is() {
        let hash = hash_of("cm_lic_00");
        assert!(same(&hash, &hash_of("cm_lic_00")) && !same(&hash, &hash_of("cm_lic_01")));
        for at in [0, 31] {
            let mut other = hash;
            other.0[at] ^= 0x80;
            assert!(!same(&hash, &other), "{at}");
        }
    }
}
