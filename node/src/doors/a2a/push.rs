//! Push notifications: a task's events posted to an address that its giver names, in order, each until it is taken.
//!
//! A wish lives on the node that was asked, in memory, and ends with it. Once fulfilled it can be looked at, until it is deleted
//! or makes room. An event may arrive twice, never out of order; a receiver that takes nothing for half a minute is given up.

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
const AT_ONCE: usize = 16;
/// Of these one giver's: a slow receiver holds up nobody else's events.
const AT_ONCE_OF_ONE: usize = 2;
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
    /// All is told: it can still be looked at, until it is deleted or makes room.
    done: bool,
}

/// All wishes of a node.
pub struct Pushes {
    wishes: Mutex<BTreeMap<(TaskId, String), Wish>>,
    places: Arc<Semaphore>,
    of_one: Mutex<BTreeMap<Principal, Arc<Semaphore>>>,
}

impl Default for Pushes {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Pushes { wishes: Mutex::default(), places, of_one: Mutex::default() }
    }
}

impl Pushes {
    /// The places of one giver; those of others who wait for nothing are forgotten.
    fn places_of(&self, who: Principal) -> Arc<Semaphore> {
        let mut of_one = self.of_one.lock();
        of_one.retain(|_, places| Arc::strong_count(places) > 1);
        of_one.entry(who).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE_OF_ONE))).clone()
    }

    fn of_task(&self, task: TaskId) -> Vec<Wish> {
        let first = (task, String::new());
        let wishes = self.wishes.lock();
        wishes.range(first..).take_while(|((of, _), _)| *of == task).map(|(_, wish)| wish.clone()).collect()
    }

    fn stands(&self, task: TaskId, wish: &Wish) -> bool {
        let wishes = self.wishes.lock();
        wishes.get(&(task, wish.id.clone())).is_some_and(|known| known.edition == wish.edition)
    }

    /// After the last word: a wish that was fulfilled stays for who asks, one that was not is forgotten. What replaced it
    /// stays as it is.
    fn settle(&self, task: TaskId, wish: &Wish, fulfilled: bool) {
        let mut wishes = self.wishes.lock();
        let key = (task, wish.id.clone());
        match wishes.get_mut(&key).filter(|known| known.edition == wish.edition) {
            Some(known) if fulfilled => known.done = true,
            Some(_) => drop(wishes.remove(&key)),
            None => {}
        }
    }

    /// Whether one more is kept: what is done makes room first.
    fn has_room(wishes: &mut BTreeMap<(TaskId, String), Wish>) -> bool {
        if wishes.len() >= IN_ALL {
            wishes.retain(|_, wish| !wish.done);
        }
        wishes.len() < IN_ALL
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
    Ok(Wish { id, url, told, headers, edition: 0, done: false })
}

fn fresh_id() -> String {
    let mut bytes = [0; 16];
    comity_runtime::entropy(&mut bytes);
    HEXLOWER.encode(&bytes)
}

/// Whether this node keeps one more wish now.
pub(super) fn room(own: &Own<'_>) -> Result<(), Wrong> {
    if Pushes::has_room(&mut own.node.a2a().pushes.wishes.lock()) { Ok(()) } else { Err(too_many()) }
}

fn too_many() -> Wrong {
    let next = "delete some, or ask for the task instead";
    let detail = "this node keeps no more push notification configs";
    ServiceError::new(Kind::Busy, "too_many_webhooks", detail, next).into()
}

/// What a wish begins with.
pub(super) enum First {
    /// The event after so many.
    After(usize),
    /// The end of a task that has ended, and nothing more.
    End(String),
}

/// Keeps a wish of a task and begins to fulfil it.
pub(super) fn keep(own: &Own<'_>, task: TaskId, wish: Wish, first: First) -> Result<Value, Wrong> {
    let pushes = &own.node.a2a().pushes;
    let mut edition = [0; 8];
    comity_runtime::entropy(&mut edition);
    let wish = Wish { edition: u64::from_le_bytes(edition), ..wish };
    let others = pushes.of_task(task).iter().filter(|known| known.id != wish.id).count();
    let mut wishes = pushes.wishes.lock();
    if others >= PER_TASK || !Pushes::has_room(&mut wishes) {
        return Err(too_many());
    }
    wishes.insert((task, wish.id.clone()), wish.clone());
    drop(wishes);
    let told = shown(task, &wish);
    let (node, who) = (own.node.clone(), own.who());
    comity_runtime::spawn(async move {
        let fulfilled = match first {
            First::After(after) => follow(&node, who, task, &wish, after).await,
            First::End(body) => delivered(&node, who, &wish, task, body).await,
        };
        node.a2a().pushes.settle(task, &wish, fulfilled);
    });
    Ok(told)
}

fn shown(task: TaskId, wish: &Wish) -> Value {
    let mut told = wish.told.clone();
    told["taskId"] = json!(task);
    told
}

/// Posts what happens to a task, in order, until its end; not to the end where the receiver takes nothing any more.
async fn follow(node: &Arc<Node>, who: Principal, task: TaskId, wish: &Wish, mut after: usize) -> bool {
    let pushes = &node.a2a().pushes;
    while pushes.stands(task, wish) {
        let Ok((news, ended)) = work::events(node, who, task, after as u64, LOOK).await else { return false };
        let Ok(view) = work::view(node, who, task).await else { return false };
        let told = after + news.len();
        for event in (after..told).filter_map(|index| update(node, &view, index)) {
            // Whoever missed one event is told no later one: what came would have a gap.
            if !pushes.stands(task, wish) || !delivered(node, who, wish, task, event.to_string()).await {
                return false;
            }
        }
        after = told;
        if ended {
            return true;
        }
    }
    false
}

/// Posts one event until it is taken, a few times, as long as the wish stands.
async fn delivered(node: &Arc<Node>, who: Principal, wish: &Wish, task: TaskId, body: String) -> bool {
    let pushes = &node.a2a().pushes;
    let own = pushes.places_of(who);
    let mut pauses = PAUSES.iter();
    loop {
        let Ok(turn) = own.clone().acquire_owned().await else { return false };
        let Ok(place) = pushes.places.clone().acquire_owned().await else { return false };
        let (to, body, allowed) = (wish.clone(), body.clone(), node.home().config.webhook_hosts.clone());
        let posted = comity_runtime::run_blocking(move || webhook::post(&to.url, &to.headers, &body, &allowed)).await;
        drop((place, turn));
        match posted {
            Ok(Ok(())) => return true,
            Ok(Err(why)) => tracing::debug!(%task, why, "a push notification was not taken"),
            Err(_) => return false,
        }
        let Some(pause) = pauses.next() else { return false };
        comity_runtime::sleep(Duration::from_secs(*pause)).await;
        if !pushes.stands(task, wish) {
            return false;
        }
    }
}

pub(super) async fn create(own: &Own<'_>, params: &Value) -> Result<Value, Wrong> {
    let view = own.view(&params["taskId"]).await?;
    let (task, wish) = (view.request.get().task_id, check(own.node, params).await?);
    let first = match view.ended {
        true => First::End(send::snapshot(own, &view, Some(0)).to_string()),
        false => First::After(view.events.len()),
    };
    keep(own, task, wish, first)
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

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::ids::AgentId;

    #[test]
    fn a_giver_whose_receivers_are_slow_takes_no_place_of_another_one() {
        let pushes = Pushes::default();
        let of = |id: u8| pushes.places_of(Principal::Agent(AgentId([id; 32])));
        let (slow, again) = (of(1), of(1));
        let held: Vec<_> = (0..AT_ONCE_OF_ONE).map(|_| slow.clone().try_acquire_owned().expect("a place")).collect();
        assert!(again.try_acquire().is_err(), "its places are taken");
        assert!(of(2).try_acquire().is_ok(), "another one has its own");
        drop((held, slow, again));
        assert!(of(1).try_acquire().is_ok());
        assert_eq!(pushes.of_one.lock().len(), 1, "who waits for nothing is forgotten");
    }
}
