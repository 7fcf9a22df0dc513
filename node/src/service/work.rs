//! Tasks: given to remote agents, taken by local ones, with their events.

use super::{
    commands::of_reject,
    custody::{self, Asked, Bearer},
    demands, domain,
    error::{Kind, ServiceError},
    principal::Principal,
};
use crate::{
    boundary,
    node::Node,
    payment_request::{self, Demand},
    tasks::{
        desk::{Side, View, result_of},
        give::{self, CANCELED},
        spread,
    },
};
use bytes::Bytes;
use comity_proto::{
    amount::AssetId,
    command::Party,
    envelope::{Signed as _, Verified},
    ids::{EscrowId, Hash, TaskId},
    limits::{RESULT_BYTES_MAX, SECOND_MS, TASK_CHUNK_BYTES},
    task::{PaymentRequest, TaskEvent, TaskEventKind, TaskRequest},
    text::{Capability, Reason},
};
use std::time::Duration;

/// Longest wait of one look.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long the payee's end has to answer that a task is cancelled, before it ends on this side alone.
const CANCEL_WAIT: Duration = Duration::from_secs(3);
/// How long a node that only has a task's request waits for each next word of the payee's end, when it is first asked.
const CATCH_UP: Duration = Duration::from_millis(400);
/// Minutes until a task is of no use any more, unless told otherwise.
const MINUTES: u32 = 60;

/// The escrow of a task that no escrow pays for: all zero.
pub const NO_ESCROW: EscrowId = EscrowId([0; 16]);

/// A task that a custodial agent wants done.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who shall work.
    pub to: Party,
    /// What pays for it, or [`NO_ESCROW`].
    pub escrow: EscrowId,
    /// Which of the worker's capabilities.
    pub capability: Capability,
    /// The input.
    pub body: Bytes,
    /// No use after so many.
    pub deadline_minutes: Option<u32>,
}

/// Signs a task with the caller's custodial key and sends it on its way; the same key again is the same task.
///
/// # Errors
/// `own_key`, `idempotency_key_reused`, those of [`give`].
pub async fn order(
    node: &Node,
    caller: &Bearer,
    asked: &Asked,
    order: Order,
    note: Bytes,
) -> Result<TaskId, ServiceError> {
    let home = node.domain();
    let deadline = u64::from(order.deadline_minutes.unwrap_or(MINUTES)).saturating_mul(60 * SECOND_MS);
    let envelope = custody::sign_document(node, caller, asked, move |agent, request, secret, now_ms| {
        let Order { to, escrow: escrow_id, capability, body, .. } = order;
        let task_id = TaskId(Hash::of_parts("comity/v1/custody-task", &[&request.0]).first_16());
        let from = Party { domain: home, agent };
        let deadline_ms = now_ms.saturating_add(deadline);
        TaskRequest { task_id, from, to, escrow_id, capability, body, deadline_ms }.seal(secret)
    });
    let envelope = envelope.await?;
    let task = TaskRequest::open(&envelope).map_err(|reject| of_reject(&reject))?.get().task_id;
    // A task that is known is not judged again: its deadline may have passed meanwhile.
    if node.desk().request(Side::Given, task).is_some() {
        attend(node, task);
        return Ok(task);
    }
    give(node, caller.who, envelope, note).await
}

/// Sends a signed task on its way. The same one again is success.
///
/// # Errors
/// The bytes' refusal; `not_this_agent`; `deadline_in_past`; `not_exported` and what else the boundary refuses; those of
/// the desk.
pub async fn give(node: &Node, who: Principal, envelope: Bytes, note: Bytes) -> Result<TaskId, ServiceError> {
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
    if node.desk().put(Side::Given, request, note.clone())? {
        spread::spread(node, &envelope, &note).await;
    }
    attend(node, task);
    Ok(task)
}

/// Takes up a task again that was given before a restart, however late: how it ended may still be learnt. Only for what was
/// judged when it was given.
///
/// # Errors
/// Those of the desk.
pub(super) fn take_up(node: &Node, envelope: Bytes) -> Result<TaskId, ServiceError> {
    let request = TaskRequest::open(&envelope).map_err(|reject| of_reject(&reject))?;
    let task = request.get().task_id;
    node.desk().put(Side::Given, request, Bytes::new())?;
    attend(node, task);
    Ok(task)
}

/// Follows a given task from now on, if nobody here does yet.
fn attend(node: &Node, task: TaskId) -> bool {
    let first = node.desk().claim(task);
    if first {
        comity_runtime::spawn(give::carry(node.desk().clone(), node.mesh().clone(), task));
    }
    first
}

/// The request of a task that the asking agent gave. To anybody else it is unknown.
fn own(node: &Node, who: Principal, task: TaskId) -> Result<Verified<TaskRequest>, ServiceError> {
    let request = node.desk().request(Side::Given, task);
    let own = request.filter(|request| who == Principal::Agent(request.get().from.agent));
    own.ok_or_else(|| ServiceError::not_found("task", task))
}

/// A task that the asking agent gave, through whichever node of the domain.
///
/// # Errors
/// `unknown_task`.
pub async fn view(node: &Node, who: Principal, task: TaskId) -> Result<View, ServiceError> {
    own(node, who, task)?;
    if attend(node, task) {
        catch_up(node, task).await?;
    }
    node.desk().view(Side::Given, task).ok_or_else(|| ServiceError::not_found("task", task))
}

/// Waits until the payee's end has nothing more to tell for a moment.
async fn catch_up(node: &Node, task: TaskId) -> Result<(), ServiceError> {
    let mut known = 0;
    loop {
        let (events, ended) = node.desk().events(Side::Given, task, known, CATCH_UP).await?;
        if events.is_empty() || ended {
            return Ok(());
        }
        known += events.len() as u64;
    }
}

/// What `of` makes of each task that the asking agent gave.
///
/// # Errors
/// `not_an_agent`.
pub fn given<T>(node: &Node, who: Principal, of: impl FnMut(&View) -> Option<T>) -> Result<Vec<T>, ServiceError> {
    let Principal::Agent(agent) = who else { return Err(not_an_agent()) };
    Ok(node.desk().given_by(agent, of))
}

/// The giver wants no more of a task: the payee's end is told, and its word counts. One that nobody reaches ends here.
///
/// # Errors
/// `unknown_task`, `task_ended`.
pub async fn cancel(node: &Node, who: Principal, task: TaskId) -> Result<View, ServiceError> {
    let before = view(node, who, task).await?;
    if !before.ended {
        node.desk().unwant(task);
        let begun = comity_runtime::now();
        let mut known = before.events.len() as u64;
        loop {
            let left = CANCEL_WAIT.saturating_sub(begun.elapsed());
            let (events, ended) = node.desk().events(Side::Given, task, known, left).await?;
            known += events.len() as u64;
            if ended || left.is_zero() {
                break;
            }
        }
        let reason = Reason::new(CANCELED).map_err(|reject| of_reject(&reject))?;
        let _ended_by_the_payee = node.desk().append(Side::Given, task, TaskEventKind::Failed(reason));
    }
    let after = view(node, who, task).await?;
    if !before.ended && is_canceled(&after.events) {
        return Ok(after);
    }
    let detail = format!("task {task} has ended");
    Err(ServiceError::new(Kind::Conflict, "task_ended", detail, "look at its result"))
}

/// Whether a task's end is that its giver wanted no more of it.
pub fn is_canceled(events: &[TaskEvent]) -> bool {
    let failed = events.last().map(|event| &event.kind);
    matches!(failed, Some(TaskEventKind::Failed(reason)) if reason.to_string() == CANCELED)
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

/// The worker hands in its whole result and asks for payment: a node that keeps the worker's key signs the demand. Without
/// an amount nothing is demanded.
///
/// # Errors
/// `unknown_task`, `not_this_agent`, `own_key`, `bad_amount`, those of the desk.
pub async fn finish(
    node: &Node,
    caller: &Bearer,
    task: TaskId,
    result: Bytes,
    amount: Option<&str>,
) -> Result<u64, ServiceError> {
    let view = node.desk().view(Side::Taken, task).ok_or_else(|| ServiceError::not_found("task", task))?;
    let said = view.request.get();
    caller.who.require_agent(said.to.agent)?;
    let demand = match amount {
        None => Bytes::new(),
        Some(amount) => {
            let (agent, key) = custody::key_of(node, caller).await?;
            let own = domain::domain(node)?;
            let amount = domain::amount(node, amount)?;
            let told = result_of(&view.events);
            let whole = [&told[..], &result[..]].concat();
            let demand = PaymentRequest {
                task_id: task,
                escrow_id: said.escrow_id,
                milestone: None,
                payee: Party { domain: own.domain, agent },
                // The payer pays in its own domain's asset of the same code.
                asset: AssetId { issuer: said.from.domain, code: own.asset },
                amount,
                result_hash: Hash::of(&whole),
            };
            payment_request::sign(&demand, &key)
        }
    };
    // Judged whole, so that a refusal leaves no half of it behind.
    if result_of(&view.events).len() + result.len() > RESULT_BYTES_MAX {
        let detail = format!("the result of task {task} would be longer than {RESULT_BYTES_MAX} bytes");
        return Err(ServiceError::new(Kind::TooLarge, "result_too_large", detail, "hand in less, or end the task"));
    }
    for piece in result.chunks(TASK_CHUNK_BYTES) {
        let kind = TaskEventKind::Result(Bytes::copy_from_slice(piece));
        node.desk().append(Side::Taken, task, kind)?;
    }
    node.desk().append(Side::Taken, task, TaskEventKind::Finished(demand))
}

/// The demand for payment with which a task ended, checked against everything that this node knows of it. `None` when
/// nothing is demanded.
///
/// # Errors
/// What is wrong with it, in words: nothing may be paid for it.
pub fn demand(node: &Node, view: &View) -> Result<Option<Demand>, String> {
    let Some(TaskEventKind::Finished(bytes)) = view.events.last().map(|event| &event.kind) else { return Ok(None) };
    if bytes.is_empty() {
        return Ok(None);
    }
    let task = view.request.get();
    let refused = |claimed: Party, why: String| {
        demands::refuse(node, Some(claimed), Hash::of(bytes), &why);
        Err(why)
    };
    // What names nobody came in the name of the hired agent.
    let demand = match payment_request::open(bytes) {
        Ok(demand) => demand,
        Err(wrong) => return refused(wrong.claimed.unwrap_or(task.to), wrong.why),
    };
    let said = demand.get();
    let claims = [
        (demands::is_key_of(node, task.to, demand.key()), "it is not signed by the hired agent"),
        (said.task_id == task.task_id, "it is for another task"),
        (said.escrow_id == task.escrow_id, "it is for another escrow"),
        (said.payee == task.to, "it names another payee"),
        (said.result_hash == Hash::of(&result_of(&view.events)), "the result is not the one that was signed for"),
    ];
    match claims.iter().find(|(holds, _)| !holds) {
        None => Ok(Some(demand)),
        Some((_, why)) => refused(said.payee, (*why).to_owned()),
    }
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
    attend(node, task);
    node.desk().events(Side::Given, task, after, wait.min(WAIT_MAX)).await
}

fn not_an_agent() -> ServiceError {
    let next = "open a session with POST /api/v1/sessions, signed by the agent's key";
    ServiceError::new(Kind::Forbidden, "not_an_agent", "this needs an agent's session", next)
}
