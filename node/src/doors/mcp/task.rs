//! `send_task`: a signed task through the mesh, and what came back of it so far.

use super::{answer::Answer, stream::Line};
use crate::{
    node::Node,
    service::{
        custody::{Asked, Bearer},
        domain, errands,
        error::ServiceError,
        work::{self, Order},
    },
};
use bytes::Bytes;
use comity_proto::{
    ids::{EscrowId, Hash, TaskId},
    task::{TaskEvent, TaskEventKind},
    text::Capability,
};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait of one call, below what clients wait for an answer.
const WAIT_SECONDS_MAX: u64 = 25;
const WAIT_SECONDS: u64 = 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SendTask {
    to: String,
    escrow: String,
    capability: String,
    task: String,
    deadline_minutes: Option<u32>,
    wait_seconds: Option<u64>,
}

/// Sends it once, and waits for what comes back.
pub(super) async fn send(
    node: &Node,
    caller: &Bearer,
    key: &str,
    wanted: SendTask,
    line: &Line,
) -> Result<Answer, ServiceError> {
    let bad = |what: &str, text: &str| ServiceError::bad_input("bad_text", format!("`{text}` is no {what}"));
    let escrow: EscrowId = wanted.escrow.parse().map_err(|_| bad("whole escrow id", &wanted.escrow))?;
    let capability = Capability::new(&wanted.capability).map_err(|_| bad("capability", &wanted.capability))?;
    let to = errands::party(node, &domain::domain(node)?, &wanted.to).await?;
    // How long to wait is no part of the wish: a repeated call waits on.
    let content = json!([to, escrow, wanted.capability, wanted.task, wanted.deadline_minutes]).to_string();
    let asked = Asked::new(key, "send_task", content.as_bytes())?;
    let (body, deadline_minutes) = (Bytes::from(wanted.task.into_bytes()), wanted.deadline_minutes);
    let order = Order { to, escrow, capability, body, deadline_minutes };
    let task = work::order(node, caller, &asked, order, Bytes::new()).await?;
    let wait = Duration::from_secs(wanted.wait_seconds.unwrap_or(WAIT_SECONDS).min(WAIT_SECONDS_MAX));
    line.progress(&format!("task {task} is on its way"));
    let (events, ended) = until_ended(node, caller, task, wait, line).await?;
    Ok(told(task, &events, ended))
}

async fn until_ended(
    node: &Node,
    caller: &Bearer,
    task: TaskId,
    wait: Duration,
    line: &Line,
) -> Result<(Vec<TaskEvent>, bool), ServiceError> {
    let (begun, mut events) = (comity_runtime::now(), Vec::new());
    loop {
        let left = wait.saturating_sub(begun.elapsed());
        let after = events.len() as u64;
        let (more, ended) = work::events(node, caller.who, task, after, left).await?;
        for event in &more {
            line.progress(word(&event.kind));
        }
        events.extend(more);
        if ended || left.is_zero() {
            return Ok((events, ended));
        }
    }
}

/// What an event means to whoever waits. The worker's own words are not among it: they come with the answer, if at all.
fn word(kind: &TaskEventKind) -> &'static str {
    match kind {
        TaskEventKind::Accepted => "the worker has accepted",
        TaskEventKind::Progress(_) => "the worker is at it",
        TaskEventKind::Result(_) => "a part of the result is here",
        TaskEventKind::Finished(_) => "the result is whole",
        TaskEventKind::Failed(_) => "the task has failed",
    }
}

fn told(task: TaskId, events: &[TaskEvent], ended: bool) -> Answer {
    let (mut result, mut state, mut reason) = (Vec::new(), "sent", None);
    for event in events {
        match &event.kind {
            TaskEventKind::Accepted => state = "accepted",
            TaskEventKind::Progress(_) => state = "working",
            TaskEventKind::Result(piece) => result.extend_from_slice(piece),
            TaskEventKind::Finished(_) => state = "finished",
            TaskEventKind::Failed(why) => (state, reason) = ("failed", Some(why.to_string())),
        }
    }
    let finished = state == "finished";
    let hash = finished.then(|| Hash::of(&result));
    let words = match String::from_utf8(result) {
        Ok(text) => json!({ "text": text }),
        Err(bytes) => json!({ "base64": BASE64.encode(bytes.as_bytes()) }),
    };
    let next = match state {
        "finished" => "check the result; if it is good, release_funds with verified_sha256 = result_sha256",
        "failed" => "the escrow returns the money when its deadline has passed",
        _ => "repeat this call with the same idempotency_key to wait on",
    };
    let text = format!(
        "task {task} is {state}{}. Next: {next}.",
        reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
    );
    let result = if finished { words } else { Value::Null };
    let data = json!({
        "task": task, "state": state, "ended": ended, "result": result, "result_sha256": hash, "reason": reason,
        "next": next,
    });
    Answer { text, data }
}
