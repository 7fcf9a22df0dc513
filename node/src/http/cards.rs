//! Agent cards over REST, and the search among them.

use super::{
    auth::Caller,
    body::{Body, EnvelopeBody},
    books::{agent_id, domain_id},
    openapi::Routes,
    params::{Path, Query},
};
use crate::{
    node::Node,
    service::{cards, error::ServiceError},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(publish)).routes(routes!(card)).routes(routes!(discover))
}

#[derive(Serialize, ToSchema)]
struct Published {
    /// As signed.
    sequence: u64,
}

/// Publishes a signed card of an agent at home here.
#[utoipa::path(post, path = "/api/v1/cards", request_body = EnvelopeBody, responses((status = 200, body = Published)))]
async fn publish(State(node): App, _: Caller, Body(body): Body<EnvelopeBody>) -> Answer<Published> {
    let sequence = cards::publish(&node, body.bytes()?).await?;
    Ok(Json(Published { sequence }))
}

/// The newest card of an agent, here or elsewhere.
#[utoipa::path(get, path = "/api/v1/cards/{agent}", responses((status = 200, body = cards::CardView)))]
async fn card(State(node): App, _: Caller, Path(text): Path<String>) -> Answer<cards::CardView> {
    cards::get(&node, agent_id(&text)?).map(Json)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Search {
    /// This, and what is below it.
    capability: String,
    /// Only agents at home there.
    domain: Option<String>,
}

/// Agents with a capability, in all domains that this node hears of.
#[utoipa::path(get, path = "/api/v1/discover", params(Search), responses((status = 200, body = cards::Discovered)))]
async fn discover(State(node): App, _: Caller, Query(query): Query<Search>) -> Answer<cards::Discovered> {
    let domain = query.domain.as_deref().map(domain_id).transpose()?;
    cards::discover(&node, &query.capability, domain).map(Json)
}
