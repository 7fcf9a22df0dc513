//! RFC 9457 problem documents: the only error form of the native API.

use crate::service::error::{Changed, Kind, ServiceError};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// `application/problem+json`, with what a client needs to decide what to do next.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Identifies the rule; `code` behind a fixed prefix.
    #[serde(rename = "type")]
    pub kind: String,
    /// The rule in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened, naming the thing.
    pub detail: String,
    /// The rule, in snake case.
    pub code: String,
    /// `no` or `unknown`.
    pub changed: &'static str,
    /// What to do next.
    pub next: String,
}

/// The status that each kind of refusal has on HTTP.
pub fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::BadInput => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Unknown => StatusCode::GATEWAY_TIMEOUT,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A refusal in the form of a door that has its own.
pub(super) fn in_own_form(status: u16, body: serde_json::Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let status = status_of(self.kind);
        self.into_answer(status)
    }
}

impl ServiceError {
    /// The document under a status of HTTP's own that no kind of refusal has.
    pub(super) fn into_answer(self, status: StatusCode) -> Response {
        let problem = Problem {
            kind: format!("urn:comity:problem:{}", self.code),
            title: self.code.replace('_', " "),
            status: status.as_u16(),
            detail: self.detail,
            code: self.code,
            changed: match self.changed {
                Changed::No => "no",
                Changed::Unknown => "unknown",
            },
            next: self.next,
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
