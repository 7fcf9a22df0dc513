//! The native REST API, on localhost and for other machines over HTTPS (`tls`): view types and routes over `service`, no rule of its own.
//!
//! Limits come before work: bodies, slow clients and request counts are bounded here, everything else in `service`.

mod a2a;
mod a2a_se;
mod ard;
mod audit;
pub mod auth;
mod body;
mod books;
mod bridge;
mod cards;
mod connections;
mod custody;
mod delegations;
mod drift;
mod endpoints;
mod events;
mod exports;
mod federation;
mod grpc;
mod licences;
mod linked;
mod mcp;
mod metrics;
mod openapi;
mod own;
mod params;
mod payment_requests;
mod peers;
pub mod problem;
mod registry;
mod restore;
mod routes;
mod signed;
mod stopping;
mod subnet;
mod tasks;
mod tls;
mod verdicts;
mod webhooks;
mod x402;

use crate::{
    node::Node,
    service::error::{Kind, ServiceError},
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;

pub(crate) use connections::CONNECTIONS;
pub(crate) use tls::serve as serve_tls;

/// Longest request body, bytes: a task of full length in base64, and its envelope.
pub const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A request that takes longer is answered with `no_answer_in_time`. Longer than the longest long poll.
pub const REQUEST_MAX: Duration = Duration::from_secs(65);

/// Takes the port.
///
/// # Errors
/// `port_taken`, naming it.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServiceError> {
    TcpListener::bind(address).await.map_err(|error| {
        let detail = format!("cannot listen on {address} (REST): {error}");
        let next = "stop the other program, or choose another address with --http or in config.toml";
        ServiceError::new(Kind::Conflict, "port_taken", detail, next)
    })
}

/// Serves until `stop` ends.
///
/// # Errors
/// When the listener breaks.
pub async fn serve(
    listener: TcpListener,
    node: Arc<Node>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let taken = node.metrics().http.clone();
    let service = router(node).into_make_service_with_connect_info::<connections::Seat>();
    axum::serve(connections::Door::of(listener, taken), service).with_graceful_shutdown(stop).await
}

/// All routes.
pub fn router(node: Arc<Node>) -> Router {
    routes::all()
        .fallback(|| async { ServiceError::not_found("route", "of that name") })
        .method_not_allowed_fallback(|| async {
            let next = "see the header `Allow`, or /api/v1/docs";
            let error = ServiceError::new(Kind::BadInput, "method_not_allowed", "this route has other methods", next);
            error.into_answer(StatusCode::METHOD_NOT_ALLOWED)
        })
        .layer(middleware::from_fn_with_state(node.clone(), signed::judged))
        .layer(middleware::from_fn_with_state(node.clone(), own::no_page_of_others))
        .layer(middleware::from_fn(bounded))
        .layer(middleware::from_fn_with_state(node.clone(), stopping::answered))
        .layer(middleware::from_fn_with_state(node.clone(), metrics::counted))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(own::host_of_address))
        .layer(middleware::from_fn(connections::streams_stay))
        .with_state(node)
}

async fn bounded(request: Request, next: Next) -> Response {
    match comity_runtime::timeout(REQUEST_MAX, next.run(request)).await {
        Ok(response) => response,
        Err(comity_runtime::Elapsed) => {
            let next = "ask again with the same request id: it is answered once";
            let detail = "the request took too long";
            ServiceError::new(Kind::Unknown, "no_answer_in_time", detail, next).into_response()
        }
    }
}
