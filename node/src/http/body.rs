//! JSON bodies: read so that no two readers see two things in them, refused as problem documents.

use super::own::{media_type, whole};
use crate::{
    registry::json::{self, BadJson},
    service::{
        error::{Kind, ServiceError},
        shape::Base64Text,
    },
};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, de::DeserializeOwned};
use std::time::Duration;
use utoipa::ToSchema;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// Objects and lists inside each other: the door's own bodies have three.
const DEPTH_MAX: usize = 16;
/// Whoever sends more slowly is let go.
const WHOLE_WITHIN: Duration = Duration::from_secs(20);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ServiceError;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        if media_type(request.headers()) != "application/json" {
            return Err(ServiceError::bad_input("not_json", "send `Content-Type: application/json`"));
        }
        let read = comity_runtime::timeout(WHOLE_WITHIN, whole(request.into_body())).await;
        let slow = |_| ServiceError::bad_input("body_too_slow", format!("it did not end in {WHOLE_WITHIN:?}"));
        let bytes = read.map_err(slow)?.map_err(|(_, code, detail)| {
            ServiceError::new(Kind::TooLarge, code, detail, "send less, or refer to it by hash")
        })?;
        let body = json::parse_within(&bytes, DEPTH_MAX).map_err(|bad| match bad {
            BadJson::NotJson(detail) => ServiceError::bad_input("bad_json", detail),
            bad => ServiceError::bad_input(bad.code(), bad.to_string()),
        })?;
        let read = serde_json::from_value(body);
        read.map(Body).map_err(|error| ServiceError::bad_input("bad_json", error.to_string()))
    }
}

/// `{"envelope": "<base64>"}`: exact signed bytes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvelopeBody {
    #[schema(value_type = Base64Text)]
    envelope: String,
}

impl EnvelopeBody {
    /// The bytes.
    ///
    /// # Errors
    /// `bad_base64`.
    pub(super) fn bytes(&self) -> Result<Bytes, ServiceError> {
        let decoded = BASE64.decode(self.envelope.as_bytes());
        decoded.map(Bytes::from).map_err(|error| ServiceError::bad_input("bad_base64", format!("envelope: {error}")))
    }
}
