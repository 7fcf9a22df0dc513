//! Sending a message: the work that it asks for becomes a task of the mesh, once.

use super::{
    Own, flag, kit,
    message::{self, Said},
    number, push,
    stream::Events,
    task::{self, Shown},
    wrong::{What, Wrong},
};
use crate::{
    service::{
        cards::CardView,
        custody::Asked,
        work::{self, NO_ESCROW, Order},
    },
    tasks::desk::View,
};
use bytes::Bytes;
use comity_proto::{
    command::Party,
    envelope::Signed as _,
    ids::{EscrowId, Hash, TaskId},
    task::TaskRequest,
    text::Capability,
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::time::Duration;

/// How long an answer waits for a task's end: below what clients and this door wait for an answer. A task that takes
/// longer is answered as it is then.
const WAIT: Duration = Duration::from_secs(25);

/// Sends, and waits for the end unless told not to.
pub(super) async fn blocking(own: &Own<'_>, card: &CardView, params: &Value) -> Result<Value, Wrong> {
    if let Some(answer) = kit::answer(card, &params["message"])? {
        return Ok(answer);
    }
    let sent = send(own, card, params).await?;
    if !flag(&params["configuration"]["returnImmediately"]) {
        until_ended(own, &sent).await?;
    }
    let view = own.view(&sent.task.to_string().into()).await?;
    Ok(json!({ "task": task::task(own.node, &view, Shown { history: sent.history, artifacts: true }) }))
}

/// Sends, and tells everything that happens from the beginning.
pub(super) async fn streaming(own: &Own<'_>, card: &CardView, params: &Value) -> Result<Events, Wrong> {
    if let Some(answer) = kit::answer(card, &params["message"])? {
        return Ok(Events::only(answer));
    }
    let sent = send(own, card, params).await?;
    let view = own.view(&sent.task.to_string().into()).await?;
    Events::of(own, view, sent.history)
}

struct Sent {
    task: TaskId,
    /// Events that it had before this message.
    before: u64,
    history: Option<u64>,
}

async fn send(own: &Own<'_>, card: &CardView, params: &Value) -> Result<Sent, Wrong> {
    let said = Said::read(&params["message"])?;
    let configuration = &params["configuration"];
    let history = number(&configuration["historyLength"], "historyLength")?;
    if let Some(task) = said.task.filter(|_| !kit::employs(card)) {
        return Err(no_more(own, &said, task).await?);
    }
    let mut push = configuration["taskPushNotificationConfig"].clone();
    let push = if push.is_null() {
        None
    } else {
        // The same message again is the same wish: without a name of its own it has the message's.
        if push.is_object() && push["id"].as_str().is_none_or(str::is_empty) {
            push["id"] = said.id.as_str().into();
        }
        // Before the task is given: what is refused here has changed nothing.
        push::room(own)?;
        Some(push::check(own.node, &push).await?)
    };
    let payment = match &said.payment {
        Value::Null => &params["metadata"][super::EXTENSION],
        payment => payment,
    };
    let (task, before) = match payment["envelope"].as_str() {
        _ if kit::employs(card) => kit::take(own, &said, note(own, &said)?).await?,
        Some(envelope) => (signed(own, card, &said, envelope).await?, 0),
        None => (order(own, card, &said, payment).await?, 0),
    };
    if let Some(push) = push {
        push::keep(own, task, push, push::First::After(0))?;
    }
    Ok(Sent { task, before, history })
}

/// Why a task takes no second message.
pub(super) async fn no_more(own: &Own<'_>, said: &Said, task: TaskId) -> Result<Wrong, Wrong> {
    let view = own.view(&task.to_string().into()).await?;
    let context = message::context(&task::note(&view), task);
    if said.context.as_ref().is_some_and(|said| *said != context) {
        return Err(Wrong::new(What::InvalidParams, format!("task {task} belongs to the context {context}")));
    }
    Ok(Wrong::new(What::UnsupportedOperation, format!("task {task} takes no further message; send a new one")))
}

/// Work that the node signs for, with the key that it keeps for the caller.
async fn order(own: &Own<'_>, card: &CardView, said: &Said, payment: &Value) -> Result<TaskId, Wrong> {
    let bad = |text: String| Wrong::new(What::InvalidParams, text);
    let escrow: EscrowId = match &payment["escrow"] {
        Value::Null => NO_ESCROW,
        Value::String(text) => text.parse().map_err(|_| bad(format!("`{text}` is no whole escrow id")))?,
        _ => return Err(bad("`escrow` is no text".to_owned())),
    };
    let capability = match (&payment["capability"], &card.capabilities[..]) {
        (Value::String(text), _) => text.clone(),
        (_, [only]) => only.clone(),
        (_, several) => {
            let text = format!("metadata under {} must name a capability: {}", super::EXTENSION, several.join(", "));
            return Err(bad(text));
        }
    };
    let capability = Capability::new(&capability).map_err(|_| bad(format!("`{capability}` is no capability")))?;
    let minutes = number(&payment["deadlineMinutes"], "deadlineMinutes")?;
    let deadline_minutes = minutes.map(|minutes| u32::try_from(minutes).unwrap_or(u32::MAX));
    let to = Party { domain: card.home, agent: card.agent };
    let content = json!([to, escrow, capability, Hash::of(&said.body), deadline_minutes]).to_string();
    let asked = Asked::new(&said.id, "a2a_message", content.as_bytes())?;
    let order = Order { to, escrow, capability, body: said.body.clone(), deadline_minutes };
    Ok(work::order(own.node, own.caller, &asked, order, note(own, said)?).await?)
}

/// Work that the caller has signed for itself: the message must say the same.
async fn signed(own: &Own<'_>, card: &CardView, said: &Said, envelope: &str) -> Result<TaskId, Wrong> {
    let bad = |text: String| Wrong::new(What::InvalidParams, text);
    let bytes = BASE64.decode(envelope.as_bytes()).map(Bytes::from);
    let bytes = bytes.map_err(|error| bad(format!("`envelope` is no base64: {error}")))?;
    let request = TaskRequest::open(&bytes).map_err(|reject| bad(format!("`envelope`: {reject}")))?;
    if request.get().to.agent != card.agent || request.get().body != said.body {
        return Err(bad("`envelope` is for another agent, or says something else than the message".to_owned()));
    }
    Ok(work::give(own.node, own.who(), bytes, note(own, said)?).await?)
}

/// Beside the task: what the client wants to see of its message again.
fn note(own: &Own<'_>, said: &Said) -> Result<Bytes, Wrong> {
    let agent = own.caller.agent()?;
    let fresh = || message::fresh_context(&[&agent.0, said.id.as_bytes()].concat());
    said.note(&said.context.clone().unwrap_or_else(fresh))
}

async fn until_ended(own: &Own<'_>, sent: &Sent) -> Result<(), Wrong> {
    let (begun, mut after) = (comity_runtime::now(), sent.before);
    loop {
        let left = WAIT.saturating_sub(begun.elapsed());
        let (events, ended) = work::events(own.node, own.who(), sent.task, after, left).await?;
        after += events.len() as u64;
        if ended || left.is_zero() || kit::waits(&events) {
            return Ok(());
        }
    }
}

/// What a stream begins with.
pub(super) fn snapshot(own: &Own<'_>, view: &View, history: Option<u64>) -> Value {
    json!({ "task": task::task(own.node, view, Shown { history, artifacts: true }) })
}
