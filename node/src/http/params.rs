//! Path and query of a request: refused as problem documents, never as the framework's text.

use crate::service::error::ServiceError;
use axum::{
    extract::{FromRequestParts, Path as RawPath, Query as RawQuery},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

/// What stands in the address in place of names in braces.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let read = RawPath::<T>::from_request_parts(parts, state).await;
        let RawPath(path) = read.map_err(|error| ServiceError::bad_input("bad_path", error.body_text()))?;
        Ok(Path(path))
    }
}

/// What stands in the address behind the question mark.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let read = RawQuery::<T>::from_request_parts(parts, state).await;
        let RawQuery(query) = read.map_err(|error| ServiceError::bad_input("bad_query", error.body_text()))?;
        Ok(Query(query))
    }
}
