//! Snapshots and what follows a restore over REST; the operator's token opens.

use super::{auth::Caller, body::Body, books::domain_id, openapi::Routes};
use crate::{
    node::Node,
    service::{error::ServiceError, restore},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(save)).routes(routes!(reconcile)).routes(routes!(settle))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Save {
    /// Of the file; absent is the number of the last entry in it.
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Saved {
    /// On the node's disk.
    snapshot: String,
    log_index: u64,
}

/// Saves the ledger as it stands below the node's data directory.
#[utoipa::path(post, path = "/api/v1/snapshots", request_body = Save, responses((status = 200, body = Saved)))]
async fn save(State(node): App, Caller(who): Caller, Body(body): Body<Save>) -> Answer<Saved> {
    who.require_operator()?;
    let (path, log_index) = restore::save(&node, body.name.as_deref()).await?;
    Ok(Json(Saved { snapshot: path.display().to_string(), log_index }))
}

#[derive(Serialize, ToSchema)]
struct Reconciliation {
    /// Restored, and not agreed with every peer yet.
    fenced: bool,
    peers: Vec<restore::ReconcileView>,
}

/// How far a restored ledger and its peers agree.
#[utoipa::path(get, path = "/api/v1/ledger/reconcile", responses((status = 200, body = Reconciliation)))]
async fn reconcile(State(node): App, Caller(who): Caller) -> Answer<Reconciliation> {
    who.require_operator()?;
    let (fenced, peers) = restore::reconciliation(&node).await?;
    Ok(Json(Reconciliation { fenced, peers }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Settle {
    peer: String,
    /// For people.
    reason: String,
}

#[derive(Serialize, ToSchema)]
struct Settled {
    /// The ledger's word.
    outcome: &'static str,
    success: bool,
}

/// Takes upon the treasury what no evidence settles with a peer.
#[utoipa::path(post, path = "/api/v1/ledger/reconcile/settle", request_body = Settle,
    responses((status = 200, body = Settled)))]
async fn settle(State(node): App, Caller(who): Caller, Body(body): Body<Settle>) -> Answer<Settled> {
    who.require_operator()?;
    let outcome = restore::settle(&node, domain_id(&body.peer)?, &body.reason).await?;
    Ok(Json(Settled { outcome: outcome.name(), success: outcome.is_success() }))
}
