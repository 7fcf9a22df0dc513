//! Task routes: for agents with a session of their own.

use super::{
    auth::{Caller, bearer},
    body::{Body, EnvelopeBody},
    openapi::Routes,
    params::{Path, Query},
};
use crate::{
    node::Node,
    service::{error::ServiceError, shape, work},
};
use axum::{Json, extract::State, http::HeaderMap};
use bytes::Bytes;
use comity_proto::{
    command::Party,
    ids::{AgentId, DomainId, EscrowId, Hash, TaskId},
    task::{TaskEvent, TaskEventKind},
    text::Reason,
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new()
        .routes(routes!(give))
        .routes(routes!(next))
        .routes(routes!(events, tell))
        .routes(routes!(finish))
        .routes(routes!(cancel))
}

#[derive(Serialize, ToSchema)]
struct Given {
    #[schema(value_type = shape::ShortIdText)]
    task: TaskId,
}

/// Gives a signed task to an agent, here or in another domain.
#[utoipa::path(post, path = "/api/v1/tasks", request_body = EnvelopeBody, responses((status = 200, body = Given)))]
async fn give(State(node): App, Caller(who): Caller, Body(body): Body<EnvelopeBody>) -> Answer<Given> {
    let task = work::give(&node, who, body.bytes()?, Bytes::new()).await?;
    Ok(Json(Given { task }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Wait {
    /// Waits so long for news, at most half a minute.
    #[serde(default)]
    wait_ms: u64,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct News {
    /// Waits so long for news, at most half a minute.
    #[serde(default)]
    wait_ms: u64,
    /// Events that are known already.
    #[serde(default)]
    after: u64,
}

#[derive(Serialize, ToSchema)]
struct Next {
    /// Null when there is none.
    task: Option<Wanted>,
}

/// A task that waits for the caller.
#[derive(Serialize, ToSchema)]
struct Wanted {
    #[schema(value_type = shape::ShortIdText)]
    task: TaskId,
    from: AgentAt,
    to: AgentAt,
    /// What pays for it; all zero when nothing does.
    #[schema(value_type = shape::ShortIdText)]
    escrow: EscrowId,
    capability: String,
    /// Ms since the Unix epoch.
    deadline_ms: u64,
    /// The input.
    #[schema(value_type = shape::Base64Text)]
    body: String,
    #[schema(value_type = shape::HashText)]
    body_sha256: Hash,
}

#[derive(Serialize, ToSchema)]
struct AgentAt {
    #[schema(value_type = shape::AgentIdText)]
    agent: AgentId,
    #[schema(value_type = shape::DomainIdText)]
    domain: DomainId,
}

impl From<Party> for AgentAt {
    fn from(party: Party) -> AgentAt {
        AgentAt { agent: party.agent, domain: party.domain }
    }
}

/// The next task that waits for the calling agent.
#[utoipa::path(get, path = "/api/v1/tasks/next", params(Wait), responses((status = 200, body = Next)))]
async fn next(State(node): App, Caller(who): Caller, Query(query): Query<Wait>) -> Answer<Next> {
    let request = work::next(&node, who, Duration::from_millis(query.wait_ms)).await?;
    let task = request.map(|request| {
        let said = request.get();
        Wanted {
            task: said.task_id,
            from: said.from.into(),
            to: said.to.into(),
            escrow: said.escrow_id,
            capability: said.capability.to_string(),
            deadline_ms: said.deadline_ms,
            body: BASE64.encode(&said.body),
            body_sha256: said.body_hash(),
        }
    });
    Ok(Json(Next { task }))
}

fn task_id(text: &str) -> Result<TaskId, ServiceError> {
    text.parse().map_err(|error| ServiceError::bad_input("bad_task_id", format!("`{text}`: {error}")))
}

#[derive(Serialize, ToSchema)]
struct TaskEvents {
    events: Vec<Event>,
    /// Nothing more is to come.
    ended: bool,
    /// The demand for payment at the end, if it holds: a `payment_request`, or the same with an envelope.
    #[schema(value_type = Option<Object>)]
    payment_request: Option<Value>,
    /// Why the demand at the end does not hold: nothing may be paid for it.
    payment_refused: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Event {
    /// From 0.
    index: u64,
    /// accepted, progress, result, finished, failed.
    kind: &'static str,
    /// Base64; of `failed` the reason in words.
    data: Option<String>,
}

/// What became of a task, for its giver and its worker.
#[utoipa::path(get, path = "/api/v1/tasks/{task}/events", params(News), responses((status = 200, body = TaskEvents)))]
async fn events(
    State(node): App,
    Caller(who): Caller,
    Path(task): Path<String>,
    Query(query): Query<News>,
) -> Answer<TaskEvents> {
    let (wait, task) = (Duration::from_millis(query.wait_ms), task_id(&task)?);
    let (events, ended) = work::events(&node, who, task, query.after, wait).await?;
    let demand = match ended {
        true => work::demand(&node, &work::view(&node, who, task).await?),
        false => Ok(None),
    };
    let (payment_request, payment_refused) = match demand {
        Ok(demand) => (demand.map(|demand| demand.shown().clone()), None),
        Err(why) => (None, Some(why)),
    };
    Ok(Json(TaskEvents { events: events.iter().map(view).collect(), ended, payment_request, payment_refused }))
}

fn view(event: &TaskEvent) -> Event {
    let (kind, data) = match &event.kind {
        TaskEventKind::Accepted => ("accepted", None),
        TaskEventKind::Progress(bytes) => ("progress", Some(BASE64.encode(bytes))),
        TaskEventKind::Result(bytes) => ("result", Some(BASE64.encode(bytes))),
        TaskEventKind::Finished(envelope) => ("finished", Some(BASE64.encode(envelope))),
        TaskEventKind::Failed(reason) => ("failed", Some(reason.to_string())),
    };
    Event { index: event.index, kind, data }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Told {
    /// accepted, progress, result, finished, failed.
    kind: String,
    /// Base64, or words for `failed`.
    data: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Index {
    /// Of the event.
    index: u64,
}

/// The worker's next word about a task.
#[utoipa::path(post, path = "/api/v1/tasks/{task}/events", request_body = Told,
    responses((status = 200, body = Index)))]
async fn tell(
    State(node): App,
    Caller(who): Caller,
    Path(task): Path<String>,
    Body(told): Body<Told>,
) -> Answer<Index> {
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
    Ok(Json(Index { index }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Finished {
    /// Base64: what was not told as `result` events before.
    result: Option<String>,
    /// Such as 5.00, in the payer's asset; nothing is asked for without it.
    amount: Option<String>,
}

/// For an agent whose key this node keeps: the rest of the result, and a demand for payment that the node signs.
#[utoipa::path(post, path = "/api/v1/tasks/{task}/finish", request_body = Finished,
    responses((status = 200, body = Index)))]
async fn finish(
    State(node): App,
    Caller(who): Caller,
    Path(task): Path<String>,
    headers: HeaderMap,
    Body(finished): Body<Finished>,
) -> Answer<Index> {
    let result = finished.result.unwrap_or_default();
    let result = BASE64.decode(result.as_bytes());
    let result = result.map_err(|error| ServiceError::bad_input("bad_base64", format!("result: {error}")))?;
    let caller = bearer(&headers, who)?;
    let index = work::finish(&node, &caller, task_id(&task)?, result.into(), finished.amount.as_deref()).await?;
    Ok(Json(Index { index }))
}

#[derive(Serialize, ToSchema)]
struct Canceled {
    #[schema(value_type = shape::ShortIdText)]
    task: TaskId,
    canceled: bool,
}

/// Takes a task back, for its giver.
#[utoipa::path(post, path = "/api/v1/tasks/{task}/cancel", responses((status = 200, body = Canceled)))]
async fn cancel(State(node): App, Caller(who): Caller, Path(task): Path<String>) -> Answer<Canceled> {
    let task = task_id(&task)?;
    work::cancel(&node, who, task).await?;
    Ok(Json(Canceled { task, canceled: true }))
}
