//! Treaties over REST: the operator's token opens, the domain's root key signs.

use super::{auth::Caller, body::Body, books::domain_id, exports::direction, openapi::Routes, params::Path};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        peers::{self, Change},
        view::{InvitationView, Minor, PeerView},
    },
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new()
        .routes(routes!(list))
        .routes(routes!(invite))
        .routes(routes!(accept))
        .routes(routes!(show))
        .routes(routes!(approve))
        .routes(routes!(refresh))
        .routes(routes!(change))
}

/// Minor units, as a decimal string.
pub(super) fn minor(text: &str) -> Result<u64, ServiceError> {
    text.parse().map_err(|_| ServiceError::bad_input("bad_amount", format!("`{text}` is no number of minor units")))
}

#[derive(Serialize, ToSchema)]
struct Peers {
    peers: Vec<PeerView>,
}

/// Peers and the treaties with them.
#[utoipa::path(get, path = "/api/v1/peers", responses((status = 200, body = Peers)))]
async fn list(State(node): App, Caller(who): Caller) -> Answer<Peers> {
    who.require_operator()?;
    Ok(Json(Peers { peers: peers::list(&node).await? }))
}

/// One peer and the treaty with it.
#[utoipa::path(get, path = "/api/v1/peers/{domain}", responses((status = 200, body = PeerView)))]
async fn show(State(node): App, Caller(who): Caller, Path(peer): Path<String>) -> Answer<PeerView> {
    who.require_operator()?;
    peers::show(&node, domain_id(&peer)?).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Invite {
    /// How much of the other domain's paper is accepted.
    #[schema(value_type = Minor)]
    cap: String,
    /// Above it a decision needs a majority of its origin's voters; absent: any one is enough.
    #[schema(value_type = Option<Minor>)]
    majority_above: Option<String>,
    hours: u32,
    /// Nobody but this domain.
    invitee: Option<String>,
}

/// Makes an invitation to a treaty, to be carried to the other operator.
#[utoipa::path(post, path = "/api/v1/peers/invite", request_body = Invite,
    responses((status = 200, body = InvitationView)))]
async fn invite(State(node): App, Caller(who): Caller, Body(body): Body<Invite>) -> Answer<InvitationView> {
    who.require_operator()?;
    let invitee = body.invitee.as_deref().map(domain_id).transpose()?;
    let above = body.majority_above.as_deref().map(minor).transpose()?;
    peers::invite(&node, minor(&body.cap)?, above, body.hours, invitee).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Accept {
    /// The invitation.
    token: String,
    /// How much of the other domain's paper is accepted.
    #[schema(value_type = Minor)]
    cap: String,
    /// Above it a decision needs a majority of its origin's voters; absent: any one is enough.
    #[schema(value_type = Option<Minor>)]
    majority_above: Option<String>,
    /// Direction in which all agents are admitted along with the treaty; absent is none.
    export: Option<String>,
}

/// Accepts an invitation.
#[utoipa::path(post, path = "/api/v1/peers/accept", request_body = Accept, responses((status = 200, body = PeerView)))]
async fn accept(State(node): App, Caller(who): Caller, Body(body): Body<Accept>) -> Answer<PeerView> {
    who.require_operator()?;
    let export = body.export.as_deref().map(direction).transpose()?;
    let above = body.majority_above.as_deref().map(minor).transpose()?;
    peers::accept(&node, &body.token, (minor(&body.cap)?, above), export).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Approve {
    /// Direction in which all agents are admitted along with the treaty; absent is none.
    export: Option<String>,
}

/// Signs the document that the other side proposes.
#[utoipa::path(post, path = "/api/v1/peers/{domain}/approve", request_body = Approve,
    responses((status = 200, body = PeerView)))]
async fn approve(
    State(node): App,
    Caller(who): Caller,
    Path(peer): Path<String>,
    Body(body): Body<Approve>,
) -> Answer<PeerView> {
    who.require_operator()?;
    let export = body.export.as_deref().map(direction).transpose()?;
    peers::approve(&node, domain_id(&peer)?, export).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    /// How much is accepted from now on; absent is as before.
    #[schema(value_type = Option<Minor>)]
    cap: Option<String>,
}

/// Proposes the next document, with this domain's policy of now.
#[utoipa::path(post, path = "/api/v1/peers/{domain}/refresh", request_body = Refresh,
    responses((status = 200, body = PeerView)))]
async fn refresh(
    State(node): App,
    Caller(who): Caller,
    Path(peer): Path<String>,
    Body(body): Body<Refresh>,
) -> Answer<PeerView> {
    who.require_operator()?;
    let cap = body.cap.as_deref().map(minor).transpose()?;
    peers::refresh(&node, domain_id(&peer)?, cap).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    /// For people.
    pub(super) reason: String,
}

/// Changes what this side does under the treaty: suspend, resume, drain, revoke, deny.
#[utoipa::path(post, path = "/api/v1/peers/{domain}/{change}", request_body = Why,
    responses((status = 200, body = PeerView)))]
async fn change(
    State(node): App,
    Caller(who): Caller,
    Path((peer, name)): Path<(String, String)>,
    Body(body): Body<Why>,
) -> Answer<PeerView> {
    who.require_operator()?;
    let change = Change::named(&name).ok_or_else(|| ServiceError::not_found("change", &name))?;
    peers::change(&node, domain_id(&peer)?, change, &body.reason).await.map(Json)
}
