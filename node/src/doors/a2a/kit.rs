//! A stand-in for an agent, so that the compatibility kit of the protocol (a2a-tck) can be run against this door: it reacts to
//! the beginnings of message ids that the kit's scenarios name. Only in builds with the feature `conformance`, where whoever
//! shows no token is the kit's client.
//!
//! Its tasks are tasks of the desk like all others, so that the door itself is what is judged. Beyond what agents of the mesh
//! can say it asks for input, answers without a task, and gives artifacts with a form; the marks of those are in its events.
//! The kit uses one message id for many tasks, so here an id is no idempotency key.

use super::{
    EXTENSION, Own,
    message::{self, Said},
    wrong::{What, Wrong},
};
use crate::{
    node::Node,
    service::{
        cards::CardView,
        custody::{Bearer, OWN_KEY},
        principal::Principal,
        work::NO_ESCROW,
    },
    tasks::{desk::Side, give::CANCELED},
};
use bytes::Bytes;
use comity_proto::{
    command::Party,
    envelope::Signed as _,
    ids::{AgentId, TaskId},
    keys::SecretKey,
    limits::HOUR_MS,
    task::{TaskEvent, TaskEventKind, TaskRequest},
    text::{Capability, Reason},
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Who is meant where nobody is named.
pub(super) const FRONT: &str = "tck";
const CAPABILITY: &str = "conformance.kit";

/// Says that a task waits for its giver.
const ASKS_INPUT: &[u8] = b"\0input";
const ASKS_AUTH: &[u8] = b"\0auth";
/// Begins an artifact with a form.
const FORM: u8 = 0;

/// How long a task takes that the kit wants to see at work.
const DELAY: Duration = Duration::from_secs(2);
const LONG_DELAY: Duration = Duration::from_secs(4);
/// How long a task may wait for its giver.
const PATIENCE: Duration = Duration::from_secs(600);

/// Messages after the first, of each task.
static SAID_AFTER: Mutex<BTreeMap<TaskId, Vec<Value>>> = Mutex::new(BTreeMap::new());

fn client() -> SecretKey {
    SecretKey::from_seed(b"the client of a conformance test")
}

fn id_of(key: &SecretKey) -> AgentId {
    AgentId::of_key(&key.public())
}

fn worker() -> AgentId {
    id_of(&SecretKey::from_seed(b"the worker of a conformance test"))
}

/// Who calls without a token.
pub fn guest() -> Option<Bearer> {
    Some(Bearer { who: Principal::Agent(id_of(&client())), token: String::new() })
}

/// The stand-in's card, if it is meant.
pub(super) fn card(node: &Node, name: &str) -> Option<CardView> {
    (name == FRONT || name == worker().to_string()).then(|| CardView {
        agent: worker(),
        home: node.domain(),
        home_name: node.home().config.domain.clone(),
        key: client().public(),
        name: "Conformance".to_owned(),
        description: "Reacts to the message ids of the compatibility kit.".to_owned(),
        capabilities: vec![CAPABILITY.to_owned()],
        price: None,
        price_code: None,
        price_issuer: None,
        sequence: 1,
        public: true,
        path: "local".to_owned(),
        hops: Some(0),
        forwarded_by: None,
        verified_by: "the build",
        custody: OWN_KEY,
        age_ms: 0,
        stale: false,
        home_known: true,
    })
}

/// Whether work is for the stand-in.
pub(super) fn employs(card: &CardView) -> bool {
    card.agent == worker()
}

/// An answer that is no task.
pub(super) fn answer(card: &CardView, message: &Value) -> Result<Option<Value>, Wrong> {
    let id = message["messageId"].as_str().unwrap_or_default();
    if !employs(card) || !["tck-message-response", "tck-stream-002"].iter().any(|begins| id.starts_with(begins)) {
        return Ok(None);
    }
    let said = Said::read(message)?;
    Ok(Some(json!({ "message": {
        "messageId": format!("{}-answer", said.id), "contextId": said.context.unwrap_or_else(|| said.id.clone()),
        "role": "ROLE_AGENT", "parts": [{ "text": "Direct message response" }], "metadata": { EXTENSION: {} },
    } })))
}

/// Takes a message: the first of a task, or a further one of a task that waits for it.
/// Gives the task, and how many events it had before.
pub(super) async fn take(own: &Own<'_>, said: &Said, note: Bytes) -> Result<(TaskId, u64), Wrong> {
    let (task, before) = match said.task {
        Some(task) => further(own, said, task).await?,
        None => (begun(own, said, note)?, 0),
    };
    comity_runtime::spawn(play(own.node.clone(), task, said.id.clone()));
    Ok((task, before))
}

fn begun(own: &Own<'_>, said: &Said, note: Bytes) -> Result<TaskId, Wrong> {
    let mut id = [0; 16];
    comity_runtime::entropy(&mut id);
    let (domain, task) = (own.node.domain(), TaskId(id));
    let capability = Capability::new(CAPABILITY).map_err(|_| Wrong::new(What::InvalidParams, "no capability"))?;
    let request = TaskRequest {
        task_id: task,
        from: Party { domain, agent: own.caller.agent()? },
        to: Party { domain, agent: worker() },
        escrow_id: NO_ESCROW,
        capability,
        body: said.body.clone(),
        deadline_ms: comity_runtime::wall_ms().saturating_add(HOUR_MS),
    };
    let request = TaskRequest::open(&request.seal(&client()));
    let request = request.map_err(|reject| Wrong::new(What::InvalidParams, reject.to_string()))?;
    own.node.desk().put(Side::Given, request, note)?;
    // Nobody else looks for the worker.
    own.node.desk().claim(task);
    Ok(task)
}

async fn further(own: &Own<'_>, said: &Said, task: TaskId) -> Result<(TaskId, u64), Wrong> {
    let refusal = super::send::no_more(own, said, task).await?;
    let view = own.view(&task.to_string().into()).await?;
    if view.ended || refusal.what != What::UnsupportedOperation {
        return Err(refusal);
    }
    let context = message::context(&super::task::note(&view), task);
    let note = serde_json::from_slice(&said.note(&context)?).unwrap_or_default();
    SAID_AFTER.lock().entry(task).or_default().push(message::first(&note, task, &said.body));
    Ok((task, view.events.len() as u64))
}

/// Messages of a task after its first.
pub(super) fn said_after(task: TaskId) -> Vec<Value> {
    SAID_AFTER.lock().get(&task).cloned().unwrap_or_default()
}

/// The state of a task whose last event asks its giver for something.
pub(super) fn asks(words: &[u8]) -> Option<&'static str> {
    match words {
        ASKS_INPUT => Some("TASK_STATE_INPUT_REQUIRED"),
        ASKS_AUTH => Some("TASK_STATE_AUTH_REQUIRED"),
        _ => None,
    }
}

/// Whether nothing more happens before the giver says something.
pub(super) fn waits(events: &[TaskEvent]) -> bool {
    matches!(events.last().map(|event| &event.kind), Some(TaskEventKind::Progress(words)) if asks(words).is_some())
}

/// The parts of an artifact with a form.
pub(super) fn parts(bytes: &[u8]) -> Option<Value> {
    let (first, rest) = bytes.split_first()?;
    (*first == FORM).then(|| serde_json::from_slice(rest).ok())?
}

fn formed(part: &Value) -> TaskEventKind {
    TaskEventKind::Result([&[FORM], json!([part]).to_string().as_bytes()].concat().into())
}

/// What a message id makes of a task.
fn scenario(id: &str) -> Vec<TaskEventKind> {
    let (working, done) = (TaskEventKind::Accepted, TaskEventKind::Finished(Bytes::new()));
    let text = |words: &'static str| TaskEventKind::Result(Bytes::from_static(words.as_bytes()));
    let begins = |beginning: &str| id.starts_with(beginning);
    let file = || formed(&json!({ "raw": "dGNr", "mediaType": "text/plain", "filename": "output.txt" }));
    match () {
        () if begins("tck-stream-artifact-chunked") => vec![working, text("chunk-1 "), text("chunk-2"), done],
        () if begins("tck-stream-artifact-file") => vec![working, file(), done],
        () if begins("tck-stream-artifact-text") => vec![working, text("Streamed text content"), done],
        () if begins("tck-stream-ordering-001") => vec![working, text("Ordered output"), done],
        () if begins("tck-stream-001") => vec![working, text("Stream hello from TCK"), done],
        () if begins("tck-stream-003") => vec![working, text("Stream task lifecycle"), done],
        () if begins("tck-artifact-file-url") => {
            let url = "https://example.com/output.txt";
            vec![formed(&json!({ "url": url, "mediaType": "text/plain", "filename": "output.txt" })), done]
        }
        () if begins("tck-artifact-file") => vec![file(), done],
        () if begins("tck-artifact-text") => vec![text("Generated text content"), done],
        () if begins("tck-artifact-data") => vec![formed(&json!({ "data": { "key": "value", "count": 42 } })), done],
        () if begins("tck-input-required") => vec![TaskEventKind::Progress(Bytes::from_static(ASKS_INPUT))],
        () if begins("tck-auth-required") => vec![TaskEventKind::Progress(Bytes::from_static(ASKS_AUTH))],
        () if begins("tck-reject-task") => Reason::new("rejected").map(TaskEventKind::Failed).into_iter().collect(),
        () if begins("tck-delayed-complete") || begins("test-resubscribe-message-id") => vec![working, done],
        () => vec![done],
    }
}

async fn play(node: Arc<Node>, task: TaskId, id: String) {
    let mut events = scenario(&id).into_iter().peekable();
    while let Some(event) = events.next() {
        let told = node.desk().append(Side::Given, task, event);
        if told.is_err() {
            return;
        }
        let delay = match id.as_str() {
            id if id.starts_with("tck-delayed-complete") => DELAY,
            id if id.starts_with("test-resubscribe-message-id") => LONG_DELAY,
            _ => Duration::ZERO,
        };
        if events.peek().is_some() && !delay.is_zero() {
            comity_runtime::sleep(delay).await;
        }
    }
    // Whoever cancels hears it at once.
    let unwanted = comity_runtime::timeout(PATIENCE, node.desk().unwanted(task)).await.is_ok();
    if let (true, Ok(reason)) = (unwanted, Reason::new(CANCELED)) {
        let _ended_meanwhile = node.desk().append(Side::Given, task, TaskEventKind::Failed(reason));
    }
}
