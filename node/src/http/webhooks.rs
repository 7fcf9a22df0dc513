//! Webhooks over REST: each caller has its own.

use super::{auth::Caller, body::Body, openapi::Routes, params::Path};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        webhooks::{self, WebhookView, Wish},
    },
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(list, add)).routes(routes!(remove))
}

#[derive(Serialize, ToSchema)]
struct Webhooks {
    webhooks: Vec<WebhookView>,
}

/// The caller's webhooks, and how their deliveries stand.
#[utoipa::path(get, path = "/api/v1/webhooks", responses((status = 200, body = Webhooks)))]
async fn list(State(node): App, Caller(who): Caller) -> Answer<Webhooks> {
    Ok(Json(Webhooks { webhooks: webhooks::list(&node, who)? }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    /// An http or https address outside of the node's own network, unless its operator lists the host.
    url: String,
    /// Only events of these types, such as `escrow_paid`; all when there are none.
    #[serde(default)]
    types: BTreeSet<String>,
    /// Events behind this leaf; absent is from now on.
    after: Option<u64>,
}

/// Posts the caller's events to an address from now on: in order, signed by the node (RFC 9421), each until it is taken.
/// `Comity-Delivery` is the same however often an event comes.
#[utoipa::path(post, path = "/api/v1/webhooks", request_body = NewWebhook,
    responses((status = 200, body = WebhookView)))]
async fn add(State(node): App, Caller(who): Caller, Body(body): Body<NewWebhook>) -> Answer<WebhookView> {
    let NewWebhook { url, types, after } = body;
    webhooks::add(&node, who, Wish { url, types, after }).await.map(Json)
}

/// Removes one of the caller's webhooks.
#[utoipa::path(delete, path = "/api/v1/webhooks/{webhook}", responses((status = 204)))]
async fn remove(State(node): App, Caller(who): Caller, Path(id): Path<String>) -> Result<StatusCode, ServiceError> {
    webhooks::remove(&node, who, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
