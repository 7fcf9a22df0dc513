//! Task routes: for agents with a session of their own.

use super::{
    auth::{Caller, bearer},
    body::{Body, EnvelopeBody},
};
use crate::{
    node::Node,
    service::{error::ServiceError, work},
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::HeaderMap,
    routing::{get, post},
};
use bytes::Bytes;
use comity_proto::{
    ids::TaskId,
    task::{TaskEvent, TaskEventKind},
    text::Reason,
};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

type App = State<Arc<Node>>;
type Answer = Result<Json<Value>, ServiceError>;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/tasks", post(give))
        .route("/api/v1/tasks/next", get(next))
        .route("/api/v1/tasks/{task}/events", get(events).post(tell))
        .route("/api/v1/tasks/{task}/finish", post(finish))
        .route("/api/v1/tasks/{task}/cancel", post(cancel))
}

async fn give(State(node): App, Caller(who): Caller, Body(body): Body<EnvelopeBody>) -> Answer {
    let task = work::give(&node, who, body.bytes()?, Bytes::new()).await?;
    Ok(Json(json!({ "task": task })))
}

#[derive(Deserialize)]
struct Wait {
    #[serde(default)]
    wait_ms: u64,
    #[serde(default)]
    after: u64,
}

async fn next(State(node): App, Caller(who): Caller, Query(query): Query<Wait>) -> Answer {
    let request = work::next(&node, who, Duration::from_millis(query.wait_ms)).await?;
    let task = request.map(|request| {
        let said = request.get();
        json!({
            "task": said.task_id, "from": said.from, "to": said.to, "escrow": said.escrow_id,
            "capability": said.capability, "deadline_ms": said.deadline_ms, "body": BASE64.encode(&said.body),
            "body_sha256": said.body_hash(),
        })
    });
    Ok(Json(json!({ "task": task })))
}

fn task_id(text: &str) -> Result<TaskId, ServiceError> {
    text.parse().map_err(|error| ServiceError::bad_input("bad_task_id", format!("`{text}`: {error}")))
}

async fn events(State(node): App, Caller(who): Caller, Path(task): Path<String>, Query(query): Query<Wait>) -> Answer {
    let wait = Duration::from_millis(query.wait_ms);
    let (events, ended) = work::events(&node, who, task_id(&task)?, query.after, wait).await?;
    let events: Vec<Value> = events.iter().map(view).collect();
    Ok(Json(json!({ "events": events, "ended": ended })))
}

fn view(event: &TaskEvent) -> Value {
    let (kind, data) = match &event.kind {
        TaskEventKind::Accepted => ("accepted", Value::Null),
        TaskEventKind::Progress(bytes) => ("progress", BASE64.encode(bytes).into()),
        TaskEventKind::Result(bytes) => ("result", BASE64.encode(bytes).into()),
        TaskEventKind::Finished(envelope) => ("finished", BASE64.encode(envelope).into()),
        TaskEventKind::Failed(reason) => ("failed", reason.to_string().into()),
    };
    json!({ "index": event.index, "kind": kind, "data": data })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    kind: String,
    /// Base64, or words for `failed`.
    data: Option<String>,
}

async fn tell(State(node): App, Caller(who): Caller, Path(task): Path<String>, Body(told): Body<Told>) -> Answer {
    let text = told.data.unwrap_or_default();
    let bytes = || {
        let decoded = BASE64.decode(text.as_bytes()).map(Bytes::from);
        decoded.map_err(|error| ServiceError::bad_input("bad_base64", format!("data: {error}")))
    };
    let kind = match told.kind.as_str() {
        "accepted" => TaskEventKind::Accepted,
        "progress" => TaskEventKind::Progress(bytes()?),
        "result" => TaskEventKind::Result(bytes()?),
        "finished" => TaskEventKind::Finished(bytes()?),
        "failed" => {
            let reason =
                Reason::new(&text).map_err(|reject| ServiceError::bad_input("bad_reason", reject.to_string()))?;
            TaskEventKind::Failed(reason)
        }
        other => return Err(ServiceError::bad_input("bad_event_kind", format!("`{other}` is no kind of event"))),
    };
    let index = work::tell(&node, who, task_id(&task)?, kind)?;
    Ok(Json(json!({ "index": index })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finished {
    /// Base64: what was not told as `result` events before.
    result: Option<String>,
    /// Such as 5.00, in the payer's asset; nothing is asked for without it.
    amount: Option<String>,
}

/// For an agent whose key this node keeps: the rest of the result, and a demand for payment that the node signs.
async fn finish(
    State(node): App,
    Caller(who): Caller,
    Path(task): Path<String>,
    headers: HeaderMap,
    Body(finished): Body<Finished>,
) -> Answer {
    let result = finished.result.unwrap_or_default();
    let result = BASE64.decode(result.as_bytes());
    let result = result.map_err(|error| ServiceError::bad_input("bad_base64", format!("result: {error}")))?;
    let caller = bearer(&headers, who)?;
    let index = work::finish(&node, &caller, task_id(&task)?, result.into(), finished.amount.as_deref()).await?;
    Ok(Json(json!({ "index": index })))
}

async fn cancel(State(node): App, Caller(who): Caller, Path(task): Path<String>) -> Answer {
    let task = task_id(&task)?;
    work::cancel(&node, who, task).await?;
    Ok(Json(json!({ "task": task, "canceled": true })))
}
