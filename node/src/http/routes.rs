//! Routes: what a request carries into a service call, what the answer looks like.

use super::{
    auth::Caller,
    body::{Body, EnvelopeBody},
};
use crate::{
    node::Node,
    service::{books, cards, commands, domain, error::ServiceError, principal::Principal, trades},
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use comity_proto::ids::{AgentId, DomainId};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

/// All routes of the native API.
pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/id", get(id))
        .route("/api/v1/domain", get(domain_view))
        .route("/api/v1/members", get(members))
        .route("/api/v1/sessions", post(open_session))
        .route("/api/v1/commands", post(submit))
        .route("/api/v1/agents/{agent}", get(agent))
        .route("/api/v1/accounts", get(own_accounts))
        .route("/api/v1/accounts/{agent}", get(account))
        .route("/api/v1/names/{name}", get(name))
        .route("/api/v1/escrows", get(escrows))
        .route("/api/v1/escrows/{escrow}", get(escrow))
        .route("/api/v1/transfers", get(transfers))
        .route("/api/v1/transfers/{transfer}", get(transfer))
        .merge(super::verdicts::all())
        .route("/api/v1/cards", post(publish_card))
        .route("/api/v1/cards/{agent}", get(card))
        .route("/api/v1/discover", get(discover))
        .route("/api/v1/ledger/digest", get(digest))
        .route("/api/v1/ledger/statement/{peer}", get(statement))
        .route("/api/v1/ledger/events", get(events))
        .route("/api/v1/join-tokens", post(join_token))
        .route("/api/v1/keyring", get(keys))
        .route("/api/v1/keyring/steps", post(take_key_step))
        .route("/api/v1/keyring/reload", post(reload_certificate))
        .route("/api/v1/raft", get(replicas))
        .route("/api/v1/raft/add", post(add_voter))
        .route("/api/v1/raft/remove", post(remove_replica))
        .merge(super::a2a::all())
        .merge(super::a2a_se::all())
        .merge(super::ard::all())
        .merge(super::audit::all())
        .merge(super::bridge::all())
        .merge(super::custody::all())
        .merge(super::mcp::all())
        .merge(super::drift::all())
        .merge(super::peers::all())
        .merge(super::registry::all())
        .merge(super::restore::all())
        .merge(super::exports::all())
        .merge(super::federation::all())
        .merge(super::grpc::all())
        .merge(super::licences::all())
        .merge(super::tasks::all())
        .merge(super::x402::all())
}

async fn status(State(node): App, _: Caller) -> Json<domain::StatusView> {
    Json(domain::status(&node))
}

async fn id(State(node): App, _: Caller) -> Json<Value> {
    let home = node.home();
    Json(json!({
        "domain": node.domain(), "domain_key": home.domain_key, "nickname": home.config.domain,
        "node": node.key().public(), "raft_id": node.raft_id().to_string(),
    }))
}

async fn domain_view(State(node): App, _: Caller) -> Answer<domain::DomainView> {
    domain::domain(&node).map(Json)
}

async fn members(State(node): App, _: Caller) -> Json<Value> {
    Json(json!({ "members": domain::members(&node) }))
}

/// The signature is the credential: no token yet.
async fn open_session(State(node): App, Body(body): Body<EnvelopeBody>) -> Answer<Value> {
    let (agent, token, ends_ms) = domain::open_session(&node, body.bytes()?).await?;
    Ok(Json(json!({ "agent": agent, "token": token, "ends_ms": ends_ms })))
}

async fn submit(
    State(node): App,
    _: Caller,
    headers: HeaderMap,
    Body(body): Body<EnvelopeBody>,
) -> Result<Response, ServiceError> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).ok_or_else(|| {
        let detail = "send `Idempotency-Key`: the request id of the first command, and the same one on every retry";
        ServiceError::bad_input("idempotency_key_missing", detail)
    })?;
    let submitted = commands::submit(&node, body.bytes()?, key).await?;
    let results: Vec<Value> = submitted
        .results
        .iter()
        .map(|(request_id, outcome)| {
            json!({
                "request_id": request_id, "outcome": outcome.name(), "changed": outcome.changed_state(),
                "success": commands::is_success(*outcome), "retry_can_succeed": outcome.retry_can_succeed(),
            })
        })
        .collect();
    let document = json!({
        "home": submitted.home, "log_index": submitted.log_index, "stamp_ms": submitted.stamp_ms, "results": results,
        "receipt": submitted.receipt.map(|envelope| BASE64.encode(&envelope)),
    });
    Ok((StatusCode::OK, Json(document)).into_response())
}

async fn agent(State(node): App, _: Caller, Path(text): Path<String>) -> Answer<crate::service::view::AgentView> {
    books::agent(&node, &text).await.map(Json)
}

fn agent_id(text: &str) -> Result<AgentId, ServiceError> {
    text.parse().map_err(|error| ServiceError::bad_input("bad_agent_id", format!("`{text}`: {error}")))
}

fn domain_id(text: &str) -> Result<DomainId, ServiceError> {
    text.parse().map_err(|error| ServiceError::bad_input("bad_domain_id", format!("`{text}`: {error}")))
}

async fn account(State(node): App, Caller(who): Caller, Path(text): Path<String>) -> Answer<Value> {
    let agent = agent_id(&text)?;
    // A balance is its owner's and the operator's to see.
    if who != Principal::Operator {
        who.require_agent(agent)?;
    }
    let view = books::account(&node, agent).await?;
    Ok(Json(json!(view)))
}

async fn own_accounts(State(node): App, Caller(who): Caller) -> Answer<Value> {
    who.require_operator()?;
    Ok(Json(json!(books::books(&node).await?)))
}

async fn name(State(node): App, _: Caller, Path(text): Path<String>) -> Answer<Value> {
    Ok(Json(json!(books::name(&node, &text).await?)))
}

#[derive(Deserialize)]
struct OfAgent {
    agent: String,
}

async fn escrows(State(node): App, _: Caller, Query(query): Query<OfAgent>) -> Answer<Value> {
    let escrows = trades::escrows(&node, agent_id(&query.agent)?).await?;
    Ok(Json(json!({ "escrows": escrows })))
}

async fn escrow(State(node): App, _: Caller, Path(text): Path<String>) -> Answer<Value> {
    Ok(Json(json!(trades::escrow(&node, &text).await?)))
}

#[derive(Deserialize)]
struct InDoubt {
    #[serde(default)]
    in_doubt: bool,
}

async fn transfers(State(node): App, Caller(who): Caller, Query(query): Query<InDoubt>) -> Answer<Value> {
    who.require_operator()?;
    Ok(Json(json!({ "transfers": trades::transfers(&node, query.in_doubt) })))
}

async fn transfer(State(node): App, _: Caller, Path(text): Path<String>) -> Answer<Value> {
    Ok(Json(json!(trades::transfer(&node, &text).await?)))
}

async fn publish_card(State(node): App, _: Caller, Body(body): Body<EnvelopeBody>) -> Answer<Value> {
    let sequence = cards::publish(&node, body.bytes()?).await?;
    Ok(Json(json!({ "sequence": sequence })))
}

async fn card(State(node): App, _: Caller, Path(text): Path<String>) -> Answer<cards::CardView> {
    cards::get(&node, agent_id(&text)?).map(Json)
}

#[derive(Deserialize)]
struct Search {
    capability: String,
    domain: Option<String>,
}

async fn discover(State(node): App, _: Caller, Query(query): Query<Search>) -> Answer<cards::Discovered> {
    let domain = query.domain.as_deref().map(domain_id).transpose()?;
    cards::discover(&node, &query.capability, domain).map(Json)
}

async fn digest(State(node): App, _: Caller) -> Answer<Value> {
    Ok(Json(json!(books::digest(&node).await?)))
}

async fn statement(State(node): App, Caller(who): Caller, Path(text): Path<String>) -> Answer<Value> {
    who.require_operator()?;
    Ok(Json(json!(books::statement(&node, domain_id(&text)?)?)))
}

#[derive(Deserialize)]
struct Last {
    last: Option<u64>,
}

async fn events(State(node): App, Caller(who): Caller, Query(query): Query<Last>) -> Answer<Value> {
    who.require_operator()?;
    let events = books::last_events(&node, query.last.unwrap_or(20)).await?;
    Ok(Json(json!({ "events": events })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hours {
    hours: u32,
}

async fn join_token(State(node): App, Caller(who): Caller, Body(body): Body<Hours>) -> Answer<Value> {
    who.require_operator()?;
    let (token, ends_ms) = crate::join::invite(&node, body.hours)?;
    Ok(Json(json!({ "token": token, "ends_ms": ends_ms })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reload {
    reason: Option<String>,
}

async fn reload_certificate(State(node): App, Caller(who): Caller, Body(body): Body<Reload>) -> Answer<Value> {
    who.require_operator()?;
    let serial = crate::service::keyring::reload(&node, body.reason.as_deref()).await?;
    Ok(Json(json!({ "serial": serial.to_string() })))
}

async fn keys(State(node): App, Caller(who): Caller) -> Answer<crate::service::keys::KeysView> {
    who.require_operator()?;
    crate::service::keys::keys(&node).await.map(Json)
}

async fn take_key_step(
    State(node): App,
    Caller(who): Caller,
    Body(body): Body<EnvelopeBody>,
) -> Answer<crate::service::keys::KeysView> {
    who.require_operator()?;
    crate::service::keys::take(&node, body.bytes()?).await?;
    crate::service::keys::keys(&node).await.map(Json)
}

async fn replicas(State(node): App, _: Caller) -> Json<Value> {
    Json(json!({ "replicas": domain::replicas(&node) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replica {
    node: String,
    reason: Option<String>,
}

async fn add_voter(State(node): App, Caller(who): Caller, Body(body): Body<Replica>) -> Answer<Value> {
    who.require_operator()?;
    domain::add_voter(&node, &body.node).await?;
    Ok(Json(json!({ "node": body.node })))
}

async fn remove_replica(State(node): App, Caller(who): Caller, Body(body): Body<Replica>) -> Answer<Value> {
    who.require_operator()?;
    let reason = body.reason.filter(|reason| !reason.is_empty());
    let reason = reason.ok_or_else(|| ServiceError::bad_input("reason_missing", "say why: it is logged"))?;
    tracing::info!(node = body.node, reason, "a replica is removed");
    domain::remove_replica(&node, &body.node).await?;
    Ok(Json(json!({ "node": body.node })))
}
