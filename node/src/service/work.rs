//! Tasks: given to remote agents, taken by local ones, with their events.

use super::{
    commands::of_reject,
    error::{Kind, ServiceError},
    principal::Principal,
};
use crate::{
    boundary,
    node::Node,
    tasks::{desk::Side, give},
};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    ids::TaskId,
    task::{TaskEvent, TaskEventKind, TaskRequest},
};
use std::time::Duration;

/// Longest wait of one look.
pub const WAIT_MAX: Duration = Duration::from_secs(30);

/// Sends a signed task on its way. The same one again is success.
///
/// # Errors
/// The bytes' refusal; `not_this_agent`; `deadline_in_past`; `not_exported` and what else the boundary refuses; those of
/// the desk.
pub async fn give(node: &Node, who: Principal, envelope: Bytes) -> Result<TaskId, ServiceError> {
    let request = TaskRequest::open(&envelope).map_err(|reject| of_reject(&reject))?;
    let from = request.get().from;
    who.require_agent(from.agent)?;
    let key = super::books::read(node, |ledger| ledger.agent(&from.agent).map(|agent| agent.key)).await?;
    if from.domain != node.domain() || key != Some(*request.key()) {
        let detail = format!("the task is not signed by the current key of {}", from.agent);
        return Err(ServiceError::new(
            Kind::Forbidden,
            "bad_signature",
            detail,
            "sign it with the agent's current key",
        ));
    }
    if request.get().deadline_ms <= comity_runtime::wall_ms() {
        return Err(ServiceError::bad_input("deadline_in_past", "the task's deadline has passed"));
    }
    boundary::outward(node, request.get()).await?;
    let task = request.get().task_id;
    if node.desk().put(Side::Given, request)? {
        comity_runtime::spawn(give::carry(node.desk().clone(), node.mesh().clone(), task));
    }
    Ok(task)
}

/// The next task for the agent that asks; `None` when none came in time.
///
/// # Errors
/// `not_an_agent` for a token that is no agent's session.
pub async fn next(node: &Node, who: Principal, wait: Duration) -> Result<Option<Verified<TaskRequest>>, ServiceError> {
    let Principal::Agent(agent) = who else { return Err(not_an_agent()) };
    Ok(node.desk().next_for(agent, wait.min(WAIT_MAX)).await)
}

/// The worker tells what happened.
///
/// # Errors
/// `unknown_task`, `not_this_agent`, those of the desk.
pub fn tell(node: &Node, who: Principal, task: TaskId, kind: TaskEventKind) -> Result<u64, ServiceError> {
    let request = node.desk().request(Side::Taken, task).ok_or_else(|| ServiceError::not_found("task", task))?;
    who.require_agent(request.get().to.agent)?;
    node.desk().append(Side::Taken, task, kind)
}

/// What happened to a task that the asking agent gave, from `after` on.
///
/// # Errors
/// `unknown_task`, `not_this_agent`.
pub async fn events(
    node: &Node,
    who: Principal,
    task: TaskId,
    after: u64,
    wait: Duration,
) -> Result<(Vec<TaskEvent>, bool), ServiceError> {
    let request = node.desk().request(Side::Given, task).ok_or_else(|| ServiceError::not_found("task", task))?;
    who.require_agent(request.get().from.agent)?;
    node.desk().events(Side::Given, task, after, wait.min(WAIT_MAX)).await
}

fn not_an_agent() -> ServiceError {
    let next = "open a session with POST /api/v1/sessions, signed by the agent's key";
    ServiceError::new(Kind::Forbidden, "not_an_agent", "this needs an agent's session", next)
}
