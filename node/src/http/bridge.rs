//! Route of bridges.

use super::{auth::Caller, openapi::Routes};
use crate::{
    node::Node,
    service::{
        bridge::{self, BridgeView},
        error::ServiceError,
    },
};
use axum::{Json, extract::State};
use std::sync::Arc;
use utoipa_axum::routes;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(show))
}

/// Both ends of every bridge that this node has to do with.
#[utoipa::path(get, path = "/api/v1/bridge", responses((status = 200, body = BridgeView)))]
async fn show(State(node): State<Arc<Node>>, Caller(who): Caller) -> Result<Json<BridgeView>, ServiceError> {
    who.require_operator()?;
    Ok(Json(bridge::show(&node)))
}
