//! What this node passes between two meshes, and which gateways lead where.

use super::shape;
use crate::{bridge::PairView, node::Node};
use comity_proto::ids::{DomainId, PublicKey};
use serde::Serialize;
use utoipa::ToSchema;

/// A domain that a gateway leads to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WayView {
    /// Which.
    #[schema(value_type = shape::DomainIdText)]
    pub to: DomainId,
    /// The gateway's node.
    #[schema(value_type = shape::KeyText)]
    pub through: PublicKey,
    /// The gateway's domain.
    #[schema(value_type = Option<shape::DomainIdText>)]
    pub gateway: Option<DomainId>,
}

/// Both ends of every bridge that this node has to do with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BridgeView {
    /// As a gateway: the pairs that the operator named.
    pub pairs: Vec<PairView>,
    /// As one of a mesh: domains beyond it.
    pub ways: Vec<WayView>,
}

/// As it is now.
pub fn show(node: &Node) -> BridgeView {
    let way = |(to, through): (DomainId, PublicKey)| {
        let gateway = node.mesh().standing(&through).and_then(|standing| standing.domain());
        WayView { to, through, gateway }
    };
    let ways = node.bridge().ways.all(node.mesh()).into_iter().map(way).collect();
    BridgeView { pairs: node.bridge().gateway.list(node), ways }
}
