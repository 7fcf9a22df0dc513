//! Licences: how much of what it is let a peer may ask. The node that holds the domain's root key signs.

use super::{
    books::read,
    commands,
    error::ServiceError,
    peers::{ask, keys, show, until},
    view::PeerView,
};
use crate::node::Node;
use comity_ledger::Outcome;
use comity_proto::{
    command::Verb,
    envelope::Signed as _,
    ids::DomainId,
    licence::{Licence, LicenceStatus},
    limits::DAY_MS,
    text::{Nickname, Reason},
};

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
}

/// What the next epoch of a licence says, besides who, when and why.
struct Terms {
    tier: Nickname,
    agents_max: u32,
    events_per_minute: u32,
    expires_at_ms: u64,
    status: LicenceStatus,
}

/// Grants a licence, in place of the one before if there is one.
///
/// # Errors
/// `no_domain_key`, `bad_tier`, `reason_missing`, and what the ledger refuses.
pub async fn issue(node: &Node, peer: DomainId, grant: &Grant, reason: &str) -> Result<PeerView, ServiceError> {
    let tier = Nickname::new(&grant.tier)
        .map_err(|_| ServiceError::bad_input("bad_tier", format!("`{}` is no name of a tier", grant.tier)))?;
    let ends_in = u64::from(grant.days).saturating_mul(DAY_MS);
    say(node, peer, reason, |_, stamp_ms| {
        Some(Terms {
            tier: tier.clone(),
            agents_max: grant.agents,
            events_per_minute: grant.events,
            // A quiet ledger's time stands still.
            expires_at_ms: stamp_ms.max(comity_runtime::wall_ms()).saturating_add(ends_in),
            status: LicenceStatus::Active,
        })
    })
    .await
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
        let Licence { tier, agents_max, events_per_minute, expires_at_ms, .. } = stands?.clone();
        Some(Terms { tier, agents_max, events_per_minute, expires_at_ms, status })
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
    let Terms { tier, agents_max, events_per_minute, expires_at_ms, status } = terms;
    let from = node.domain();
    let licence = Licence { from, holder, epoch, tier, agents_max, events_per_minute, expires_at_ms, status, reason };
    ask(node, Verb::IssueLicence { licence: licence.seal(root) }).await?;
    if !node.mesh().nodes_of(&peer).is_empty() {
        until(node, peer, |treaty| treaty.granted.as_ref().is_none_or(|granted| !granted.untold)).await;
    }
    show(node, peer).await
}
