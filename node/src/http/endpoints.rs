//! Agents' own A2A servers over REST: an agent names its own, the operator any.

use super::{auth::Caller, body::Body, openapi::Routes, params::Path};
use crate::{
    node::Node,
    service::{
        endpoints::{self, EndpointView, Wish},
        error::ServiceError,
        shape,
    },
};
use axum::{Json, extract::State, http::StatusCode};
use comity_proto::ids::AgentId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(list, set)).routes(routes!(remove))
}

#[derive(Serialize, ToSchema)]
struct EndpointList {
    endpoints: Vec<EndpointView>,
}

/// The caller's own A2A server; for the operator those of all agents here.
#[utoipa::path(get, path = "/api/v1/endpoints", responses((status = 200, body = EndpointList)))]
async fn list(State(node): App, Caller(who): Caller) -> Json<EndpointList> {
    Json(EndpointList { endpoints: endpoints::list(&node, who) })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEndpoint {
    /// Whose; an agent means itself.
    #[schema(value_type = Option<shape::AgentIdText>)]
    agent: Option<AgentId>,
    /// An http or https address outside of the node's own network, unless its operator lists the host or names it itself.
    url: String,
    /// `JSONRPC` (unless told otherwise) or `HTTP+JSON`.
    binding: Option<String>,
    /// Sent to the server as `Authorization: Bearer`.
    token: Option<String>,
}

/// Hands an agent's tasks to its own A2A 1.0 server from now on, and what that says into the tasks. Without one the agent
/// asks for its work (`GET /api/v1/tasks/next`).
#[utoipa::path(post, path = "/api/v1/endpoints", request_body = NewEndpoint,
    responses((status = 200, body = EndpointView)))]
async fn set(State(node): App, Caller(who): Caller, Body(new): Body<NewEndpoint>) -> Answer<EndpointView> {
    let NewEndpoint { agent, url, binding, token } = new;
    endpoints::set(&node, who, Wish { agent, url, binding, token }).await.map(Json)
}

/// The agent asks for its work itself again.
#[utoipa::path(post, path = "/api/v1/endpoints/{agent}/remove", responses((status = 204)))]
async fn remove(State(node): App, Caller(who): Caller, Path(agent): Path<String>) -> Result<StatusCode, ServiceError> {
    let agent: AgentId = agent.parse().map_err(|_| ServiceError::not_found("agent", &agent))?;
    endpoints::remove(&node, who, agent).await?;
    Ok(StatusCode::NO_CONTENT)
}
