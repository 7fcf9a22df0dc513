//! Webhooks: a principal's events posted to an address that it names, in order, each until it is taken.
//!
//! ```text
//! the log -> Feed (as whoever registered may see it) -> one post at a time, signed -> taken? the cursor moves
//! ```
//! At least once: the cursor is written down after the post was taken, so an event may come again, with the same delivery
//! id. The log is the queue: nothing is kept for a receiver but a number. One that takes nothing for a day is given up, and
//! shown so; registered again it goes on from any event.
//!
//! Deliberately absent: deliveries out of order, and another node of the domain that goes on when this one is lost (its
//! clients register there, behind the last leaf that they have).

use super::{
    error::{Kind, ServiceError},
    feed::{Feed, Followers, News, Told},
    principal::Principal,
    shape,
};
use crate::{node::Node, storage::kept::KeptList, webhook};
use comity_proto::{http_signature, ids::AgentId};
use comity_runtime as runtime;
use data_encoding::{BASE64, HEXLOWER};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Semaphore, watch};
use utoipa::ToSchema;

/// Webhooks of one principal.
const OF_ONE: usize = 8;
/// Webhooks on one node.
const IN_ALL: usize = 256;
/// Kinds of events that one may name.
const TYPES_MAX: usize = 64;
/// Posts under way: each holds a thread.
const AT_ONCE: usize = 4;
/// The first pause after a post that was not taken; each next one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// A receiver that took nothing for so long is given up.
const GIVEN_UP_MS: u64 = 24 * 60 * 60 * 1000;
/// What the signature is for, so that it counts for nothing else.
pub const TAG: &str = "comity-webhook";

/// A webhook as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    id: String,
    /// Whose; `None` is the operator.
    agent: Option<AgentId>,
    url: String,
    /// Only these; all when there are none.
    types: BTreeSet<String>,
    /// The first leaf that is not known to be taken.
    next: u64,
    /// Posts of that leaf which were not taken.
    failures: u32,
    /// When the first of them was, ms since the Unix epoch.
    failing_since_ms: Option<u64>,
    /// Why the last one was not.
    refusal: Option<String>,
    given_up: bool,
}

/// A webhook as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WebhookView {
    /// 32 hex digits.
    #[schema(value_type = shape::ShortIdText)]
    pub id: String,
    /// Where events are posted.
    pub url: String,
    /// Only events of these types; all when there are none.
    pub types: BTreeSet<String>,
    /// The last leaf that needs no post any more; null before the first.
    pub seen: Option<u64>,
    /// Posts of the next event that were not taken.
    pub failures: u32,
    /// Since when, ms since the Unix epoch; null while all is well.
    pub failing_since_ms: Option<u64>,
    /// Why the last one was not taken.
    pub refusal: Option<String>,
    /// Nothing was taken for a day: nothing more is posted.
    pub given_up: bool,
}

impl Webhook {
    fn who(&self) -> Principal {
        self.agent.map_or(Principal::Operator, Principal::Agent)
    }

    fn view(&self) -> WebhookView {
        WebhookView {
            id: self.id.clone(),
            url: self.url.clone(),
            types: self.types.clone(),
            seen: self.next.checked_sub(1),
            failures: self.failures,
            failing_since_ms: self.failing_since_ms,
            refusal: self.refusal.clone(),
            given_up: self.given_up,
        }
    }
}

/// Where a node's events go.
pub struct Outlets {
    /// Who follows them now.
    pub(super) followers: Followers,
    webhooks: Webhooks,
}

/// How deliveries go, over all webhooks of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) well: usize,
    pub(crate) failing: usize,
    pub(crate) given_up: usize,
    /// Of the one that fails for longest.
    pub(crate) failing_since_ms: Option<u64>,
}

impl Outlets {
    /// How deliveries go.
    pub(crate) fn health(&self) -> Health {
        let mut health = Health::default();
        for (hook, _) in self.webhooks.all.lock().values() {
            match hook.failing_since_ms {
                _ if hook.given_up => health.given_up += 1,
                None => health.well += 1,
                Some(since_ms) => {
                    health.failing += 1;
                    health.failing_since_ms =
                        Some(health.failing_since_ms.map_or(since_ms, |first| first.min(since_ms)));
                }
            }
        }
        health
    }

    /// Webhooks as they were kept below a data directory.
    ///
    /// # Errors
    /// The disk's.
    pub fn of(root: Option<&Path>) -> io::Result<Outlets> {
        Ok(Outlets { followers: Followers::default(), webhooks: Webhooks::of(root)? })
    }
}

/// All webhooks of a node.
struct Webhooks {
    kept: KeptList,
    all: Mutex<BTreeMap<String, (Webhook, watch::Sender<bool>)>>,
    places: Semaphore,
}

impl Webhooks {
    fn of(root: Option<&Path>) -> io::Result<Webhooks> {
        // Where a delivery stands is in it, so a node that starts again goes on with the first event not known to be taken.
        let kept = KeptList::of(root, "webhooks.json", "comity/webhooks/2");
        let all = kept.read()?.into_iter().map(|hook: Webhook| (hook.id.clone(), (hook, watch::Sender::new(false))));
        Ok(Webhooks { all: Mutex::new(all.collect()), kept, places: Semaphore::new(AT_ONCE) })
    }

    async fn keep(&self) -> Result<(), ServiceError> {
        let standing = || self.all.lock().values().map(|(hook, _)| hook.clone()).collect();
        self.kept.write(standing).await.map_err(|error| {
            let next = "make room, or mend the data directory, and ask again";
            ServiceError::new(Kind::Internal, "webhook_not_kept", error.to_string(), next)
        })
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Webhook)) {
        if let Some((hook, _)) = self.all.lock().get_mut(id) {
            change(hook);
        }
    }
}

fn owner(who: Principal) -> Result<Option<AgentId>, ServiceError> {
    match who {
        Principal::Operator => Ok(None),
        Principal::Agent(agent) => Ok(Some(agent)),
        Principal::Newcomer => {
            let next = "use the operator's token, an agent's session or a custodial account's";
            let detail = "the admission token has no events of its own";
            Err(ServiceError::new(Kind::Forbidden, "not_for_newcomers", detail, next))
        }
    }
}

/// What is wished.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Where to.
    pub url: String,
    /// Only these; all when there are none.
    pub types: BTreeSet<String>,
    /// Events behind this leaf; absent is from now on.
    pub after: Option<u64>,
}

/// Keeps a webhook and begins to serve it.
///
/// # Errors
/// `webhook_refused`, `too_many_webhooks`, `no_such_event`, `not_for_newcomers`.
pub async fn add(node: &Arc<Node>, who: Principal, wish: Wish) -> Result<WebhookView, ServiceError> {
    let agent = owner(who)?;
    if wish.types.len() > TYPES_MAX || wish.types.iter().any(|name| name.len() > TYPES_MAX) {
        return Err(ServiceError::bad_input(
            "bad_event_types",
            format!("at most {TYPES_MAX}, each a name of an event"),
        ));
    }
    let count = node.replica().read_stale(|ledger, _| ledger.event_count());
    let next = wish.after.map_or(count, |leaf| leaf.saturating_add(1));
    if next > count {
        return Err(ServiceError::bad_input("no_such_event", format!("there are {count} events, numbered from 0")));
    }
    let (url, allowed) = (wish.url.clone(), node.home().config.webhook_hosts.clone());
    let judged = runtime::run_blocking(move || webhook::check(&url, &allowed)).await;
    judged
        .map_err(|_| ServiceError::new(Kind::Unavailable, "stopping", "the node is stopping", "ask again later"))??;
    let mut id = [0; 16];
    runtime::entropy(&mut id);
    let hook = Webhook {
        id: HEXLOWER.encode(&id),
        agent,
        url: wish.url,
        types: wish.types,
        next,
        failures: 0,
        failing_since_ms: None,
        refusal: None,
        given_up: false,
    };
    let hooks = &node.outlets().webhooks;
    {
        let mut all = hooks.all.lock();
        let own = all.values().filter(|(known, _)| known.agent == agent).count();
        if own >= OF_ONE || all.len() >= IN_ALL {
            let detail = format!("this node keeps {} webhooks, {own} of them yours", all.len());
            return Err(ServiceError::new(Kind::Busy, "too_many_webhooks", detail, "remove one first"));
        }
        all.insert(hook.id.clone(), (hook.clone(), watch::Sender::new(false)));
    }
    if let Err(error) = hooks.keep().await {
        hooks.all.lock().remove(&hook.id);
        return Err(error);
    }
    serve(node, &hook.id);
    Ok(hook.view())
}

/// The caller's webhooks.
///
/// # Errors
/// `not_for_newcomers`.
pub fn list(node: &Node, who: Principal) -> Result<Vec<WebhookView>, ServiceError> {
    let agent = owner(who)?;
    let all = node.outlets().webhooks.all.lock();
    Ok(all.values().filter(|(hook, _)| hook.agent == agent).map(|(hook, _)| hook.view()).collect())
}

/// Removes one of the caller's.
///
/// # Errors
/// `unknown_webhook`.
pub async fn remove(node: &Node, who: Principal, id: &str) -> Result<(), ServiceError> {
    let (agent, hooks) = (owner(who)?, &node.outlets().webhooks);
    {
        let mut all = hooks.all.lock();
        let known = all.get(id).is_some_and(|(hook, _)| hook.agent == agent);
        let removed = if known { all.remove(id) } else { None };
        let (_, gone) = removed.ok_or_else(|| ServiceError::not_found("webhook", id))?;
        gone.send_replace(true);
    }
    hooks.keep().await
}

/// Serves everything that was kept.
pub fn resume(node: &Arc<Node>) {
    let ids: Vec<String> = node.outlets().webhooks.all.lock().keys().cloned().collect();
    ids.iter().for_each(|id| serve(node, id));
}

fn serve(node: &Arc<Node>, id: &str) {
    let Some((hook, gone)) =
        node.outlets().webhooks.all.lock().get(id).map(|(hook, gone)| (hook.clone(), gone.subscribe()))
    else {
        return;
    };
    if hook.given_up {
        return;
    }
    let (node, mut removed) = (node.clone(), gone);
    runtime::spawn(async move {
        tokio::select! {
            biased;
            // Its owner took it back, also in the middle of a pause.
            _ = removed.wait_for(|gone| *gone) => {}
            () = deliver(&node, &hook) => {}
        }
    });
}

async fn deliver(node: &Arc<Node>, hook: &Webhook) {
    let hooks = &node.outlets().webhooks;
    let mut feed = Feed::from(node, hook.who(), hook.next);
    loop {
        let told = match feed.next().await {
            Ok(News::Event(told)) => told,
            Ok(News::Nothing(_)) => continue,
            Ok(News::End) => return,
            Err(error) => {
                tracing::debug!(webhook = hook.id, code = error.code, "events cannot be read yet");
                runtime::sleep(PAUSE).await;
                continue;
            }
        };
        let wanted = hook.types.is_empty() || hook.types.contains(&told.kind);
        if wanted && !delivered(node, hook, &told).await {
            return;
        }
        hooks.change(&hook.id, |hook| {
            hook.next = told.leaf.saturating_add(1);
            (hook.failures, hook.failing_since_ms, hook.refusal) = (0, None, None);
        });
        if wanted {
            // A cursor that is not written down costs a repeated post, nothing else.
            let _kept_or_repeated = hooks.keep().await;
        }
    }
}

/// Posts one event until it is taken; false once it is given up.
async fn delivered(node: &Arc<Node>, hook: &Webhook, told: &Told) -> bool {
    let hooks = &node.outlets().webhooks;
    let mut pause = PAUSE;
    loop {
        let Ok(place) = hooks.places.acquire().await else { return false };
        let (url, allowed) = (hook.url.clone(), node.home().config.webhook_hosts.clone());
        let body = json!({ "webhook": hook.id, "domain": node.domain(), "event": told }).to_string();
        let headers = signed(node, hook, told.leaf, &body);
        let posted = runtime::run_blocking(move || webhook::post(&url, &headers, &body, &allowed)).await;
        drop(place);
        let why = match posted {
            Ok(Ok(())) => return true,
            Ok(Err(why)) => why,
            Err(_) => return false,
        };
        tracing::debug!(webhook = hook.id, leaf = told.leaf, why, "a webhook's event was not taken");
        let now_ms = runtime::wall_ms();
        let mut given_up = false;
        hooks.change(&hook.id, |hook| {
            hook.next = told.leaf;
            hook.failures = hook.failures.saturating_add(1);
            let since = *hook.failing_since_ms.get_or_insert(now_ms);
            hook.refusal = Some(why);
            hook.given_up = now_ms.saturating_sub(since) > GIVEN_UP_MS;
            given_up = hook.given_up;
        });
        if given_up {
            let _kept_or_tried_again = hooks.keep().await;
            return false;
        }
        runtime::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Headers that prove who posts what, to where, and when (RFC 9421, RFC 9530). The key is one of the domain's JWK set.
fn signed(node: &Node, hook: &Webhook, leaf: u64, body: &str) -> Vec<(String, String)> {
    let digest = format!("sha-256=:{}:", BASE64.encode(&Sha256::digest(body.as_bytes())));
    let delivery = format!("{}/{}/{leaf}", node.domain(), hook.id);
    let covered = [
        ("@method", "POST"),
        ("@target-uri", hook.url.as_str()),
        ("content-type", "application/json"),
        ("content-digest", digest.as_str()),
        ("comity-delivery", delivery.as_str()),
    ];
    let parameters = http_signature::parameters(&covered, runtime::wall_ms() / 1000, &node.key().public(), TAG);
    let mut headers =
        vec![("content-digest".to_owned(), digest.clone()), ("comity-delivery".to_owned(), delivery.clone())];
    // An address of more than one line was refused before; without a signature no receiver takes the post.
    if let Ok(signature) = http_signature::sign(node.key(), &covered, &parameters) {
        headers.push(("signature-input".to_owned(), format!("comity={parameters}")));
        headers.push(("signature".to_owned(), format!("comity=:{}:", BASE64.encode(&signature))));
    }
    headers
}
