//! `/mcp` on this door: whose page asks, whose token it is, and JSON that two readers read alike, before anything else.

use super::{BODY_BYTES_MAX, auth, tls::Presented};
use crate::{
    config::Https,
    doors::mcp::{self, Headers},
    node::Node,
    registry::json,
    service::error::{Kind, ServiceError},
};
use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Objects and lists inside each other in one message: its own are seven.
const DEPTH_MAX: usize = 16;
/// Where a client learns how to get in (RFC 9728).
const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new().route("/mcp", post(take)).route(METADATA, get(metadata))
}

async fn take(State(node): State<Arc<Node>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match taken(&node, &parts.headers, body).await {
        Ok(response) => response,
        Err(error) => challenged(&node, &parts, error),
    }
}

async fn taken(node: &Node, headers: &HeaderMap, body: Body) -> Result<Response, ServiceError> {
    own_page(node, headers)?;
    let bearer = auth::identify(node, headers)?;
    let kind = header_text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(ServiceError::bad_input("not_json", "send `Content-Type: application/json`"));
    }
    let message = match strict(body).await {
        Ok(message) => message,
        Err((status, code, detail)) => return Ok(unreadable(status, code, &detail)),
    };
    let text = |name: &'static str| header_text(headers, &HeaderName::from_static(name));
    let said = Headers { version: text("mcp-protocol-version"), method: text("mcp-method"), name: text("mcp-name") };
    let reply = mcp::take(node, &bearer, said, message).await;
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(match reply.body {
        Some(body) => (status, Json(body)).into_response(),
        None => status.into_response(),
    })
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Names by which this door may be called: any port of this machine, its own address, and what the operator adds.
fn names(node: &Node) -> impl Iterator<Item = String> + '_ {
    let config = &node.home().config;
    let own = ["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned(), config.http.to_string()];
    let https = config.https.as_ref().map(Https::names).unwrap_or_default();
    own.into_iter().chain(https).chain(config.door_names.iter().cloned())
}

fn is_own(node: &Node, host: &str) -> bool {
    let without_port = host.rsplit_once(':').map_or(host, |(name, _)| name);
    names(node).any(|own| own.eq_ignore_ascii_case(host) || own.eq_ignore_ascii_case(without_port))
}

/// A page in somebody's browser reaches this machine too: it is refused unless this door served it, and so is a request
/// under a name that is not this door's, which is how a page pretends that.
fn own_page(node: &Node, headers: &HeaderMap) -> Result<(), ServiceError> {
    let refused = |code: &str, detail: String| {
        let next = "call the node by its own address, or add the name to `door_names` in config.toml";
        Err(ServiceError::new(Kind::Forbidden, code, detail, next))
    };
    let host = header_text(headers, &header::HOST).unwrap_or_default();
    if !is_own(node, host) {
        return refused("wrong_host", format!("`{host}` is no name of this node"));
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().unwrap_or_default();
    let page = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")).unwrap_or_default();
    let same = page.eq_ignore_ascii_case(host);
    if same { Ok(()) } else { refused("wrong_origin", format!("a page of `{origin}` may not call this node")) }
}

async fn strict(body: Body) -> Result<Value, (StatusCode, &'static str, String)> {
    let too_large = |_| (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("over {BODY_BYTES_MAX} bytes"));
    let bytes = to_bytes(body, BODY_BYTES_MAX).await.map_err(too_large)?;
    json::parse_within(&bytes, DEPTH_MAX).map_err(|bad| (StatusCode::BAD_REQUEST, bad.code(), bad.to_string()))
}

/// The URL of a path as the caller reaches it; under a foreign name, that of the door's own address.
fn url(node: &Node, parts: &Parts, path: &str) -> String {
    let named = header_text(&parts.headers, &header::HOST).filter(|host| is_own(node, host));
    let host = named.map_or_else(|| node.home().config.http.to_string(), str::to_owned);
    // Only the HTTPS door tells who is connected.
    let secure = parts.extensions.get::<ConnectInfo<Presented>>().is_some();
    format!("{}://{host}{path}", if secure { "https" } else { "http" })
}

async fn metadata(State(node): State<Arc<Node>>, parts: Parts) -> impl IntoResponse {
    Json(json!({
        "resource": url(&node, &parts, "/mcp"),
        "resource_name": format!("Comity, domain {}", node.home().config.domain),
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["mcp"],
    }))
}

/// Before there is a message, a refusal is a problem document; one for want of a token says where to learn more.
fn challenged(node: &Node, parts: &Parts, error: ServiceError) -> Response {
    let unknown = error.kind == Kind::Unauthenticated;
    let mut response = error.into_response();
    let challenge = format!("Bearer resource_metadata=\"{}\", scope=\"mcp\"", url(node, parts, METADATA));
    if let (true, Ok(challenge)) = (unknown, HeaderValue::from_str(&challenge)) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// In the protocol's own form: the message has no id that could be trusted.
fn unreadable(status: StatusCode, code: &str, detail: &str) -> Response {
    let next = "send JSON without doubled names, whole numbers below 2^53 only, and money as strings";
    let data = json!({ "code": code, "detail": detail, "changed": "no", "next": next });
    let error = json!({ "code": -32700, "message": format!("{code}: {detail}"), "data": data });
    (status, Json(json!({ "jsonrpc": "2.0", "id": null, "error": error }))).into_response()
}
