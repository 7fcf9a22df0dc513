//! Reads the bearer token of a request.

use crate::node::Node;
use crate::service::{
    error::ServiceError,
    principal::{Principal, TOKEN_CHARS, bad_token},
};
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use std::sync::Arc;

/// The principal behind a request; refusing comes before any other work on it.
pub struct Caller(pub Principal);

impl FromRequestParts<Arc<Node>> for Caller {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get(header::AUTHORIZATION).ok_or_else(|| bad_token("no token was sent"))?;
        let text = header.to_str().map_err(|_| bad_token("the token is not text"))?;
        let token = text.strip_prefix("Bearer ").ok_or_else(|| bad_token("the header is not `Bearer TOKEN`"))?;
        if token.len() != TOKEN_CHARS {
            return Err(bad_token("the token has the wrong length"));
        }
        node.tokens().identify(token, comity_runtime::wall_ms()).map(Caller)
    }
}
