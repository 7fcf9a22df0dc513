//! Routes of drift.

use super::auth::Caller;
use crate::{
    node::Node,
    service::{drift, error::ServiceError},
};
use axum::{
    Json, Router,
    extract::{Query, State},
    routing::{get, post},
};
use comity_proto::ids::DomainId;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer = Result<Json<Value>, ServiceError>;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new().route("/api/v1/drift", get(list)).route("/api/v1/drift/scan", post(scan))
}

async fn list(State(node): App, Caller(who): Caller) -> Answer {
    who.require_operator()?;
    Ok(Json(json!({ "peers": drift::list(&node) })))
}

#[derive(Deserialize)]
struct Which {
    peer: Option<String>,
}

async fn scan(State(node): App, Caller(who): Caller, Query(which): Query<Which>) -> Answer {
    who.require_operator()?;
    let id = |text: String| {
        let bad = |error| ServiceError::bad_input("bad_domain_id", format!("`{text}`: {error}"));
        text.parse::<DomainId>().map_err(bad)
    };
    let peer = which.peer.map(id).transpose()?;
    Ok(Json(json!({ "peers": drift::scan(&node, peer).await? })))
}
