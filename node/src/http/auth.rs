//! Who asks: whoever signed the request, or else whoever its bearer token belongs to.

use super::signed::SignedBy;
use crate::{
    doors::a2a,
    node::Node,
    service::{
        custody::Bearer,
        error::ServiceError,
        principal::{Principal, TOKEN_CHARS, bad_token},
    },
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use std::sync::Arc;

/// The principal behind a request; refusing comes before any other work on it.
pub struct Caller(pub Principal);

impl FromRequestParts<Arc<Node>> for Caller {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Self::Rejection> {
        if let Some(SignedBy(who)) = parts.extensions.get() {
            return Ok(Caller(*who));
        }
        identify(node, &parts.headers).map(|bearer| Caller(bearer.who))
    }
}

/// Who may read the metrics: the operator, and whoever has the token that opens nothing else.
pub(super) struct Watcher;

impl FromRequestParts<Arc<Node>> for Watcher {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Self::Rejection> {
        if token(&parts.headers).is_ok_and(|token| node.tokens().watches(token)) {
            return Ok(Watcher);
        }
        let Caller(who) = Caller::from_request_parts(parts, node).await?;
        who.require_operator().map(|()| Watcher)
    }
}

fn token(headers: &HeaderMap) -> Result<&str, ServiceError> {
    let header = headers.get(header::AUTHORIZATION).ok_or_else(|| bad_token("no token was sent"))?;
    let text = header.to_str().map_err(|_| bad_token("the token is not text"))?;
    let token = text.strip_prefix("Bearer ").ok_or_else(|| bad_token("the header is not `Bearer TOKEN`"))?;
    if token.len() == TOKEN_CHARS { Ok(token) } else { Err(bad_token("the token has the wrong length")) }
}

/// Who sends these headers.
///
/// # Errors
/// `bad_token`.
pub(super) fn identify(node: &Node, headers: &HeaderMap) -> Result<Bearer, ServiceError> {
    let token = token(headers)?;
    let who = node.tokens().identify(token, comity_runtime::wall_ms())?;
    Ok(Bearer { who, token: token.to_owned() })
}

/// The same at the doors that conformance suites call without a token, in builds for them.
///
/// # Errors
/// `bad_token`.
pub(super) fn identify_or_guest(node: &Node, headers: &HeaderMap) -> Result<Bearer, ServiceError> {
    let guest = a2a::guest().filter(|_| !headers.contains_key(header::AUTHORIZATION));
    guest.map_or_else(|| identify(node, headers), Ok)
}

/// The same with the token, which opens the seal of a custodial key.
///
/// # Errors
/// `bad_token`.
pub(super) fn bearer(headers: &HeaderMap, who: Principal) -> Result<Bearer, ServiceError> {
    Ok(Bearer { who, token: token(headers)?.to_owned() })
}
