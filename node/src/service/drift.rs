//! Where peers and this domain disagree about each other, and what is refused meanwhile.

use super::{
    commands::peek,
    error::{Kind, ServiceError},
};
use crate::{
    drift::{self, PeerDrift},
    node::Node,
};
use bytes::Bytes;
use comity_proto::{
    command::Verb,
    ids::DomainId,
    planted::{Plant, planted},
};

/// Every peer as it was found last.
pub fn list(node: &Node) -> Vec<PeerDrift> {
    node.drifts().list(node)
}

/// Looks at one peer, or at all of them, now.
///
/// # Errors
/// `unknown_peer` without a treaty.
pub async fn scan(node: &Node, peer: Option<DomainId>) -> Result<Vec<PeerDrift>, ServiceError> {
    let known: Vec<DomainId> = list(node).into_iter().map(|peer| peer.domain).collect();
    if let Some(peer) = peer.filter(|peer| !known.contains(peer)) {
        return Err(ServiceError::not_found("peer", peer));
    }
    let looks = known.into_iter().filter(|known| peer.is_none_or(|peer| peer == *known));
    futures::future::join_all(looks.map(|known| drift::scan(node, known))).await;
    Ok(list(node).into_iter().filter(|view| peer.is_none_or(|peer| peer == view.domain)).collect())
}

/// Refuses what would begin a transfer to a peer that has drifted; everything else goes on.
pub(super) fn refuse_drifted(node: &Node, envelope: &Bytes) -> Result<(), ServiceError> {
    // Reading a batch costs as much as the leader's own reading of it: done only while somebody has drifted.
    if !node.home().config.drift_quarantine || !node.drifts().is_any() || planted(Plant::DriftOpen) {
        return Ok(());
    }
    let batch = peek(envelope)?;
    let drifted = batch.commands.iter().find_map(|command| match &command.verb {
        Verb::Transfer { to, .. } if node.drifts().has_drifted(&to.domain) => Some(to.domain),
        _ => None,
    });
    let Some(peer) = drifted else { return Ok(()) };
    let detail = format!("{peer} and this domain disagree about each other, so no transfer to it is begun");
    Err(ServiceError::new(Kind::Refused, "peer_in_drift", detail, "see what differs: comity drift show"))
}
