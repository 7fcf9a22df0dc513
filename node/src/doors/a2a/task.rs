//! A task as the protocol shows it: made anew from the mesh's events each time, nothing is kept twice.

use super::{
    EXTENSION, kit,
    message::{self, content},
    time,
};
use crate::{
    node::Node,
    service::work::{self, NO_ESCROW},
    tasks::{
        desk::{View, result_of},
        give::{CANCELED, NO_ANSWER},
    },
};
use comity_proto::{
    ids::Hash,
    task::{TaskEvent, TaskEventKind},
};
use serde_json::{Map, Value, json};

/// The only artifact of a task.
const RESULT: &str = "result";

/// States that a task of the mesh can have.
pub(super) const SUBMITTED: &str = "TASK_STATE_SUBMITTED";
pub(super) const WORKING: &str = "TASK_STATE_WORKING";
pub(super) const COMPLETED: &str = "TASK_STATE_COMPLETED";
pub(super) const FAILED: &str = "TASK_STATE_FAILED";
pub(super) const CANCELED_STATE: &str = "TASK_STATE_CANCELED";
pub(super) const REJECTED: &str = "TASK_STATE_REJECTED";
/// And the others that the protocol knows.
pub(super) const STATES: [&str; 8] = [
    SUBMITTED,
    WORKING,
    COMPLETED,
    FAILED,
    CANCELED_STATE,
    REJECTED,
    "TASK_STATE_INPUT_REQUIRED",
    "TASK_STATE_AUTH_REQUIRED",
];

/// What the events so far come to.
pub(super) fn state(events: &[TaskEvent]) -> &'static str {
    match events.last().map(|event| &event.kind) {
        None => SUBMITTED,
        Some(TaskEventKind::Progress(words)) => kit::asks(words).unwrap_or(WORKING),
        Some(TaskEventKind::Accepted | TaskEventKind::Result(_)) => WORKING,
        Some(TaskEventKind::Finished(_)) => COMPLETED,
        Some(TaskEventKind::Failed(reason)) => match reason.to_string().as_str() {
            CANCELED => CANCELED_STATE,
            NO_ANSWER => FAILED,
            // Whoever never began refused.
            _ if events.len() == 1 => REJECTED,
            _ => FAILED,
        },
    }
}

/// The note of a task, or nothing of one that came by another door.
pub(super) fn note(view: &View) -> Value {
    serde_json::from_slice(&view.note).unwrap_or_default()
}

/// How much of a task is shown.
#[derive(Clone, Copy)]
pub(super) struct Shown {
    /// Messages of its history; all without a number.
    pub(super) history: Option<u64>,
    pub(super) artifacts: bool,
}

pub(super) fn task(node: &Node, view: &View, shown: Shown) -> Value {
    let request = view.request.get();
    let (id, note) = (request.task_id, note(view));
    let mut task = json!({
        "id": id, "contextId": message::context(&note, id), "metadata": metadata(node, view),
        "status": status(&view.events, view.changed_ms, &note),
    });
    if shown.history != Some(0) {
        let mut said = vec![message::first(&note, id, &request.body)];
        said.extend(kit::said_after(id));
        let shown = shown.history.and_then(|shown| usize::try_from(shown).ok()).unwrap_or(said.len());
        task["history"] = said.split_off(said.len().saturating_sub(shown)).into();
    }
    let result = result_of(&view.events);
    if shown.artifacts && !result.is_empty() {
        task["artifacts"] = json!([artifact(&result)]);
    }
    task
}

fn artifact(bytes: &[u8]) -> Value {
    let parts = kit::parts(bytes).unwrap_or_else(|| json!([content(bytes, Map::new())]));
    json!({ "artifactId": RESULT, "name": RESULT, "parts": parts })
}

fn status(events: &[TaskEvent], changed_ms: u64, note: &Value) -> Value {
    let mut status = json!({ "state": state(events), "timestamp": time::text(changed_ms) });
    if let Some(words) = events.last().and_then(|event| words(event, note)) {
        status["message"] = words;
    }
    status
}

/// What the worker says of its work beside the result.
fn words(event: &TaskEvent, note: &Value) -> Option<Value> {
    let part = match &event.kind {
        TaskEventKind::Progress(bytes) if kit::asks(bytes).is_some() => return None,
        TaskEventKind::Progress(bytes) => content(bytes, Map::new()),
        TaskEventKind::Failed(reason) => json!({ "text": reason.to_string() }),
        TaskEventKind::Accepted | TaskEventKind::Result(_) | TaskEventKind::Finished(_) => return None,
    };
    let id = event.task_id;
    Some(json!({
        "messageId": format!("{id}-{}", event.index), "contextId": message::context(note, id), "taskId": id,
        "role": "ROLE_AGENT", "parts": [part],
    }))
}

fn metadata(node: &Node, view: &View) -> Value {
    let request = view.request.get();
    let mut payment = json!({ "capability": request.capability });
    if request.escrow_id != NO_ESCROW {
        payment["escrow"] = json!(request.escrow_id);
    }
    if state(&view.events) == COMPLETED {
        payment["resultSha256"] = json!(Hash::of(&result_of(&view.events)));
        match work::demand(node, view) {
            Ok(Some(demand)) => payment["paymentRequest"] = demand.shown().clone(),
            Ok(None) => {}
            Err(why) => payment["paymentRefused"] = why.into(),
        }
    }
    json!({ EXTENSION: payment })
}

/// One event as a stream tells it.
pub(super) fn update(node: &Node, view: &View, index: usize) -> Option<Value> {
    let event = view.events.get(index)?;
    let (id, note) = (event.task_id, note(view));
    let context = message::context(&note, id);
    if let TaskEventKind::Result(bytes) = &event.kind {
        let begun = view.events[..index].iter().any(|earlier| matches!(earlier.kind, TaskEventKind::Result(_)));
        let update = json!({ "taskId": id, "contextId": context, "artifact": artifact(bytes), "append": begun });
        return Some(json!({ "artifactUpdate": update }));
    }
    let status = status(&view.events[..=index], view.changed_ms, &note);
    let mut update = json!({ "taskId": id, "contextId": context, "status": status });
    if matches!(event.kind, TaskEventKind::Finished(_)) {
        update["metadata"] = metadata(node, view);
    }
    Some(json!({ "statusUpdate": update }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::{ids::TaskId, text::Reason};

    #[test]
    fn events_come_to_the_states_of_the_protocol() {
        let events = |kinds: Vec<TaskEventKind>| -> Vec<TaskEvent> {
            let event = |(index, kind)| TaskEvent { task_id: TaskId([1; 16]), index: index as u64, kind };
            kinds.into_iter().enumerate().map(event).collect()
        };
        let failed = |words: &str| TaskEventKind::Failed(Reason::new(words).unwrap());
        for (kinds, expected) in [
            (vec![], SUBMITTED),
            (vec![TaskEventKind::Accepted], WORKING),
            (vec![TaskEventKind::Accepted, TaskEventKind::Finished(Default::default())], COMPLETED),
            (vec![failed("not_exported")], REJECTED),
            (vec![failed(NO_ANSWER)], FAILED),
            (vec![failed(CANCELED)], CANCELED_STATE),
            (vec![TaskEventKind::Accepted, failed("it broke")], FAILED),
        ] {
            assert_eq!(state(&events(kinds)), expected);
        }
    }
}
