//! `/mcp` on this door: whose page asks, whose token it is, and JSON that two readers read alike, before anything else.

use super::{
    auth,
    own::{event_stream, header_text, media_type, own_page, url, whole},
};
use crate::{
    doors::mcp::{self, Headers, Next, Reply, Stream},
    node::Node,
    registry::json,
    service::error::{Kind, ServiceError},
};
use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State},
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

async fn taken(node: &Arc<Node>, headers: &HeaderMap, body: Body) -> Result<Response, ServiceError> {
    own_page(node, headers)?;
    let bearer = auth::identify_or_guest(node, headers)?;
    if media_type(headers) != "application/json" {
        return Err(ServiceError::bad_input("not_json", "send `Content-Type: application/json`"));
    }
    let message = match strict(body).await {
        Ok(message) => message,
        Err((status, code, detail)) => return Ok(unreadable(status, code, &detail)),
    };
    let text = |name: &'static str| header_text(headers, &HeaderName::from_static(name));
    let streams = header_text(headers, &header::ACCEPT).is_some_and(|kinds| kinds.contains("text/event-stream"));
    let (version, method, name) = (text("mcp-protocol-version"), text("mcp-method"), text("mcp-name"));
    let said = Headers { version, method, name, streams };
    Ok(match mcp::take(node, bearer, said, message).await {
        Reply::One { status, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            body.map_or_else(|| status.into_response(), |body| (status, Json(body)).into_response())
        }
        Reply::Stream(stream) => streamed(stream),
    })
}

fn streamed(stream: Stream) -> Response {
    event_stream(futures::stream::unfold(stream, |mut stream| async move {
        let line = match stream.next().await? {
            Next::Message(message) => format!("data: {message}\n\n"),
            // A comment: whoever is gone is found out by it.
            Next::Pulse => ":\n\n".to_owned(),
        };
        Some((line, stream))
    }))
}

async fn strict(body: Body) -> Result<Value, (StatusCode, &'static str, String)> {
    let bytes = whole(body).await?;
    json::parse_within(&bytes, DEPTH_MAX).map_err(|bad| (StatusCode::BAD_REQUEST, bad.code(), bad.to_string()))
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
