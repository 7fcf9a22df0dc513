//! `/a2a/NAME` on this door: agent cards, JSON-RPC, and HTTP+JSON below. Refusals have the protocol's form, never a problem
//! document's.

use super::{
    auth,
    own::{event_stream, header_text, media_type, own_page, url, whole},
    problem,
};
use crate::{
    doors::a2a::{self, Events, Next, Reply, Target, Wrong},
    node::Node,
    registry::json,
    service::custody::Bearer,
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use bytes::Bytes;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

type App = State<Arc<Node>>;

/// Objects and lists inside each other in one message: the protocol's own, and a client's data.
const DEPTH_MAX: usize = 64;
const JSON: &str = "application/json";
const A2A_JSON: &str = "application/a2a+json";
const CARD: &str = ".well-known/agent-card.json";
/// Where clients of before 1.0 look.
const OLD_CARD: &str = ".well-known/agent.json";
/// How long a client may keep a card.
const KEPT: HeaderValue = HeaderValue::from_static("max-age=60");

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/.well-known/agent-card.json", get(own_card))
        .route("/.well-known/agent.json", get(|| async { moved("/.well-known/agent-card.json") }))
        .route("/a2a/{agent}", post(rpc))
        // The compatibility kit adds a slash to a URL that has a path.
        .route("/a2a/{agent}/", post(rpc))
        .route("/a2a/{agent}/{*rest}", any(below))
}

fn moved(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]).into_response()
}

fn refused(wrong: &Wrong) -> Response {
    problem::in_own_form(wrong.status(), wrong.body())
}

async fn own_card(State(node): App, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    card(&node, a2a::FRONT, &parts).unwrap_or_else(|wrong| refused(&wrong))
}

fn card(node: &Node, name: &str, parts: &Parts) -> Result<Response, Wrong> {
    own_page(node, &parts.headers)?;
    let caller = match parts.headers.contains_key(header::AUTHORIZATION) {
        true => Some(auth::identify(node, &parts.headers)?),
        false => None,
    };
    let rendered = a2a::card(node, name, &url(node, parts, ""), caller.as_ref())?;
    let known = super::registry::knows(&parts.headers, &rendered.etag);
    let mut response =
        if known { StatusCode::NOT_MODIFIED.into_response() } else { Json(rendered.card).into_response() };
    let own = response.headers_mut();
    own.insert(header::CACHE_CONTROL, KEPT);
    // Whether it is shown may depend on the token.
    own.insert(header::VARY, HeaderValue::from_static("authorization"));
    if let Ok(tag) = HeaderValue::from_str(&rendered.etag) {
        own.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Who asks, before anything else is looked at.
pub(super) fn caller(node: &Node, headers: &HeaderMap) -> Result<Bearer, Wrong> {
    own_page(node, headers)?;
    Ok(auth::identify_or_guest(node, headers)?)
}

type Named = BTreeMap<String, String>;

fn check_version(headers: &HeaderMap, query: &Named) -> Result<(), Wrong> {
    let named = header_text(headers, &HeaderName::from_static("a2a-version"));
    a2a::check_version(named.or_else(|| query.get("A2A-Version").map(String::as_str)))
}

async fn strict(body: Body) -> Result<Value, (StatusCode, Wrong)> {
    let bytes = whole(body).await.map_err(|(status, code, detail)| (status, Wrong::unreadable(code, &detail)))?;
    let read = json::parse_with_fractions(&bytes, DEPTH_MAX);
    read.map_err(|bad| (StatusCode::BAD_REQUEST, Wrong::unreadable(bad.code(), &bad.to_string())))
}

async fn rpc(State(node): App, Path(name): Path<String>, Query(query): Query<Named>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let caller = match caller(&node, &parts.headers) {
        Ok(caller) => caller,
        Err(wrong) => return refused(&wrong),
    };
    if media_type(&parts.headers) != JSON {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send `Content-Type: application/json`").into_response();
    }
    let call = match strict(body).await {
        Ok(body) => a2a::read_call(body),
        Err((status, wrong)) => return (status, Json(a2a::answer(&Value::Null, Err(wrong)))).into_response(),
    };
    let call = match call {
        Ok(call) => call,
        Err((id, wrong)) => return Json(a2a::answer(&id, Err(wrong))).into_response(),
    };
    let ran = async {
        check_version(&parts.headers, &query)?;
        let target = Target::named(&node, &name)?;
        a2a::run(&node, &caller, &target, &url(&node, &parts, ""), &call.method, call.params).await
    };
    match ran.await {
        Ok(Reply::One(result)) => Json(a2a::answer(&call.id, Ok(result))).into_response(),
        Ok(Reply::Stream(events)) => streamed(events, move |event| a2a::answer(&call.id, Ok(event))),
        Err(wrong) => Json(a2a::answer(&call.id, Err(wrong))).into_response(),
    }
}

async fn below(
    State(node): App,
    Path((name, rest)): Path<(String, String)>,
    Query(query): Query<Named>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    if parts.method.is_safe() && rest == OLD_CARD {
        return moved(&format!("/a2a/{name}/{CARD}"));
    }
    if parts.method.is_safe() && rest == CARD {
        return card(&node, &name, &parts).unwrap_or_else(|wrong| refused(&wrong));
    }
    match operated(&node, &parts, (&name, &rest), query, body).await {
        Ok(response) => response,
        Err(wrong) => refused(&wrong),
    }
}

async fn operated(
    node: &Arc<Node>,
    parts: &Parts,
    (name, rest): (&str, &str),
    query: Named,
    body: Body,
) -> Result<Response, Wrong> {
    let caller = caller(node, &parts.headers)?;
    check_version(&parts.headers, &query)?;
    let kind = media_type(&parts.headers);
    let bytes = match parts.method.as_str() {
        "POST" => whole(body).await.map_err(|(_, code, detail)| Wrong::too_large(code, &detail))?,
        _ => Bytes::new(),
    };
    let body = match bytes.is_empty() {
        true => None,
        false if kind != JSON && kind != A2A_JSON => return Err(Wrong::content_type()),
        false => Some(
            json::parse_with_fractions(&bytes, DEPTH_MAX)
                .map_err(|bad| Wrong::unreadable(bad.code(), &bad.to_string()))?,
        ),
    };
    let query: Vec<(String, String)> = query.into_iter().filter(|(name, _)| name != "A2A-Version").collect();
    let (operation, params) = a2a::read_path(parts.method.as_str(), rest, &query, body)?;
    let target = Target::named(node, name)?;
    match a2a::run(node, &caller, &target, &url(node, parts, ""), operation, params).await? {
        Reply::One(result) => {
            // Who asks in plain JSON is answered in it.
            let kind = HeaderValue::from_static(if kind == JSON { JSON } else { A2A_JSON });
            Ok(([(header::CONTENT_TYPE, kind)], result.to_string()).into_response())
        }
        Reply::Stream(events) => Ok(streamed(events, |event| event)),
    }
}

/// Server-sent events, each in the binding's own envelope.
fn streamed(events: Events, envelope: impl Fn(Value) -> Value + Send + 'static) -> Response {
    event_stream(futures::stream::unfold((events, envelope), |(mut events, envelope)| async move {
        let line = match events.next().await? {
            Next::Event(event) => format!("data: {}\n\n", envelope(event)),
            // A comment: whoever is gone is found out by it.
            Next::Pulse => ":\n\n".to_owned(),
        };
        Some((line, (events, envelope)))
    }))
}
