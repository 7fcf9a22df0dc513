//! What doors for other protocols ask of a request before they read it: a name that is this node's, a page that it served,
//! and JSON that two readers read alike; and how they stream an answer.

use super::{BODY_BYTES_MAX, tls::Presented};
use crate::{
    config::Https,
    node::Node,
    service::error::{Kind, ServiceError},
};
use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use std::{convert::Infallible, sync::Arc};

pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The media type of a body, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    let kind = header_text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    kind.split(';').next().map(str::trim).unwrap_or_default()
}

/// HTTP/2 names the host in the address of a request, and HTTP/1.1 may: then that one counts (RFC 9112, 3.2.2).
pub(super) async fn host_of_address(mut request: Request, next: Next) -> Response {
    let named = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = named {
        request.headers_mut().insert(header::HOST, host);
    }
    next.run(request).await
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
pub(super) fn own_page(node: &Node, headers: &HeaderMap) -> Result<(), ServiceError> {
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

/// The native API is not for pages of others either. What is no page of a browser sends no `Origin`, and may call the node
/// by any name that leads to it: without a token of this node it gets nowhere.
pub(super) async fn no_page_of_others(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_native = path.starts_with("/api/v1/") || path == "/metrics";
    let is_page = is_native && request.headers().contains_key(header::ORIGIN);
    match own_page(&node, request.headers()) {
        Err(error) if is_page => error.into_response(),
        _ => next.run(request).await,
    }
}

/// A whole body, or the refusal of one that is too long.
///
/// # Errors
/// Status, code and words.
pub(super) async fn whole(body: Body) -> Result<Bytes, (StatusCode, &'static str, String)> {
    let too_large = |_| (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("over {BODY_BYTES_MAX} bytes"));
    to_bytes(body, BODY_BYTES_MAX).await.map_err(too_large)
}

/// Server-sent events, as they come.
pub(super) fn event_stream(events: impl Stream<Item = String> + Send + 'static) -> Response {
    let kind = HeaderValue::from_static("text/event-stream");
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let bytes = events.map(|event| Ok::<_, Infallible>(Bytes::from(event)));
    (headers, Body::from_stream(bytes)).into_response()
}

/// The URL of a path as the caller reaches it; under a foreign name, that of the door's own address.
pub(super) fn url(node: &Node, parts: &Parts, path: &str) -> String {
    let named = header_text(&parts.headers, &header::HOST).filter(|host| is_own(node, host));
    let host = named.map_or_else(|| node.home().config.http.to_string(), str::to_owned);
    // Only the HTTPS door tells who is connected.
    let secure = parts.extensions.get::<ConnectInfo<Presented>>().is_some();
    format!("{}://{host}{path}", if secure { "https" } else { "http" })
}
