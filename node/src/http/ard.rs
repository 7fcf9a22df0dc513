//! Discovery for software of others, at the root where it looks: catalogue, search, list, facets. What is public is for
//! everybody; whoever has a token sees every card. Refusals have the form of that specification.

use super::{
    auth,
    own::{media_type, own_page, url, whole},
    problem,
};
use crate::{
    doors::ard::{self, Document, Look, Wrong},
    node::Node,
    registry::json,
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

type App = State<Arc<Node>>;

/// Objects and lists inside each other in one request: its own are five.
const DEPTH_MAX: usize = 8;
/// How long an answer may be shown without asking.
const KEPT: HeaderValue = HeaderValue::from_static("max-age=60");
const CATALOGUE: &str = "application/ai-catalog+json";
const JSON: &str = "application/json";

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/.well-known/ai-catalog.json", get(catalogue))
        // The same under the name of the later draft.
        .route("/.well-known/ard.json", get(catalogue))
        .route("/search", post(search))
        .route("/explore", post(explore))
        .route("/agents", get(list))
        .route("/agents/{urn}", get(one))
}

fn refused(wrong: &Wrong) -> Response {
    problem::in_own_form(wrong.status(), wrong.body())
}

fn answered(made: Result<Response, Wrong>) -> Response {
    made.unwrap_or_else(|wrong| refused(&wrong))
}

/// Whether cards that are not public are shown: a token that is none is refused, none at all is not.
fn sees_all(node: &Node, headers: &HeaderMap) -> Result<bool, Wrong> {
    own_page(node, headers)?;
    match headers.contains_key(header::AUTHORIZATION) {
        true => Ok(auth::identify(node, headers).map(|_| true)?),
        false => Ok(false),
    }
}

fn served(document: Document, kind: &'static str, headers: &HeaderMap) -> Response {
    let mut response = match super::registry::knows(headers, &document.etag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], document.bytes).into_response(),
    };
    let own = response.headers_mut();
    own.insert(header::CACHE_CONTROL, KEPT);
    own.insert(header::VARY, HeaderValue::from_static("authorization"));
    if let Ok(tag) = HeaderValue::from_str(&document.etag) {
        own.insert(header::ETAG, tag);
    }
    response
}

async fn catalogue(State(node): App, parts: Parts) -> Response {
    answered(sees_all(&node, &parts.headers).map(|all| {
        let look = Look { node: &node, base: &url(&node, &parts, ""), all };
        served(ard::catalogue(look), CATALOGUE, &parts.headers)
    }))
}

/// The JSON of a POST.
async fn asked(parts: &Parts, body: Body) -> Result<Value, Wrong> {
    if media_type(&parts.headers) != JSON {
        return Err(Wrong::invalid("send `Content-Type: application/json`"));
    }
    let bytes = whole(body).await.map_err(|(_, code, detail)| Wrong::too_large(format!("{code}: {detail}")))?;
    json::parse_within(&bytes, DEPTH_MAX).map_err(|bad| Wrong::invalid(format!("{}: {bad}", bad.code())))
}

/// Something that a body asks of the index.
type Ask = fn(Look<'_>, &Value) -> Result<Value, Wrong>;

async fn posted(node: &Node, request: Request, ask: Ask) -> Result<Response, Wrong> {
    let (parts, body) = request.into_parts();
    let all = sees_all(node, &parts.headers)?;
    let body = asked(&parts, body).await?;
    let look = Look { node, base: &url(node, &parts, ""), all };
    Ok(Json(ask(look, &body)?).into_response())
}

async fn search(State(node): App, request: Request) -> Response {
    answered(posted(&node, request, ard::search).await)
}

async fn explore(State(node): App, request: Request) -> Response {
    answered(posted(&node, request, ard::explore).await)
}

async fn list(State(node): App, Query(params): Query<BTreeMap<String, String>>, parts: Parts) -> Response {
    answered(sees_all(&node, &parts.headers).and_then(|all| {
        let look = Look { node: &node, base: &url(&node, &parts, ""), all };
        Ok(served(ard::list(look, &params)?, JSON, &parts.headers))
    }))
}

async fn one(State(node): App, Path(urn): Path<String>, parts: Parts) -> Response {
    answered(sees_all(&node, &parts.headers).and_then(|all| {
        let look = Look { node: &node, base: &url(&node, &parts, ""), all };
        Ok(served(ard::get(look, &urn)?, JSON, &parts.headers))
    }))
}
