//! What this node saw of its peers' histories, and who signed that ours was only added to.

use super::{
    books,
    error::{Kind, ServiceError},
    shape,
};
use crate::{
    node::Node,
    storage::audit::{Kept, Shelf},
    witness,
};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    ids::{DomainId, Hash, PublicKey},
    relay::Cosignature,
};
use comity_verify::checkpoint_of;
use serde::Serialize;
use std::{collections::BTreeMap, io};
use utoipa::ToSchema;

/// One peer as this node witnesses it. `None` is "not yet", never zero.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WitnessedPeer)]
pub struct PeerView {
    /// Its id.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// Its nickname on this side.
    pub nickname: String,
    /// Events in its last checkpoint that we checked.
    pub size: Option<u64>,
    /// Root over them.
    #[schema(value_type = Option<shape::HashText>)]
    pub root: Option<Hash>,
    /// The voter that signed it.
    #[schema(value_type = Option<shape::KeyText>)]
    pub signer: Option<PublicKey>,
    /// Since it was last confirmed, ms.
    pub age_ms: Option<u64>,
    /// Events in our last checkpoint that it cosigned.
    pub cosigned_size: Option<u64>,
    /// Since it did, ms.
    pub cosigned_age_ms: Option<u64>,
    /// There is a proof that it signed two histories, or two ends of one transfer.
    pub accused: bool,
    /// Events of its log that concern this domain and stand in ours with their proof.
    pub projected: u64,
    /// Events in the tree of its log that they are proved to.
    pub projected_size: Option<u64>,
}

fn broken(error: &io::Error) -> ServiceError {
    ServiceError::new(Kind::Internal, "witness_unreadable", error.to_string(), "see the node's log")
}

async fn shelf(node: &Node, shelf: Shelf) -> Result<BTreeMap<DomainId, Kept>, ServiceError> {
    node.memory().all(shelf).await.map(|all| all.into_iter().collect()).map_err(|error| broken(&error))
}

/// Every peer, and this domain itself when somebody proved that it signed two histories.
///
/// # Errors
/// `witness_unreadable`.
pub async fn list(node: &Node) -> Result<Vec<PeerView>, ServiceError> {
    let seen = shelf(node, Shelf::Seen).await?;
    let cosigned = shelf(node, Shelf::Cosigned).await?;
    let mut accused = shelf(node, Shelf::Accused).await?;
    accused.extend(shelf(node, Shelf::Decided).await?);
    let now_ms = comity_runtime::wall_ms();
    let mut domains: BTreeMap<DomainId, String> = node
        .replica()
        .read_stale(|ledger, _| ledger.treaties().map(|treaty| (treaty.peer, treaty.nickname.to_string())).collect());
    let own = node.replica().read_stale(|ledger, _| books::name_of(ledger, &node.domain()));
    if accused.contains_key(&node.domain()) {
        domains.insert(node.domain(), own);
    }
    let projected: BTreeMap<DomainId, (u64, Option<u64>)> = node.replica().read_stale(|ledger, _| {
        let of = |domain: &DomainId| ledger.peer_state(domain).map(|state| &state.projected);
        let figures = |domain: &DomainId| of(domain).map(|all| (all.count, all.tree.map(|(size, _)| size)));
        domains.keys().filter_map(|domain| Some((*domain, figures(domain)?))).collect()
    });
    let view = |(domain, nickname): (DomainId, String)| {
        let (count, size) = projected.get(&domain).copied().unwrap_or_default();
        let held = seen.get(&domain);
        let judged = held.and_then(|kept| checkpoint_of(kept.bytes.as_ref()).ok());
        let theirs = cosigned.get(&domain);
        let signed = theirs.and_then(|kept| Cosignature::open(&kept.bytes).ok());
        PeerView {
            domain,
            nickname,
            size: judged.as_ref().map(|judged| judged.checkpoint().size),
            root: judged.as_ref().map(|judged| judged.checkpoint().root),
            signer: judged.as_ref().map(comity_verify::Judged::signer),
            age_ms: held.map(|kept| now_ms.saturating_sub(kept.heard_ms)),
            cosigned_size: signed.map(|signed| signed.get().size),
            cosigned_age_ms: theirs.map(|kept| now_ms.saturating_sub(kept.heard_ms)),
            accused: accused.contains_key(&domain),
            projected: count,
            projected_size: size,
        }
    };
    Ok(domains.into_iter().map(view).collect())
}

/// The exact documents that are kept of a domain: its checkpoint, its cosignature of ours, the proof against it; of two, the
/// one that suspends.
///
/// # Errors
/// `witness_unreadable`.
pub async fn documents(node: &Node, domain: DomainId) -> Result<[Option<Bytes>; 3], ServiceError> {
    let kept = async |shelf| -> Result<Option<Bytes>, ServiceError> {
        let kept = node.memory().get(shelf, domain).await.map_err(|error| broken(&error))?;
        Ok(kept.map(|kept| kept.bytes))
    };
    let proof = match kept(Shelf::Decided).await? {
        None => kept(Shelf::Accused).await?,
        decided => decided,
    };
    Ok([kept(Shelf::Seen).await?, kept(Shelf::Cosigned).await?, proof])
}

/// Holds a checkpoint that somebody handed over against what is known. True when it proves that its domain signed two
/// histories; then everybody is told.
///
/// # Errors
/// The name of what is wrong with the document; `witness_unreadable`.
pub async fn tell(node: &Node, document: Bytes) -> Result<bool, ServiceError> {
    if document.len() > comity_proto::limits::AUDIT_DOCUMENT_BYTES_MAX {
        return Err(ServiceError::bad_input("too_large", "a checkpoint document is a few hundred bytes"));
    }
    checkpoint_of(document.as_ref()).map_err(|wrong| {
        ServiceError::new(Kind::Refused, wrong.rule.name(), wrong.to_string(), "get the document again")
    })?;
    witness::consider(node, document).await.map_err(|error| broken(&error))
}
