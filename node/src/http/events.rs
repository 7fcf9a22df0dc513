//! `/api/v1/events`: the domain's events as server-sent events, for whoever they concern.
//!
//! Each has its leaf as id. A reader that comes back with `Last-Event-ID`, to whichever node, misses nothing and hears
//! nothing twice. Every quarter of a minute it hears at least a comment, with the id up to which there was nothing for it.
//! A reader that took too long to take what was sent is told so, and where to go on, and its stream ends: a place here is
//! for those who follow.

use super::{
    auth::{self, Caller},
    openapi::Routes,
    own::event_stream,
    params::Query,
};
use crate::{
    node::Node,
    service::{
        custody::Bearer,
        error::ServiceError,
        feed::{Feed, News, Told},
    },
};
use axum::{extract::State, http::HeaderMap, response::Response};
use comity_runtime as runtime;
use serde::Deserialize;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use utoipa::IntoParams;
use utoipa_axum::routes;

/// A reader that leaves what was sent untaken for so long has fallen behind.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(events))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Events behind this leaf; `Last-Event-ID` counts before it. Absent is from now on.
    after: Option<u64>,
    /// Whether the stream goes on with what happens later; true unless told otherwise.
    follow: Option<bool>,
}

/// The domain's events, as far as they concern the caller: the operator sees everything, an agent what it has to do with,
/// everybody what the domain shows of itself. `data` of each is a JSON object.
#[utoipa::path(get, path = "/api/v1/events",
    params(Which, ("Last-Event-ID" = Option<u64>, Header, description = "The last leaf that the reader has.")),
    responses((status = 200, content_type = "text/event-stream", body = Told)))]
async fn events(
    State(node): State<Arc<Node>>,
    Caller(who): Caller,
    headers: HeaderMap,
    Query(which): Query<Which>,
) -> Result<Response, ServiceError> {
    let last = headers.get("last-event-id").map(|id| id.to_str().ok().and_then(|text| text.parse().ok()));
    let after = match last {
        Some(Some(leaf)) => Some(leaf),
        Some(None) => return Err(ServiceError::bad_input("bad_event_id", "`Last-Event-ID` is the number of a leaf")),
        None => which.after,
    };
    let feed = Feed::open(&node, who, after, which.follow.unwrap_or(true))?;
    let reader = Reader { caller: auth::bearer(&headers, who).ok(), node, feed, handed: None, ended: false };
    Ok(event_stream(futures::stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) })))
}

struct Reader {
    node: Arc<Node>,
    /// Whoever signed the request itself has no token that could end.
    caller: Option<Bearer>,
    feed: Feed,
    /// When the last piece was handed on; the next is asked for once there is room for it.
    handed: Option<runtime::Instant>,
    ended: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        let waited = self.handed.map(|at| runtime::now() - at).unwrap_or_default();
        let text = match self.reason_to_end(waited) {
            Some(text) => text,
            None => match self.feed.next().await {
                Ok(News::Event(told)) => line(&told),
                Ok(News::Nothing(seen)) => seen.map_or(":\n\n".to_owned(), |leaf| format!(":\nid: {leaf}\n\n")),
                Ok(News::End) => return None,
                Err(error) => self.end("failed", &error.code, &error.next),
            },
        };
        self.handed = Some(runtime::now());
        Some(text)
    }

    fn reason_to_end(&mut self, waited: Duration) -> Option<String> {
        if waited > TAKEN_WITHIN {
            return Some(self.end(
                "behind",
                "reader_too_slow",
                "go on with `Last-Event-ID`, and read as fast as it comes",
            ));
        }
        // A session that has ended ends what it opened.
        let caller = self.caller.as_ref()?;
        match self.node.tokens().identify(&caller.token, runtime::wall_ms()) {
            Ok(who) if who == caller.who => None,
            _ => Some(self.end("ended", "bad_token", "open another session and go on with `Last-Event-ID`")),
        }
    }

    fn end(&mut self, event: &str, code: &str, next: &str) -> String {
        self.ended = true;
        let (seen, count) = (self.feed.seen(), self.feed.count());
        let data = json!({ "code": code, "resume_after": seen, "events": count, "next": next });
        format!("event: {event}\ndata: {data}\n\n")
    }
}

fn line(told: &Told) -> String {
    format!("id: {}\nevent: {}\ndata: {}\n\n", told.leaf, told.kind, json!(told))
}
