//! Route of bridges.

use super::auth::Caller;
use crate::{
    node::Node,
    service::{
        bridge::{self, BridgeView},
        error::ServiceError,
    },
};
use axum::{Json, Router, extract::State, routing::get};
use std::sync::Arc;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new().route("/api/v1/bridge", get(show))
}

async fn show(State(node): State<Arc<Node>>, Caller(who): Caller) -> Result<Json<BridgeView>, ServiceError> {
    who.require_operator()?;
    Ok(Json(bridge::show(&node)))
}
