//! Snapshots and what follows a restore over REST; the operator's token opens.

use super::{auth::Caller, body::Body};
use crate::{
    node::Node,
    service::{error::ServiceError, restore},
};
use axum::{
    Json, Router,
    extract::State,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/snapshots", post(save))
        .route("/api/v1/ledger/reconcile", get(reconcile))
        .route("/api/v1/ledger/reconcile/settle", post(settle))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Save {
    name: Option<String>,
}

async fn save(State(node): App, Caller(who): Caller, Body(body): Body<Save>) -> Answer<Value> {
    who.require_operator()?;
    let (path, log_index) = restore::save(&node, body.name.as_deref()).await?;
    Ok(Json(json!({ "snapshot": path, "log_index": log_index })))
}

async fn reconcile(State(node): App, Caller(who): Caller) -> Answer<Value> {
    who.require_operator()?;
    let (fenced, peers) = restore::reconciliation(&node).await?;
    Ok(Json(json!({ "fenced": fenced, "peers": peers })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settle {
    peer: String,
    reason: String,
}

async fn settle(State(node): App, Caller(who): Caller, Body(body): Body<Settle>) -> Answer<Value> {
    who.require_operator()?;
    let bad = |_| ServiceError::bad_input("bad_domain_id", format!("`{}` is none", body.peer));
    let outcome = restore::settle(&node, body.peer.parse().map_err(bad)?, &body.reason).await?;
    Ok(Json(json!({ "outcome": outcome.name(), "success": outcome.is_success() })))
}
