//! `/metrics`, and what the doors count for it.

use super::{auth::Watcher, openapi::Routes};
use crate::{metrics, node::Node};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::sync::Arc;
use utoipa_axum::routes;

/// Where nothing is served.
const NOWHERE: &str = "none";

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(page))
}

/// What an operator watches, as OpenMetrics. Also for the token of `metrics.token`, which opens nothing else.
#[utoipa::path(get, path = "/metrics",
    responses((status = 200, body = String, content_type = "application/openmetrics-text")))]
async fn page(State(node): State<Arc<Node>>, _: Watcher) -> Response {
    let kind = HeaderValue::from_static(metrics::MEDIA_TYPE);
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (headers, metrics::text(&node).await).into_response()
}

/// Counts every answer by the template of its route, never by an address that somebody made up.
pub(super) async fn counted(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (method, begun) = (request.method().clone(), comity_runtime::now());
    let response = next.run(request).await;
    let route = route.as_ref().map_or(NOWHERE, MatchedPath::as_str);
    node.metrics().requests.answered(route, method.as_str(), response.status().as_u16(), begun.elapsed());
    response
}
