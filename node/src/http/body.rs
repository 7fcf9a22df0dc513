//! JSON bodies: refused as problem documents, never as the framework's text.

use crate::service::error::{Kind, ServiceError};
use axum::{
    Json,
    extract::{FromRequest, Request, rejection::JsonRejection},
};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::{Deserialize, de::DeserializeOwned};

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ServiceError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Body(body)),
            Err(JsonRejection::BytesRejection(error)) => Err(ServiceError::new(
                Kind::TooLarge,
                "body_too_large",
                error.body_text(),
                "send less, or refer to it by hash",
            )),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(ServiceError::bad_input("not_json", "send `Content-Type: application/json`"))
            }
            Err(error) => Err(ServiceError::bad_input("bad_json", error.body_text())),
        }
    }
}

/// `{"envelope": "<base64>"}`: exact signed bytes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnvelopeBody {
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
