//! Export rules over REST.

use super::{auth::Caller, body::Body, peers::domain};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        exports,
        view::{ExportChange, PreviewView},
    },
};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use comity_proto::{
    export::{Audience, Direction, ExportRule},
    text::Capability,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/exports", get(list).post(add))
        .route("/api/v1/exports/remove", post(remove))
        .route("/api/v1/exports/preview/{domain}", get(preview))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// A domain id; absent is everyone.
    peer: Option<String>,
    agent: Option<String>,
    capability: Option<String>,
    direction: String,
    reason: String,
}

impl Change {
    fn rule(&self) -> Result<ExportRule, ServiceError> {
        let bad = |code: &str, text: &str| ServiceError::bad_input(code, format!("`{text}`"));
        let agent = self.agent.as_deref().map(|text| text.parse().map_err(|_| bad("bad_agent_id", text)));
        let capability =
            self.capability.as_deref().map(|text| Capability::new(text).map_err(|_| bad("bad_capability", text)));
        Ok(ExportRule {
            audience: match &self.peer {
                Some(peer) => Audience::Peer(domain(peer)?),
                None => Audience::Everyone,
            },
            agent: agent.transpose()?,
            capability: capability.transpose()?,
            direction: direction(&self.direction)?,
        })
    }
}

/// `in`, `out` or `both`.
pub(super) fn direction(text: &str) -> Result<Direction, ServiceError> {
    let unknown = || ServiceError::bad_input("bad_direction", format!("`{text}` is not in, out or both"));
    Direction::named(text).ok_or_else(unknown)
}

async fn list(State(node): App, Caller(who): Caller) -> Answer<Value> {
    who.require_operator()?;
    Ok(Json(json!({ "exports": exports::list(&node).await? })))
}

async fn add(State(node): App, Caller(who): Caller, Body(body): Body<Change>) -> Answer<ExportChange> {
    who.require_operator()?;
    exports::change(&node, body.rule()?, false, &body.reason).await.map(Json)
}

async fn remove(State(node): App, Caller(who): Caller, Body(body): Body<Change>) -> Answer<ExportChange> {
    who.require_operator()?;
    exports::change(&node, body.rule()?, true, &body.reason).await.map(Json)
}

async fn preview(State(node): App, Caller(who): Caller, Path(peer): Path<String>) -> Answer<PreviewView> {
    who.require_operator()?;
    exports::preview(&node, domain(&peer)?).await.map(Json)
}
