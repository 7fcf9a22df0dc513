//! Routes of drift.

use super::{auth::Caller, books::domain_id, openapi::Routes, params::Query};
use crate::{
    drift::PeerDrift,
    node::Node,
    service::{drift, error::ServiceError},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer = Result<Json<Drift>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(list)).routes(routes!(scan))
}

#[derive(Serialize, ToSchema)]
struct Drift {
    peers: Vec<PeerDrift>,
}

/// What each peer and this node disagree about, as of the last look.
#[utoipa::path(get, path = "/api/v1/drift", responses((status = 200, body = Drift)))]
async fn list(State(node): App, Caller(who): Caller) -> Answer {
    who.require_operator()?;
    Ok(Json(Drift { peers: drift::list(&node) }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// A domain id; absent is all of them.
    peer: Option<String>,
}

/// Looks now.
#[utoipa::path(post, path = "/api/v1/drift/scan", params(Which), responses((status = 200, body = Drift)))]
async fn scan(State(node): App, Caller(who): Caller, Query(which): Query<Which>) -> Answer {
    who.require_operator()?;
    let peer = which.peer.as_deref().map(domain_id).transpose()?;
    Ok(Json(Drift { peers: drift::scan(&node, peer).await? }))
}
