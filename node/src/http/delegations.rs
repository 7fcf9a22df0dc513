//! Delegations over REST: an agent's own, or those of agents whose keys the operator's node has.

use super::{
    auth::{Caller, bearer},
    body::Body,
    custody::idempotency_key,
    openapi::Routes,
    params::{Path, Query},
};
use crate::{
    node::Node,
    service::{
        delegate::{self, DelegationView, DeniedWorker, ForgedClaims, Order},
        error::ServiceError,
        shape,
    },
};
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use comity_proto::ids::AgentId;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new()
        .routes(routes!(list, start))
        .routes(routes!(show))
        .routes(routes!(cancel))
        .routes(routes!(denied))
        .routes(routes!(allow))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewDelegation {
    /// The operator names an agent whose key is in the node's data directory; an agent means itself.
    from: Option<String>,
    /// Who can do it, such as `text.count`.
    capability: String,
    /// The input.
    #[schema(value_type = shape::Base64Text)]
    body: String,
    /// What one worker may cost at most, such as 5.00.
    max_price: String,
    /// A JSON Schema that the result must meet: `type`, `enum`, `const`, `properties`, `required`, `items`, bounds,
    /// `allOf`, `anyOf`, `oneOf`, `not`. Any other word is refused.
    #[schema(value_type = Option<serde_json::Value>)]
    schema: Option<serde_json::Value>,
    /// Seconds for each worker; 300 unless told otherwise.
    timeout_s: Option<u32>,
    /// Minutes to answer a delivery, and for an arbiter to rule; 60 unless told otherwise.
    review_minutes: Option<u32>,
    /// What silence after a delivery means: refund (unless told otherwise), release, or the payee's basis points.
    on_silence: Option<String>,
    /// Who rules disputes; without one a disputed escrow goes back.
    arbiter: Option<String>,
}

/// Hands work to the first agent that does it: candidates by price and age of their cards, for each an escrow, a task, a
/// check of the result, and payment, or the money back and the next one. Only a checked result is paid for, once.
#[utoipa::path(post, path = "/api/v1/delegations", request_body = NewDelegation,
    params(("Idempotency-Key" = String, Header, description = "The same one on every retry.")),
    responses((status = 200, body = DelegationView)))]
async fn start(
    State(node): App,
    Caller(who): Caller,
    headers: HeaderMap,
    Body(new): Body<NewDelegation>,
) -> Answer<DelegationView> {
    let body = BASE64.decode(new.body.as_bytes());
    let body = body.map_err(|error| ServiceError::bad_input("bad_base64", format!("body: {error}")))?;
    let NewDelegation { from, capability, max_price, schema, timeout_s, review_minutes, on_silence, arbiter, .. } = new;
    let order = Order { from, capability, body, max_price, schema, timeout_s, review_minutes, on_silence, arbiter };
    delegate::start(&node, &bearer(&headers, who)?, idempotency_key(&headers)?, order).await.map(Json)
}

#[derive(Serialize, ToSchema)]
struct DelegationList {
    delegations: Vec<DelegationView>,
}

/// The caller's delegations, newest first, without their results; for the operator all of this node.
#[utoipa::path(get, path = "/api/v1/delegations", responses((status = 200, body = DelegationList)))]
async fn list(State(node): App, Caller(who): Caller) -> Json<DelegationList> {
    Json(DelegationList { delegations: delegate::list(&node, who) })
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Since {
    /// Waits until it has changed since this version.
    version: Option<u64>,
    /// So long, at most half a minute.
    #[serde(default)]
    wait_ms: u64,
}

/// How a delegation stands. One that waits for its owner's token since a restart goes on when its owner asks.
#[utoipa::path(get, path = "/api/v1/delegations/{delegation}", params(Since),
    responses((status = 200, body = DelegationView)))]
async fn show(
    State(node): App,
    Caller(who): Caller,
    Path(id): Path<String>,
    Query(since): Query<Since>,
    headers: HeaderMap,
) -> Answer<DelegationView> {
    let wait = Duration::from_millis(since.wait_ms);
    delegate::view(&node, &bearer(&headers, who)?, &id, since.version, wait).await.map(Json)
}

/// No further candidate. What is under way with one is finished, and paid if it holds.
#[utoipa::path(post, path = "/api/v1/delegations/{delegation}/cancel", responses((status = 200, body = DelegationView)))]
async fn cancel(
    State(node): App,
    Caller(who): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<DelegationView> {
    delegate::cancel(&node, &bearer(&headers, who)?, &id).await.map(Json)
}

#[derive(Serialize, ToSchema)]
struct DeniedWorkers {
    /// Hired no more.
    denied: Vec<DeniedWorker>,
    /// Claims for payment in names that were not theirs who made them.
    forged: Vec<ForgedClaims>,
}

/// Workers that the caller hires no more, since what they delivered did not hold; and false claims for payment.
#[utoipa::path(get, path = "/api/v1/delegations/denied", responses((status = 200, body = DeniedWorkers)))]
async fn denied(State(node): App, Caller(who): Caller) -> Answer<DeniedWorkers> {
    let (denied, forged) = delegate::denied(&node, who)?;
    Ok(Json(DeniedWorkers { denied, forged }))
}

/// Takes a denial back.
#[utoipa::path(post, path = "/api/v1/delegations/denied/{agent}/allow", responses((status = 204)))]
async fn allow(State(node): App, Caller(who): Caller, Path(agent): Path<String>) -> Result<StatusCode, ServiceError> {
    let agent: AgentId = agent.parse().map_err(|_| ServiceError::not_found("agent", &agent))?;
    delegate::allow(&node, who, agent).await?;
    Ok(StatusCode::NO_CONTENT)
}
