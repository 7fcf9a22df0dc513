//! Routes of the node and its domain: what a request carries into a service call, what the answer looks like.

use super::{
    auth::Caller,
    body::{Body, EnvelopeBody},
    openapi::{self, Routes},
};
use crate::{
    node::Node,
    service::{commands, domain, error::ServiceError, keyring, keys, shape},
};
use axum::{Json, Router, extract::State, http::HeaderMap};
use comity_proto::ids::{AgentId, DomainId, PublicKey, RequestId};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

/// Every route of this door: the native API with its description, and doors for protocols of others.
pub(super) fn all() -> Router<Arc<Node>> {
    Router::from(native())
        .merge(super::a2a::all())
        .merge(super::a2a_se::all())
        .merge(super::ard::all())
        .merge(super::grpc::all())
        .merge(super::mcp::all())
        .merge(super::registry::well_known())
        .merge(super::federation::well_known())
        .merge(super::x402::all())
}

/// The native API. Each route carries its own description: one without the other does not compile.
pub(super) fn native() -> Routes {
    Routes::new()
        .routes(routes!(status))
        .routes(routes!(id))
        .routes(routes!(domain_view))
        .routes(routes!(members))
        .routes(routes!(open_session))
        .routes(routes!(submit))
        .routes(routes!(join_token))
        .routes(routes!(held))
        .routes(routes!(take_key_step))
        .routes(routes!(reload_certificate))
        .routes(routes!(replicas))
        .routes(routes!(add_voter))
        .routes(routes!(remove_replica))
        .merge(openapi::all())
        .merge(super::audit::all())
        .merge(super::books::all())
        .merge(super::bridge::all())
        .merge(super::cards::all())
        .merge(super::custody::all())
        .merge(super::delegations::all())
        .merge(super::endpoints::all())
        .merge(super::drift::all())
        .merge(super::events::all())
        .merge(super::exports::all())
        .merge(super::federation::all())
        .merge(super::licences::all())
        .merge(super::linked::all())
        .merge(super::metrics::all())
        .merge(super::payment_requests::all())
        .merge(super::peers::all())
        .merge(super::subnet::all())
        .merge(super::registry::all())
        .merge(super::restore::all())
        .merge(super::tasks::all())
        .merge(super::verdicts::all())
        .merge(super::webhooks::all())
}

/// What this node knows now, without asking anybody.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = domain::StatusView)))]
async fn status(State(node): App, _: Caller) -> Json<domain::StatusView> {
    Json(domain::status(&node))
}

#[derive(Serialize, ToSchema)]
struct Identity {
    #[schema(value_type = shape::DomainIdText)]
    domain: DomainId,
    /// The domain's root key.
    #[schema(value_type = shape::KeyText)]
    domain_key: PublicKey,
    /// Display only.
    nickname: String,
    #[schema(value_type = shape::KeyText)]
    node: PublicKey,
    /// Its number in Raft.
    raft_id: String,
}

/// Who this node is.
#[utoipa::path(get, path = "/api/v1/id", responses((status = 200, body = Identity)))]
async fn id(State(node): App, _: Caller) -> Json<Identity> {
    let home = node.home();
    Json(Identity {
        domain: node.domain(),
        domain_key: home.domain_key,
        nickname: home.config.domain.to_string(),
        node: node.key().public(),
        raft_id: node.raft_id().to_string(),
    })
}

/// The domain as its clients need it.
#[utoipa::path(get, path = "/api/v1/domain", responses((status = 200, body = domain::DomainView)))]
async fn domain_view(State(node): App, _: Caller) -> Answer<domain::DomainView> {
    domain::domain(&node).map(Json)
}

#[derive(Serialize, ToSchema)]
struct Members {
    members: Vec<domain::MemberView>,
}

/// Nodes of the mesh, those that left or failed among them.
#[utoipa::path(get, path = "/api/v1/members", responses((status = 200, body = Members)))]
async fn members(State(node): App, _: Caller) -> Json<Members> {
    Json(Members { members: domain::members(&node) })
}

#[derive(Serialize, ToSchema)]
struct Session {
    #[schema(value_type = shape::AgentIdText)]
    agent: AgentId,
    /// The bearer token of this agent at this node.
    token: String,
    /// Ms since the Unix epoch.
    ends_ms: u64,
}

/// A bearer token for whoever signs with an agent's key: the signature is the credential, no token is sent.
#[utoipa::path(post, path = "/api/v1/sessions", request_body = EnvelopeBody, security(()),
    responses((status = 200, body = Session)))]
async fn open_session(State(node): App, Body(body): Body<EnvelopeBody>) -> Answer<Session> {
    let (agent, token, ends_ms) = domain::open_session(&node, body.bytes()?).await?;
    Ok(Json(Session { agent, token, ends_ms }))
}

#[derive(Serialize, ToSchema)]
struct Submitted {
    /// The ledger that answered.
    #[schema(value_type = shape::DomainIdText)]
    home: DomainId,
    /// Of the entry there.
    log_index: u64,
    /// Ledger time, ms.
    stamp_ms: u64,
    /// One for each command, in order.
    results: Vec<CommandResult>,
    /// Of a ledger elsewhere: the signed receipt.
    #[schema(value_type = Option<shape::Base64Text>)]
    receipt: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct CommandResult {
    #[schema(value_type = shape::ShortIdText)]
    request_id: RequestId,
    /// The ledger's word.
    outcome: &'static str,
    /// Whether this entry changed anything: a command that is told again does not.
    changed: bool,
    success: bool,
    retry_can_succeed: bool,
}

/// Brings a signed batch of commands into the ledger that it addresses. The key is recorded in the same log entry as the
/// effect: the same one again is answered as the first time.
#[utoipa::path(post, path = "/api/v1/commands", request_body = EnvelopeBody,
    params(("Idempotency-Key" = shape::ShortIdText, Header, description = "The request id of the first command.")),
    responses((status = 200, body = Submitted)))]
async fn submit(State(node): App, _: Caller, headers: HeaderMap, Body(body): Body<EnvelopeBody>) -> Answer<Submitted> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).ok_or_else(|| {
        let detail = "send `Idempotency-Key`: the request id of the first command, and the same one on every retry";
        ServiceError::bad_input("idempotency_key_missing", detail)
    })?;
    let submitted = commands::submit(&node, body.bytes()?, key).await?;
    let results = submitted.results.iter().map(|(request_id, outcome)| CommandResult {
        request_id: *request_id,
        outcome: outcome.name(),
        changed: outcome.changed_state(),
        success: commands::is_success(*outcome),
        retry_can_succeed: outcome.retry_can_succeed(),
    });
    Ok(Json(Submitted {
        home: submitted.home,
        log_index: submitted.log_index,
        stamp_ms: submitted.stamp_ms,
        results: results.collect(),
        receipt: submitted.receipt.map(|envelope| BASE64.encode(&envelope)),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Hours {
    hours: u32,
}

#[derive(Serialize, ToSchema)]
struct JoinToken {
    token: String,
    /// Ms since the Unix epoch.
    ends_ms: u64,
}

/// A token with which one more node joins this domain.
#[utoipa::path(post, path = "/api/v1/join-tokens", request_body = Hours, responses((status = 200, body = JoinToken)))]
async fn join_token(State(node): App, Caller(who): Caller, Body(body): Body<Hours>) -> Answer<JoinToken> {
    who.require_operator()?;
    let (token, ends_ms) = crate::join::invite(&node, body.hours)?;
    Ok(Json(JoinToken { token, ends_ms }))
}

/// The keys that act for the domain, and who has not yet seen the newest.
#[utoipa::path(get, path = "/api/v1/keyring", responses((status = 200, body = keys::KeysView)))]
async fn held(State(node): App, Caller(who): Caller) -> Answer<keys::KeysView> {
    who.require_operator()?;
    keys::keys(&node).await.map(Json)
}

/// Takes a step of a key, signed by the root key.
#[utoipa::path(post, path = "/api/v1/keyring/steps", request_body = EnvelopeBody,
    responses((status = 200, body = keys::KeysView)))]
async fn take_key_step(
    State(node): App,
    Caller(who): Caller,
    Body(body): Body<EnvelopeBody>,
) -> Answer<keys::KeysView> {
    who.require_operator()?;
    keys::take(&node, body.bytes()?).await?;
    keys::keys(&node).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reload {
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Certificate {
    serial: String,
}

/// Reads certificate, keys and revocations from the data directory again.
#[utoipa::path(post, path = "/api/v1/keyring/reload", request_body = Reload,
    responses((status = 200, body = Certificate)))]
async fn reload_certificate(State(node): App, Caller(who): Caller, Body(body): Body<Reload>) -> Answer<Certificate> {
    who.require_operator()?;
    let serial = keyring::reload(&node, body.reason.as_deref()).await?;
    Ok(Json(Certificate { serial: serial.to_string() }))
}

#[derive(Serialize, ToSchema)]
struct Replicas {
    replicas: Vec<domain::ReplicaView>,
}

/// Voters and learners.
#[utoipa::path(get, path = "/api/v1/raft", responses((status = 200, body = Replicas)))]
async fn replicas(State(node): App, _: Caller) -> Json<Replicas> {
    Json(Replicas { replicas: domain::replicas(&node) })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Replica {
    /// A node's key, or a part of it that no other has.
    node: String,
    /// Asked for when one is taken out.
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Changed {
    node: String,
}

/// Makes a learner a voter.
#[utoipa::path(post, path = "/api/v1/raft/add", request_body = Replica, responses((status = 200, body = Changed)))]
async fn add_voter(State(node): App, Caller(who): Caller, Body(body): Body<Replica>) -> Answer<Changed> {
    who.require_operator()?;
    domain::add_voter(&node, &body.node).await?;
    Ok(Json(Changed { node: body.node }))
}

/// Takes a replica out.
#[utoipa::path(post, path = "/api/v1/raft/remove", request_body = Replica, responses((status = 200, body = Changed)))]
async fn remove_replica(State(node): App, Caller(who): Caller, Body(body): Body<Replica>) -> Answer<Changed> {
    who.require_operator()?;
    let reason = body.reason.filter(|reason| !reason.is_empty());
    let reason = reason.ok_or_else(|| ServiceError::bad_input("reason_missing", "say why: it is logged"))?;
    tracing::info!(node = body.node, reason, "a replica is removed");
    domain::remove_replica(&node, &body.node).await?;
    Ok(Json(Changed { node: body.node }))
}
