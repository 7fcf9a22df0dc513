//! Push notifications: a task's events posted to an address that its giver names, in order, each until it is taken.
//!
//! A wish lives on the node that was asked, in memory, and ends with it. An event may arrive twice, never out of order;
//! a receiver that takes nothing for half a minute is given up.

use super::{
    Own, send,
    task::update,
    wrong::{What, Wrong},
};
use crate::{
    node::Node,
    service::{
        error::{Kind, ServiceError},
        principal::Principal,
        work,
    },
    webhook,
};
use comity_proto::ids::TaskId;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// Wishes of one task.
const PER_TASK: usize = 8;
/// Wishes on one node.
const IN_ALL: usize = 1_024;
/// Deliveries under way: each holds a thread.
const AT_ONCE: usize = 4;
/// Characters of an id, a token, a scheme or credentials.
const CHARS_MAX: usize = 1_024;
/// Pauses before an event is posted again, seconds.
const PAUSES: [u64; 5] = [1, 2, 4, 8, 16];
/// How long one look for news waits.
const LOOK: Duration = Duration::from_secs(20);

/// Where events are wished to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    id: String,
    url: String,
    /// As the protocol shows it again.
    told: Value,
    headers: Vec<(String, String)>,
    /// Tells a wish from the one that it replaced.
    edition: u64,
}

/// All wishes of a node.
pub struct Pushes {
    wishes: Mutex<BTreeMap<(TaskId, String), Wish>>,
    places: Arc<Semaphore>,
}

impl Default for Pushes {
    fn default() -> Self {
        Pushes { wishes: Mutex::default(), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Pushes {
    fn of_task(&self, task: TaskId) -> Vec<Wish> {
        let first = (task, String::new());
        let wishes = self.wishes.lock();
        wishes.range(first..).take_while(|((of, _), _)| *of == task).map(|(_, wish)| wish.clone()).collect()
    }

    fn stands(&self, task: TaskId, wish: &Wish) -> bool {
        let wishes = self.wishes.lock();
        wishes.get(&(task, wish.id.clone())).is_some_and(|known| known.edition == wish.edition)
    }
}

/// Reads a wish, and judges where it points to.
pub(super) async fn check(node: &Arc<Node>, config: &Value) -> Result<Wish, Wrong> {
    let bad = |text: &str| Wrong::new(What::InvalidParams, text);
    let text = |value: &Value| match value {
        Value::Null => Ok(String::new()),
        Value::String(text) if text.len() <= CHARS_MAX && text.chars().all(|c| (' '..='~').contains(&c)) => {
            Ok(text.clone())
        }
        _ => Err(bad("a field of the push notification config is no short printable text")),
    };
    let url = config["url"].as_str().filter(|url| !url.is_empty());
    let url = url.ok_or_else(|| bad("the push notification config has no `url`"))?.to_owned();
    let (id, token) = (text(&config["id"])?, text(&config["token"])?);
    let id = if id.is_empty() { fresh_id() } else { id };
    let mut told = json!({ "id": id, "url": url });
    let mut headers = Vec::new();
    if !token.is_empty() {
        headers.push(("x-a2a-notification-token".to_owned(), token.clone()));
        told["token"] = token.into();
    }
    let (scheme, credentials) =
        (text(&config["authentication"]["scheme"])?, text(&config["authentication"]["credentials"])?);
    if !scheme.is_empty() {
        told["authentication"] = json!({ "scheme": scheme });
        if !credentials.is_empty() {
            headers.push(("authorization".to_owned(), format!("{scheme} {credentials}")));
            told["authentication"]["credentials"] = credentials.into();
        }
    }
    let (named, allowed) = (url.clone(), node.home().config.webhook_hosts.clone());
    let judged = comity_runtime::run_blocking(move || webhook::check(&named, &allowed)).await;
    judged
        .map_err(|_| ServiceError::new(Kind::Unavailable, "stopping", "the node is stopping", "ask again later"))??;
    Ok(Wish { id, url, told, headers, edition: 0 })
}

fn fresh_id() -> String {
    let mut bytes = [0; 16];
    comity_runtime::entropy(&mut bytes);
    HEXLOWER.encode(&bytes)
}

/// Keeps a wish of a task and begins to fulfil it, with the event `after` so many.
pub(super) fn keep(own: &Own<'_>, task: TaskId, wish: Wish, after: usize) -> Result<Value, Wrong> {
    let pushes = &own.node.a2a().pushes;
    let mut edition = [0; 8];
    comity_runtime::entropy(&mut edition);
    let wish = Wish { edition: u64::from_le_bytes(edition), ..wish };
    let others = pushes.of_task(task).iter().filter(|known| known.id != wish.id).count();
    let mut wishes = pushes.wishes.lock();
    if others >= PER_TASK || wishes.len() >= IN_ALL {
        let next = "delete some, or ask for the task instead";
        let detail = "this node keeps no more push notification configs";
        return Err(ServiceError::new(Kind::Busy, "too_many_webhooks", detail, next).into());
    }
    wishes.insert((task, wish.id.clone()), wish.clone());
    drop(wishes);
    let told = shown(task, &wish);
    comity_runtime::spawn(fulfil(own.node.clone(), own.who(), task, wish, after));
    Ok(told)
}

fn shown(task: TaskId, wish: &Wish) -> Value {
    let mut told = wish.told.clone();
    told["taskId"] = json!(task);
    told
}

async fn fulfil(node: Arc<Node>, who: Principal, task: TaskId, wish: Wish, mut after: usize) {
    let pushes = &node.a2a().pushes;
    while pushes.stands(task, &wish) {
        let Ok((news, ended)) = work::events(&node, who, task, after as u64, LOOK).await else { break };
        let Ok(view) = work::view(&node, who, task).await else { break };
        let told = after + news.len();
        for event in (after..told).filter_map(|index| update(&node, &view, index)) {
            if !pushes.stands(task, &wish) || !delivered(&node, &wish, task, event.to_string()).await {
                break;
            }
        }
        after = told;
        if ended {
            break;
        }
    }
    // The end of a task is the end of its wishes; what replaced this one stays.
    if pushes.stands(task, &wish) {
        pushes.wishes.lock().remove(&(task, wish.id.clone()));
    }
}

/// Posts one event until it is taken, a few times.
async fn delivered(node: &Arc<Node>, wish: &Wish, task: TaskId, body: String) -> bool {
    let mut pauses = PAUSES.iter();
    loop {
        let Ok(place) = node.a2a().pushes.places.clone().acquire_owned().await else { return false };
        let (wish, body, allowed) = (wish.clone(), body.clone(), node.home().config.webhook_hosts.clone());
        let posted =
            comity_runtime::run_blocking(move || webhook::post(&wish.url, &wish.headers, &body, &allowed)).await;
        drop(place);
        match posted {
            Ok(Ok(())) => return true,
            Ok(Err(why)) => tracing::debug!(%task, why, "a push notification was not taken"),
            Err(_) => return false,
        }
        let Some(pause) = pauses.next() else { return false };
        comity_runtime::sleep(Duration::from_secs(*pause)).await;
    }
}

pub(super) async fn create(own: &Own<'_>, params: &Value) -> Result<Value, Wrong> {
    let view = own.view(&params["taskId"]).await?;
    let (task, wish) = (view.request.get().task_id, check(own.node, params).await?);
    if view.ended {
        // Nothing will change any more: its end is told at once, and nothing is kept.
        let (node, told) = (own.node.clone(), shown(task, &wish));
        let body = send::snapshot(own, &view, Some(0)).to_string();
        comity_runtime::spawn(async move { delivered(&node, &wish, task, body).await });
        return Ok(told);
    }
    keep(own, task, wish, view.events.len())
}

fn which(own: &Own<'_>, task: TaskId, id: &Value) -> Result<Wish, Wrong> {
    let found = own.node.a2a().pushes.of_task(task).into_iter().find(|wish| Some(wish.id.as_str()) == id.as_str());
    found.ok_or_else(|| Wrong::new(What::TaskNotFound, format!("task {task} has no such push notification config")))
}

pub(super) async fn get(own: &Own<'_>, params: &Value) -> Result<Value, Wrong> {
    let task = own.view(&params["taskId"]).await?.request.get().task_id;
    Ok(shown(task, &which(own, task, &params["id"])?))
}

pub(super) async fn list(own: &Own<'_>, params: &Value) -> Result<Value, Wrong> {
    let task = own.view(&params["taskId"]).await?.request.get().task_id;
    let configs: Vec<Value> = own.node.a2a().pushes.of_task(task).iter().map(|wish| shown(task, wish)).collect();
    Ok(json!({ "configs": configs }))
}

/// One that is not there is deleted already.
pub(super) async fn delete(own: &Own<'_>, params: &Value) -> Result<Value, Wrong> {
    let task = own.view(&params["taskId"]).await?.request.get().task_id;
    if let Ok(wish) = which(own, task, &params["id"]) {
        own.node.a2a().pushes.wishes.lock().remove(&(task, wish.id));
    }
    Ok(json!({}))
}
