//! Demands for payment as documents: held against ledger and keys by this node, never by a model.

use super::{
    auth::Caller,
    body::Body,
    openapi::{Routes, fixed},
    registry::served,
};
use crate::{
    node::Node,
    payment_request,
    registry::Rendered,
    service::{demands, error::ServiceError},
};
use axum::{Json, extract::State, http::HeaderMap, response::Response};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(check)).routes(routes!(refused)).routes(routes!(schema))
}

/// Holds a `payment_request` (see its schema) against the escrow that it names: signed by the payee's current key, for this
/// escrow, this asset, what a release pays now, and the result that was submitted. For those who may see the escrow.
#[utoipa::path(post, path = "/api/v1/payment-requests", request_body = Object,
    responses((status = 200, body = demands::DemandView)))]
async fn check(State(node): App, Caller(who): Caller, Body(document): Body<Value>) -> Answer<demands::DemandView> {
    demands::check(&node, who, document).await.map(Json)
}

/// Payment requests that did not hold, by the identity that they claim.
#[utoipa::path(get, path = "/api/v1/payment-requests/refused",
    responses((status = 200, body = demands::RefusedView)))]
async fn refused(State(node): App, Caller(who): Caller) -> Answer<demands::RefusedView> {
    who.require_operator()?;
    Ok(Json(node.desk().refused_demands().view()))
}

/// The form of a `payment_request`, version 1, as JSON Schema.
#[utoipa::path(get, path = "/api/v1/schemas/payment_request", security(()),
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the caller has.")),
    responses((status = 200, body = Object), (status = 304, description = "The caller has it.")))]
async fn schema(State(_): App, headers: HeaderMap) -> Response {
    static SCHEMA: OnceLock<Rendered> = OnceLock::new();
    served(SCHEMA.get_or_init(|| fixed(payment_request::SCHEMA.as_bytes().to_vec())), &headers)
}
