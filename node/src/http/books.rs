//! Routes that read the ledger: agents, accounts, names, escrows, transfers, events.

use super::{
    auth::Caller,
    linked,
    openapi::Routes,
    params::{Path, Query},
};
use crate::{
    node::Node,
    service::{books, error::ServiceError, principal::Principal, trades, view},
};
use axum::{
    Json,
    extract::State,
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use comity_ledger::statement::SupplyStatement;
use comity_proto::ids::{AgentId, DomainId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new()
        .routes(routes!(agent))
        .routes(routes!(own_accounts))
        .routes(routes!(account))
        .routes(routes!(name))
        .routes(routes!(escrows))
        .routes(routes!(escrow))
        .routes(routes!(transfers))
        .routes(routes!(transfer))
        .routes(routes!(digest))
        .routes(routes!(statement))
        .routes(routes!(events))
}

/// One agent, by id, by a unique prefix of it, or by a registered name.
#[utoipa::path(get, path = "/api/v1/agents/{agent}", responses((status = 200, body = view::AgentView)))]
async fn agent(State(node): App, _: Caller, Path(text): Path<String>) -> Answer<view::AgentView> {
    books::agent(&node, &text).await.map(Json)
}

pub(super) fn agent_id(text: &str) -> Result<AgentId, ServiceError> {
    text.parse().map_err(|error| ServiceError::bad_input("bad_agent_id", format!("`{text}`: {error}")))
}

pub(super) fn domain_id(text: &str) -> Result<DomainId, ServiceError> {
    text.parse().map_err(|error| ServiceError::bad_input("bad_domain_id", format!("`{text}`: {error}")))
}

/// What an agent has and trades is its own and the operator's to see.
fn own_or_operator(who: Principal, agent: AgentId) -> Result<(), ServiceError> {
    if who == Principal::Operator { Ok(()) } else { who.require_agent(agent) }
}

/// The balances of an agent: its own and the operator's to see.
#[utoipa::path(get, path = "/api/v1/accounts/{agent}", responses((status = 200, body = view::AccountView)))]
async fn account(State(node): App, Caller(who): Caller, Path(text): Path<String>) -> Answer<view::AccountView> {
    let agent = agent_id(&text)?;
    own_or_operator(who, agent)?;
    books::account(&node, agent).await.map(Json)
}

/// The domain's books by kind of account.
#[utoipa::path(get, path = "/api/v1/accounts", responses((status = 200, body = view::BooksView)))]
async fn own_accounts(State(node): App, Caller(who): Caller) -> Answer<view::BooksView> {
    who.require_operator()?;
    books::books(&node).await.map(Json)
}

/// Who a name stands for.
#[utoipa::path(get, path = "/api/v1/names/{name}", responses((status = 200, body = view::NameView)))]
async fn name(State(node): App, _: Caller, Path(text): Path<String>) -> Answer<view::NameView> {
    books::name(&node, &text).await.map(Json)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct OfAgent {
    /// An agent's id.
    agent: String,
}

#[derive(Serialize, ToSchema)]
struct Escrows {
    escrows: Vec<view::EscrowView>,
}

/// Escrows in which an agent is payer or payee, at most 1000: its own and the operator's to see.
#[utoipa::path(get, path = "/api/v1/escrows", params(OfAgent), responses((status = 200, body = Escrows)))]
async fn escrows(State(node): App, Caller(who): Caller, Query(query): Query<OfAgent>) -> Answer<Escrows> {
    let agent = agent_id(&query.agent)?;
    own_or_operator(who, agent)?;
    let escrows = trades::escrows(&node, agent).await?;
    Ok(Json(Escrows { escrows }))
}

/// One escrow, by id or by a unique prefix of it: its parties', its arbiter's and the operator's to see. With `Accept:
/// application/ld+json` as linked data.
#[utoipa::path(get, path = "/api/v1/escrows/{escrow}", responses((status = 200,
    content((view::EscrowView = "application/json"), (Object = "application/ld+json")))))]
async fn escrow(
    State(node): App,
    Caller(who): Caller,
    Path(text): Path<String>,
    parts: Parts,
) -> Result<Response, ServiceError> {
    let mut response = match linked::is_wanted(&parts.headers) {
        true => linked::escrow(&node, who, &text, &parts).await?,
        false => Json(trades::escrow(&node, who, &text).await?).into_response(),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct InDoubt {
    /// Only those that are not finished.
    #[serde(default)]
    in_doubt: bool,
}

#[derive(Serialize, ToSchema)]
struct Transfers {
    transfers: Vec<view::TransferView>,
}

/// Transfers between domains.
#[utoipa::path(get, path = "/api/v1/transfers", params(InDoubt), responses((status = 200, body = Transfers)))]
async fn transfers(State(node): App, Caller(who): Caller, Query(query): Query<InDoubt>) -> Answer<Transfers> {
    who.require_operator()?;
    Ok(Json(Transfers { transfers: trades::transfers(&node, query.in_doubt) }))
}

/// One transfer between domains, by id or by a unique prefix of it: for those whose money it is, and the operator.
#[utoipa::path(get, path = "/api/v1/transfers/{transfer}", responses((status = 200, body = view::TransferView)))]
async fn transfer(State(node): App, Caller(who): Caller, Path(text): Path<String>) -> Answer<view::TransferView> {
    trades::transfer(&node, who, &text).await.map(Json)
}

/// What this replica alone holds: for comparing replicas.
#[utoipa::path(get, path = "/api/v1/ledger/digest", responses((status = 200, body = view::DigestView)))]
async fn digest(State(node): App, _: Caller) -> Answer<view::DigestView> {
    books::digest(&node).await.map(Json)
}

/// What lies between this domain and a peer, as this replica states it.
#[utoipa::path(get, path = "/api/v1/ledger/statement/{domain}", responses((status = 200, body = Object)))]
async fn statement(State(node): App, Caller(who): Caller, Path(text): Path<String>) -> Answer<SupplyStatement> {
    who.require_operator()?;
    books::statement(&node, domain_id(&text)?).map(Json)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Last {
    /// How many; 20 unless told otherwise, at most 1000.
    last: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct Events {
    events: Vec<books::EventView>,
}

/// The newest events of this replica, oldest first.
#[utoipa::path(get, path = "/api/v1/ledger/events", params(Last), responses((status = 200, body = Events)))]
async fn events(State(node): App, Caller(who): Caller, Query(query): Query<Last>) -> Answer<Events> {
    who.require_operator()?;
    let events = books::last_events(&node, query.last.unwrap_or(20)).await?;
    Ok(Json(Events { events }))
}
