//! `/x402` on this door: the facilitator of the domain's own balances. What a payment is refused for stands in the protocol's
//! answer; a caller that is not known, or bytes that are no message, get a problem document.

use super::{
    auth,
    own::{header_text, media_type, own_page, whole},
};
use crate::{
    doors::x402,
    node::Node,
    registry::json,
    service::{
        custody::Bearer,
        error::{Kind, ServiceError},
    },
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName},
    routing::{get, post},
};
use serde_json::Value;
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer = Result<Json<Value>, ServiceError>;

/// Objects and lists inside each other: the protocol's own, and what a resource says of itself.
const DEPTH_MAX: usize = 32;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/x402/supported", get(supported))
        .route("/x402/authorize", post(authorize))
        .route("/x402/verify", post(verify))
        .route("/x402/settle", post(settle))
}

/// Who asks, and what, in this order.
async fn message(node: &Node, headers: &HeaderMap, body: Body) -> Result<(Bearer, Value), ServiceError> {
    own_page(node, headers)?;
    let caller = auth::identify(node, headers)?;
    if media_type(headers) != "application/json" {
        return Err(ServiceError::bad_input("not_json", "send `Content-Type: application/json`"));
    }
    let bytes =
        whole(body).await.map_err(|(_, code, detail)| ServiceError::new(Kind::TooLarge, code, detail, "send less"))?;
    let read = json::parse_with_fractions(&bytes, DEPTH_MAX);
    Ok((caller, read.map_err(|bad| ServiceError::bad_input(bad.code(), bad.to_string()))?))
}

async fn supported(State(node): App, request: Request) -> Answer {
    own_page(&node, request.headers())?;
    x402::supported(&node).map(Json)
}

async fn authorize(State(node): App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let (caller, requirements) = message(&node, &parts.headers, body).await?;
    let key = header_text(&parts.headers, &HeaderName::from_static("idempotency-key")).ok_or_else(|| {
        ServiceError::bad_input("idempotency_key_missing", "send `Idempotency-Key`: the same one on every retry")
    })?;
    x402::authorize(&node, &caller, key.trim_matches('"'), &requirements).await.map(Json)
}

async fn verify(State(node): App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let (_, asked) = message(&node, &parts.headers, body).await?;
    Ok(Json(x402::verify(&node, &asked).await))
}

async fn settle(State(node): App, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let (caller, asked) = message(&node, &parts.headers, body).await?;
    Ok(Json(x402::settle(&node, &caller, &asked).await))
}
