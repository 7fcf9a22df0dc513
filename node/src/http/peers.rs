//! Treaties over REST: the operator's token opens, the domain's root key signs.

use super::{auth::Caller, body::Body, exports::direction};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        peers::{self, Change},
        view::{InvitationView, PeerView},
    },
};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use comity_proto::ids::DomainId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/peers", get(list))
        .route("/api/v1/peers/invite", post(invite))
        .route("/api/v1/peers/accept", post(accept))
        .route("/api/v1/peers/{domain}", get(show))
        .route("/api/v1/peers/{domain}/approve", post(approve))
        .route("/api/v1/peers/{domain}/refresh", post(refresh))
        .route("/api/v1/peers/{domain}/{change}", post(change))
}

/// Minor units, as a decimal string.
fn minor(text: &str) -> Result<u64, ServiceError> {
    text.parse().map_err(|_| ServiceError::bad_input("bad_amount", format!("`{text}` is no number of minor units")))
}

pub(super) fn domain(text: &str) -> Result<DomainId, ServiceError> {
    text.parse().map_err(|error| ServiceError::bad_input("bad_domain_id", format!("`{text}`: {error}")))
}

async fn list(State(node): App, Caller(who): Caller) -> Answer<Value> {
    who.require_operator()?;
    Ok(Json(json!({ "peers": peers::list(&node).await? })))
}

async fn show(State(node): App, Caller(who): Caller, Path(peer): Path<String>) -> Answer<PeerView> {
    who.require_operator()?;
    peers::show(&node, domain(&peer)?).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invite {
    cap: String,
    /// Above it a decision needs a majority of its origin's voters; absent: any one is enough.
    majority_above: Option<String>,
    hours: u32,
    invitee: Option<String>,
}

async fn invite(State(node): App, Caller(who): Caller, Body(body): Body<Invite>) -> Answer<InvitationView> {
    who.require_operator()?;
    let invitee = body.invitee.as_deref().map(domain).transpose()?;
    let above = body.majority_above.as_deref().map(minor).transpose()?;
    peers::invite(&node, minor(&body.cap)?, above, body.hours, invitee).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accept {
    token: String,
    cap: String,
    /// As in [`Invite`].
    majority_above: Option<String>,
    /// Direction in which all agents are admitted along with the treaty; absent is none.
    export: Option<String>,
}

async fn accept(State(node): App, Caller(who): Caller, Body(body): Body<Accept>) -> Answer<PeerView> {
    who.require_operator()?;
    let export = body.export.as_deref().map(direction).transpose()?;
    let above = body.majority_above.as_deref().map(minor).transpose()?;
    peers::accept(&node, &body.token, (minor(&body.cap)?, above), export).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approve {
    /// As in [`Accept`].
    export: Option<String>,
}

async fn approve(
    State(node): App,
    Caller(who): Caller,
    Path(peer): Path<String>,
    Body(body): Body<Approve>,
) -> Answer<PeerView> {
    who.require_operator()?;
    let export = body.export.as_deref().map(direction).transpose()?;
    peers::approve(&node, domain(&peer)?, export).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    cap: Option<String>,
}

async fn refresh(
    State(node): App,
    Caller(who): Caller,
    Path(peer): Path<String>,
    Body(body): Body<Refresh>,
) -> Answer<PeerView> {
    who.require_operator()?;
    let cap = body.cap.as_deref().map(minor).transpose()?;
    peers::refresh(&node, domain(&peer)?, cap).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    pub(super) reason: String,
}

async fn change(
    State(node): App,
    Caller(who): Caller,
    Path((peer, name)): Path<(String, String)>,
    Body(body): Body<Why>,
) -> Answer<PeerView> {
    who.require_operator()?;
    let change = Change::named(&name).ok_or_else(|| ServiceError::not_found("change", &name))?;
    peers::change(&node, domain(&peer)?, change, &body.reason).await.map(Json)
}
