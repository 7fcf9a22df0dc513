//! What a client hears from a node whose replica cannot go on, from that moment until the process has ended.
//!
//! Requests under way and those that still arrive are answered alike: whether a command took effect is unknown here, and
//! asking again with the same request id makes it known. The reason is for the operator, in the process's own output:
//! it names files, and whoever asks has not shown a token yet.

use crate::{
    node::Node,
    service::error::{Changed, Kind, ServiceError},
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// Lets a request through while the replica runs; what cannot be answered any more gets its problem at once.
pub(super) async fn answered(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let changed = if request.method().is_safe() { Changed::No } else { Changed::Unknown };
    if node.replica().failure().is_some() {
        return problem(changed);
    }
    let mut failed = node.replica().failed();
    tokio::select! {
        biased;
        answer = next.run(request) => {
            // An answer that is known stays; one that failed, failed because of this.
            let in_vain = answer.status().is_server_error() && node.replica().failure().is_some();
            if in_vain { problem(changed) } else { answer }
        }
        Ok(_) = failed.wait_for(Option::is_some) => problem(changed),
    }
}

fn problem(changed: Changed) -> Response {
    let detail = "this node cannot keep its records any more and ends; its own output says why";
    let next = "ask again with the same request id: another node of this domain, or this one when it runs again";
    let mut error = ServiceError::new(Kind::Unavailable, "replica_failed", detail, next);
    error.changed = changed;
    let mut response = error.into_response();
    // No request of this connection would find the door open.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
