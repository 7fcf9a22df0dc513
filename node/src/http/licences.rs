//! Licences over REST.

use super::{auth::Caller, body::Body, books::domain_id, openapi::Routes, params::Path, peers::Why};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        licences::{self, Grant},
        view::PeerView,
    },
};
use axum::{Json, extract::State};
use comity_proto::licence::LicenceStatus;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(issue)).routes(routes!(change))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Issue {
    /// A name for people.
    tier: String,
    /// Agents whose cards are kept.
    agents: u32,
    /// Events that each node takes in a minute.
    events: u32,
    days: u32,
    /// Whether a token is wanted with it.
    #[serde(default)]
    bearer: bool,
    /// For people.
    reason: String,
}

/// The treaty as it stands then, and the token, this once.
#[derive(Serialize, ToSchema)]
struct Issued {
    #[serde(flatten)]
    peer: PeerView,
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer_token: Option<String>,
}

/// Grants a peer a licence: how much it may ask of this domain.
#[utoipa::path(post, path = "/api/v1/licences/{domain}", request_body = Issue,
    responses((status = 200, body = Issued)))]
async fn issue(
    State(node): App,
    Caller(who): Caller,
    Path(peer): Path<String>,
    Body(body): Body<Issue>,
) -> Answer<Issued> {
    who.require_operator()?;
    let Issue { tier, agents, events, days, bearer, reason } = body;
    let grant = Grant { tier, agents, events, days, bearer };
    let (peer, bearer_token) = licences::issue(&node, domain_id(&peer)?, &grant, &reason).await?;
    Ok(Json(Issued { peer, bearer_token }))
}

/// Suspends, resumes or revokes the licence of a peer.
#[utoipa::path(post, path = "/api/v1/licences/{domain}/{change}", request_body = Why,
    responses((status = 200, body = PeerView)))]
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
    licences::change(&node, domain_id(&peer)?, status, &body.reason).await.map(Json)
}
