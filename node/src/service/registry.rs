//! The domain's card: what this node shows, what it knows of others, and the operator's words in it.

use super::{error::ServiceError, shape};
use crate::{mesh::Path, node::Node, registry::json};
use bytes::Bytes;
use comity_proto::ids::DomainId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A domain's card as this node has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RegistryCardView {
    /// Whose.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// The signed document, to be verified by whoever reads this.
    pub card: Value,
    /// `local`, `first hand`, `relayed` or `stored`.
    pub path: &'static str,
    /// Whether the domain's key is one that this node has pinned.
    pub pinned: bool,
    /// Since it was first heard here, ms.
    pub age_ms: u64,
    /// Whether it has expired.
    pub stale: bool,
}

/// The newest card of a domain, its own included.
///
/// # Errors
/// `unknown_domain_card`: none was heard yet, or the domain is gone.
pub fn card_of(node: &Node, domain: DomainId) -> Result<RegistryCardView, ServiceError> {
    let entry = node.mesh().domain_card(&domain).filter(|entry| !entry.card.get().retired);
    let unknown = || ServiceError::not_found("domain_card", domain);
    let entry = entry.ok_or_else(unknown)?;
    let now_ms = comity_runtime::wall_ms();
    Ok(RegistryCardView {
        domain,
        card: json::parse(&entry.card.get().document).map_err(|_| unknown())?,
        path: match entry.path {
            Path::Local => "local",
            Path::FirstHand(_) => "first hand",
            Path::Relayed(_) => "relayed",
            Path::Bridged { .. } => "bridged",
            Path::Stored => "stored",
        },
        pinned: entry.home_known,
        age_ms: now_ms.saturating_sub(entry.first_heard_ms),
        stale: entry.is_stale(now_ms),
    })
}

/// What is to be changed; an empty text takes a word back.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// See [`crate::registry::profile::Profile`].
    pub contact: Option<String>,
    /// See [`crate::registry::profile::Profile`].
    pub latitude: Option<String>,
    /// See [`crate::registry::profile::Profile`].
    pub longitude: Option<String>,
    /// See [`crate::registry::profile::Profile`].
    pub external_auditor_endpoint: Option<String>,
    /// All addresses of public doors, in place of those before.
    pub endpoints: Option<Vec<String>>,
    /// Peers to name from now on.
    pub show: Vec<DomainId>,
    /// Peers to name no longer.
    pub hide: Vec<DomainId>,
}

/// Changes the operator's words. Answers the exact bytes of the new card.
///
/// # Errors
/// `bad_card_profile`, `unknown_domain` for a peer without a treaty, `not_a_voter`, `card_not_made_yet`.
pub async fn edit(node: &Node, edit: Edit) -> Result<Bytes, ServiceError> {
    let stranger = |peer: &&DomainId| node.replica().read_stale(|ledger, _| ledger.treaty(peer).is_none());
    if let Some(peer) = edit.show.iter().find(stranger) {
        return Err(ServiceError::not_found("domain", peer));
    }
    let mut profile = node.shown().profile();
    let set = |word: &mut Option<String>, said: Option<String>| {
        if let Some(text) = said {
            *word = Some(text).filter(|text| !text.is_empty());
        }
    };
    set(&mut profile.contact, edit.contact);
    set(&mut profile.latitude, edit.latitude);
    set(&mut profile.longitude, edit.longitude);
    set(&mut profile.external_auditor_endpoint, edit.external_auditor_endpoint);
    if let Some(endpoints) = edit.endpoints {
        profile.endpoints = endpoints.into_iter().filter(|address| !address.is_empty()).collect();
    }
    profile.peers.retain(|peer| !edit.hide.contains(peer));
    profile.peers.extend(edit.show);
    profile.peers.sort();
    profile.peers.dedup();
    node.shown().edit(node, profile).await.map(|card| card.bytes.clone())
}
