//! Licences over REST.

use super::{
    auth::Caller,
    body::Body,
    peers::{Why, domain},
};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        licences::{self, Grant},
        view::PeerView,
    },
};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::post,
};
use comity_proto::licence::LicenceStatus;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/licences/{domain}", post(issue))
        .route("/api/v1/licences/{domain}/{change}", post(change))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Issue {
    tier: String,
    agents: u32,
    events: u32,
    days: u32,
    #[serde(default)]
    bearer: bool,
    reason: String,
}

/// The treaty as it stands then, and the token, this once.
#[derive(Serialize)]
struct Issued {
    #[serde(flatten)]
    peer: PeerView,
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
}

async fn issue(
    State(node): App,
    Caller(who): Caller,
    Path(peer): Path<String>,
    Body(body): Body<Issue>,
) -> Answer<Issued> {
    who.require_operator()?;
    let Issue { tier, agents, events, days, bearer, reason } = body;
    let grant = Grant { tier, agents, events, days, bearer };
    let (peer, bearer_token) = licences::issue(&node, domain(&peer)?, &grant, &reason).await?;
    Ok(Json(Issued { peer, bearer_token }))
}

async fn change(
    State(node): App,
    Caller(who): Caller,
    Path((peer, name)): Path<(String, String)>,
    Body(body): Body<Why>,
) -> Answer<PeerView> {
    who.require_operator()?;
    let status = match name.as_str() {
        "suspend" => LicenceStatus::Suspended,
        "resume" => LicenceStatus::Active,
        "revoke" => LicenceStatus::Revoked,
        _ => return Err(ServiceError::not_found("change", &name)),
    };
    licences::change(&node, domain(&peer)?, status, &body.reason).await.map(Json)
}
