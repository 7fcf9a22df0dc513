//! Export rules over REST.

use super::{auth::Caller, body::Body, books::domain_id, openapi::Routes, params::Path};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        exports,
        view::{ExportChange, ExportView, PreviewView},
    },
};
use axum::{Json, extract::State};
use comity_proto::{
    export::{Audience, Direction, ExportRule},
    text::Capability,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(list, add)).routes(routes!(remove)).routes(routes!(preview))
}

/// An export rule.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewExportRule)]
#[serde(deny_unknown_fields)]
struct Rule {
    /// A domain id; absent is everyone.
    peer: Option<String>,
    agent: Option<String>,
    capability: Option<String>,
    /// `in`, `out` or `both`.
    direction: String,
    /// For people.
    reason: String,
}

impl Rule {
    fn rule(&self) -> Result<ExportRule, ServiceError> {
        let bad = |code: &str, text: &str| ServiceError::bad_input(code, format!("`{text}`"));
        let agent = self.agent.as_deref().map(|text| text.parse().map_err(|_| bad("bad_agent_id", text)));
        let capability =
            self.capability.as_deref().map(|text| Capability::new(text).map_err(|_| bad("bad_capability", text)));
        Ok(ExportRule {
            audience: match &self.peer {
                Some(peer) => Audience::Peer(domain_id(peer)?),
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

#[derive(Serialize, ToSchema)]
struct Exports {
    exports: Vec<ExportView>,
}

/// What other domains may see and hire, and be hired for.
#[utoipa::path(get, path = "/api/v1/exports", responses((status = 200, body = Exports)))]
async fn list(State(node): App, Caller(who): Caller) -> Answer<Exports> {
    who.require_operator()?;
    Ok(Json(Exports { exports: exports::list(&node).await? }))
}

/// Adds a rule.
#[utoipa::path(post, path = "/api/v1/exports", request_body = Rule, responses((status = 200, body = ExportChange)))]
async fn add(State(node): App, Caller(who): Caller, Body(body): Body<Rule>) -> Answer<ExportChange> {
    who.require_operator()?;
    exports::change(&node, body.rule()?, false, &body.reason).await.map(Json)
}

/// Takes a rule back.
#[utoipa::path(post, path = "/api/v1/exports/remove", request_body = Rule,
    responses((status = 200, body = ExportChange)))]
async fn remove(State(node): App, Caller(who): Caller, Body(body): Body<Rule>) -> Answer<ExportChange> {
    who.require_operator()?;
    exports::change(&node, body.rule()?, true, &body.reason).await.map(Json)
}

/// What a peer sees and may do under the rules of now.
#[utoipa::path(get, path = "/api/v1/exports/preview/{domain}", responses((status = 200, body = PreviewView)))]
async fn preview(State(node): App, Caller(who): Caller, Path(peer): Path<String>) -> Answer<PreviewView> {
    who.require_operator()?;
    exports::preview(&node, domain_id(&peer)?).await.map(Json)
}
