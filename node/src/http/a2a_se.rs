//! `/a2a-se` on this door, mounted whole: `/a2a-se/v1/..` and `/a2a-se/api/v1/..`. Every answer is JSON with the request's own
//! id; a refusal has the protocol's envelope, never a problem document's.

use super::{
    auth,
    own::{header_text, media_type, own_page, whole},
};
use crate::{
    doors::a2a_se::{self, Call, Reply, Wrong},
    node::Node,
    registry::json,
    service::custody::Bearer,
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde_json::Value;
use std::sync::Arc;

/// Objects and lists inside each other: the protocol's own are four.
const DEPTH_MAX: usize = 16;
const BASE: &str = "/a2a-se/";
const HEALTH: &str = "health";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 128;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new().route("/a2a-se/{*rest}", any(take))
}

/// The caller's own id of the request if it can stand in a header, else a fresh one.
fn request_id(headers: &HeaderMap) -> String {
    let plain = |id: &&str| (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    let named = header_text(headers, &REQUEST_ID).filter(plain);
    named.map_or_else(fresh, str::to_owned)
}

fn fresh() -> String {
    let mut bytes = [0; 6];
    comity_runtime::entropy(&mut bytes);
    format!("req_{}", HEXLOWER.encode(&bytes))
}

async fn take(State(node): State<Arc<Node>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let id = request_id(&parts.headers);
    let reply = match taken(&node, &parts, body).await {
        Ok(reply) => reply,
        Err(wrong) => Reply { status: wrong.status(), body: wrong.body(&id) },
    };
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(reply.body)).into_response();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// The path behind the version; only whether the node is well is asked without one.
fn behind_version(path: &str) -> &str {
    let rest = path.strip_prefix(BASE).unwrap_or_default();
    let versioned = rest.strip_prefix("api/v1/").or_else(|| rest.strip_prefix("v1/"));
    let named = versioned.unwrap_or(if rest == HEALTH { rest } else { "" });
    named.trim_end_matches('/')
}

async fn taken(node: &Node, parts: &Parts, body: Body) -> Result<Reply, Wrong> {
    own_page(node, &parts.headers)?;
    let path = behind_version(parts.uri.path());
    if path == HEALTH && parts.method.is_safe() {
        return Ok(a2a_se::health(node));
    }
    let caller = auth::identify(node, &parts.headers)?;
    let bytes = whole(body).await.map_err(|(status, code, detail)| Wrong::unreadable(status.as_u16(), code, detail))?;
    check_signature(&caller, parts, &bytes)?;
    let call = Call {
        method: parts.method.to_string(),
        path: path.to_owned(),
        query: query(parts)?,
        key: key(&parts.headers)?,
        body: read(&parts.headers, &bytes)?,
    };
    a2a_se::run(node, &caller, &call).await
}

/// A client that signs is heard only if the signature fits.
fn check_signature(caller: &Bearer, parts: &Parts, body: &Bytes) -> Result<(), Wrong> {
    let named = |name: &'static str| parts.headers.get(HeaderName::from_static(name));
    let (signature, timestamp) = (named("x-a2a-signature"), named("x-a2a-timestamp"));
    if signature.is_none() && timestamp.is_none() {
        return Ok(());
    }
    let text = |value: Option<&HeaderValue>| value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let request = (parts.method.as_str(), parts.uri.path(), body.as_ref());
    let now_ms = comity_runtime::wall_ms();
    let fits = a2a_se::is_signed_by(&caller.token, now_ms, &text(timestamp), &text(signature), request);
    if fits { Ok(()) } else { Err(Wrong::bad_signature()) }
}

fn query(parts: &Parts) -> Result<Vec<(String, String)>, Wrong> {
    let read = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    read.map(|Query(query)| query).map_err(|error| Wrong::invalid("bad_query", error.body_text()))
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Wrong> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().map_err(|_| Wrong::invalid("bad_idempotency_key", "the Idempotency-Key is no text"))?;
    Ok(Some(key.trim_matches('"').to_owned()))
}

fn read(headers: &HeaderMap, bytes: &Bytes) -> Result<Value, Wrong> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if media_type(headers) != "application/json" {
        return Err(Wrong::unreadable(400, "not_json", "send `Content-Type: application/json`"));
    }
    json::parse_within(bytes, DEPTH_MAX).map_err(|bad| Wrong::unreadable(400, bad.code(), bad.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_the_same_paths() {
        for path in ["/a2a-se/v1/exchange/escrow", "/a2a-se/api/v1/exchange/escrow/"] {
            assert_eq!(behind_version(path), "exchange/escrow");
        }
        for path in ["/a2a-se/v1", "/a2a-se/exchange/escrow", "/a2a-se/v2/exchange/escrow"] {
            assert_eq!(behind_version(path), "");
        }
        assert_eq!(behind_version("/a2a-se/health"), "health");
    }

    #[test]
    fn a_request_id_is_echoed_if_it_is_plain() {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_static("req_1"));
        assert_eq!(request_id(&headers), "req_1");
    }
}
