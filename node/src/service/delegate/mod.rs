//! Delegation: work handed to the first agent that does it. Candidates from the directory, cheapest first; for each an
//! escrow, a task with a deadline, a check of what came by code alone, and payment; or what went wrong kept as evidence,
//! the money back, and the next one.
//!
//! ```text
//! owner -- start --> state on the disk --> run --> ledger (escrow), desk (task)
//!       <-- view ---        ^---- each step before it is taken ----+
//! ```
//! State lies on the node that was asked. It goes on by itself after a crash, or when its owner comes back (see `hand`).
//!
//! Deliberately absent: trust scores (price and age of the card decide), several workers at once, milestones, a demand for
//! payment over other doors than the task's own end.

mod book;
mod candidates;
mod hand;
mod judge;
mod run;
mod schema;
mod signed;
mod state;
mod store;

use super::{
    custody::{self, Asked, Bearer},
    domain, errands,
    error::{Kind, ServiceError},
    principal::Principal,
};
use crate::node::Node;
pub use book::{DeniedWorker, ForgedClaims};
use comity_proto::{
    escrow::{Arbiter, Silence},
    ids::{AgentId, Hash},
    limits::{REVIEW_WINDOW_MAX_MS, SECOND_MS, TASK_BYTES_MAX},
    text::Capability,
};
use data_encoding::{BASE64, HEXLOWER};
use hand::Hand;
use serde_json::Value;
pub use state::{AttemptView, DelegationLine, DelegationView};
use state::{Delegation, Phase, Wanted};
use std::{sync::Arc, time::Duration};
pub use store::Delegations;

/// Longest wait of one look.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// Seconds that a worker has, unless told otherwise.
const TIMEOUT_S: u32 = 300;
/// What is signed for an attempt counts for twelve hours.
const TIMEOUT_S_MAX: u32 = 6 * 60 * 60;
/// Minutes for this side to answer a delivery.
const REVIEW_MINUTES: u32 = 60;
const REVIEW_MINUTES_MAX: u64 = REVIEW_WINDOW_MAX_MS / SECOND_MS / 60;

/// What somebody wants done.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Whose money: the operator names a key of the data directory, an agent means itself.
    pub from: Option<String>,
    /// Who can do it.
    pub capability: String,
    /// The input.
    pub body: Vec<u8>,
    /// What one worker may cost at most, such as 5.00.
    pub max_price: String,
    /// What the result must meet.
    pub schema: Option<Value>,
    /// Seconds for each worker.
    pub timeout_s: Option<u32>,
    /// Minutes for this side to answer a delivery, and for an arbiter to rule.
    pub review_minutes: Option<u32>,
    /// What this side's silence means after a delivery; refund unless told otherwise.
    pub on_silence: Option<String>,
    /// Who rules disputes.
    pub arbiter: Option<String>,
}

/// Begins a delegation. The same key again is the same one.
///
/// # Errors
/// `own_key`, `no_such_key`, `agent_missing`; `schema_not_supported`, `bad_timeout`, `bad_capability`, `bad_amount`,
/// `task_too_large`; `too_many_delegations`; `idempotency_key_reused`.
pub async fn start(node: &Arc<Node>, caller: &Bearer, key: &str, order: Order) -> Result<DelegationView, ServiceError> {
    let (hand, owner) = hand(node, caller, order.from.as_deref()).await?;
    let asked = Asked::new(key, "delegate", format!("{order:?}").as_bytes())?;
    let id = HEXLOWER.encode(&Hash::of_parts("comity/v1/delegation-id", &[&owner.0, key.as_bytes()]).first_16());
    if let Some(known) = node.delegations().get(&id) {
        return if known.content == asked.content { go_on(node, known, Some(hand)) } else { Err(custody::reused()) };
    }
    let wanted = wanted(node, &order).await?;
    let wallet = order.from.filter(|_| matches!(hand, Hand::Wallet(..)));
    let mut delegation = Delegation {
        id,
        owner,
        wallet,
        content: asked.content,
        wanted,
        phase: Phase::Looking,
        why: None,
        canceled: false,
        source: None,
        queue: Vec::new(),
        attempts: Vec::new(),
        result: None,
        lines: Vec::new(),
        version: 0,
        made_ms: comity_runtime::wall_ms(),
    };
    delegation.note("begun", format!("{} for {owner}", delegation.wanted.capability));
    let kept = node.delegations().add(delegation).await?;
    // Two calls at once under one key: the other one's wish may be another.
    if kept.content == asked.content { go_on(node, kept, Some(hand)) } else { Err(custody::reused()) }
}

async fn hand(node: &Node, caller: &Bearer, from: Option<&str>) -> Result<(Hand, AgentId), ServiceError> {
    match (caller.who, from) {
        (Principal::Agent(agent), None) => {
            custody::key_of(node, caller).await?;
            Ok((Hand::Custodial(caller.clone()), agent))
        }
        (Principal::Operator, Some(name)) => {
            let hand = Hand::of_wallet(node, name)?;
            let Hand::Wallet(agent, _) = &hand else { return Err(ServiceError::not_found("agent", name)) };
            let agent = *agent;
            Ok((hand, agent))
        }
        _ => {
            let detail =
                "the operator names an agent whose key is in the node's data directory (`from`), an agent nobody";
            Err(ServiceError::bad_input("agent_missing", detail))
        }
    }
}

async fn wanted(node: &Node, order: &Order) -> Result<Wanted, ServiceError> {
    let bad = |text: &str, what: &str| ServiceError::bad_input("bad_text", format!("`{text}` is no {what}"));
    Capability::new(&order.capability)
        .map_err(|_| ServiceError::bad_input("bad_capability", format!("`{}` is no capability", order.capability)))?;
    if order.body.len() > TASK_BYTES_MAX {
        let detail = format!("the task has over {TASK_BYTES_MAX} bytes");
        return Err(ServiceError::new(Kind::TooLarge, "task_too_large", detail, "send less, or refer to it by hash"));
    }
    if let Some(Err(why)) = order.schema.as_ref().map(schema::check) {
        return Err(ServiceError::bad_input("schema_not_supported", why));
    }
    let timeout_s = order.timeout_s.unwrap_or(TIMEOUT_S);
    let review_minutes = order.review_minutes.unwrap_or(REVIEW_MINUTES);
    let fits =
        (1..=TIMEOUT_S_MAX).contains(&timeout_s) && (1..=REVIEW_MINUTES_MAX).contains(&u64::from(review_minutes));
    if !fits {
        let detail =
            format!("1 to {TIMEOUT_S_MAX} seconds for a worker, 1 to {REVIEW_MINUTES_MAX} minutes for a review");
        return Err(ServiceError::bad_input("bad_timeout", detail));
    }
    let silence = order.on_silence.as_deref().unwrap_or("refund");
    let silence_of = |text: &str| {
        text.parse::<Silence>().map_err(|_| bad(text, "silence rule: release, refund, or basis points up to 10000"))
    };
    let arbiter = match &order.arbiter {
        Some(text) => {
            let party = errands::party(node, &domain::domain(node)?, text).await?;
            Some(Arbiter { party, key: errands::key_of(node, party).await? })
        }
        None => None,
    };
    Ok(Wanted {
        capability: order.capability.clone(),
        body: BASE64.encode(&order.body),
        most: domain::amount(node, &order.max_price)?,
        schema: order.schema.clone(),
        timeout_s,
        review_minutes,
        on_silence: silence_of(silence)?,
        arbiter,
    })
}

/// Goes on with a delegation, if somebody can sign for it and nobody does yet.
fn go_on(node: &Arc<Node>, delegation: Delegation, hand: Option<Hand>) -> Result<DelegationView, ServiceError> {
    let id = delegation.id.clone();
    let running = match hand.filter(|_| !delegation.phase.is_end()) {
        Some(hand) if node.delegations().claim(&id) => {
            let (node, id) = (node.clone(), id.clone());
            comity_runtime::spawn(async move {
                run::run(node.clone(), id.clone(), hand).await;
                node.delegations().unclaim(&id);
            });
            true
        }
        _ => node.delegations().runs(&id),
    };
    Ok(delegation.view(running))
}

/// Goes on with everything that needs no token. What does waits for its owner.
pub fn resume(node: &Arc<Node>) {
    for delegation in node.delegations().all(|delegation| !delegation.phase.is_end()) {
        let Some(name) = &delegation.wallet else { continue };
        match Hand::of_wallet(node, name) {
            Ok(hand) => drop(go_on(node, delegation, Some(hand))),
            Err(error) => tracing::warn!(delegation = delegation.id, %error, "a delegation cannot go on"),
        }
    }
}

/// One that the caller may see: its own, or for the operator any.
fn own(node: &Node, who: Principal, id: &str) -> Result<Delegation, ServiceError> {
    let known = node.delegations().get(id).filter(|known| owns(who, known));
    known.ok_or_else(|| ServiceError::not_found("delegation", id))
}

fn owns(who: Principal, delegation: &Delegation) -> bool {
    who == Principal::Operator || who == Principal::Agent(delegation.owner)
}

/// How one stands; waits up to `wait` until it has changed since `version`. The owner's token wakes one that waits for it.
///
/// # Errors
/// `unknown_delegation`.
pub async fn view(
    node: &Arc<Node>,
    caller: &Bearer,
    id: &str,
    version: Option<u64>,
    wait: Duration,
) -> Result<DelegationView, ServiceError> {
    let delegation = own(node, caller.who, id)?;
    let sleeps = delegation.wallet.is_none() && !delegation.phase.is_end() && !node.delegations().runs(id);
    if sleeps && caller.who == Principal::Agent(delegation.owner) && custody::key_of(node, caller).await.is_ok() {
        go_on(node, delegation, Some(Hand::Custodial(caller.clone())))?;
    }
    if let Some(version) = version {
        node.delegations().changed_since(id, version, wait.min(WAIT_MAX)).await;
    }
    go_on(node, own(node, caller.who, id)?, None)
}

/// The caller's delegations, newest first; for the operator all of this node.
pub fn list(node: &Node, who: Principal) -> Vec<DelegationView> {
    let mut own = node.delegations().all(|delegation| owns(who, delegation));
    own.sort_by_key(|delegation| std::cmp::Reverse(delegation.made_ms));
    own.into_iter()
        .map(|delegation| Delegation { result: None, ..delegation })
        .map(|delegation| delegation.view(node.delegations().runs(&delegation.id)))
        .collect()
}

/// No further candidate: what is under way with one is finished, and paid if it holds.
///
/// # Errors
/// `unknown_delegation`; `delegation_ended`.
pub async fn cancel(node: &Arc<Node>, caller: &Bearer, id: &str) -> Result<DelegationView, ServiceError> {
    let delegation = own(node, caller.who, id)?;
    if delegation.phase.is_end() {
        let detail = format!("delegation {id} has ended");
        return Err(ServiceError::new(Kind::Conflict, "delegation_ended", detail, "look at what came of it"));
    }
    node.delegations()
        .change(id, |delegation| {
            delegation.canceled = true;
            delegation.note("cancel", "no further candidate");
        })
        .await?;
    view(node, caller, id, None, Duration::ZERO).await
}

fn whose(who: Principal) -> Result<Option<AgentId>, ServiceError> {
    match who {
        Principal::Operator => Ok(None),
        Principal::Agent(agent) => Ok(Some(agent)),
        Principal::Newcomer => {
            let next = "use the operator's token, an agent's session or a custodial account's";
            let detail = "the admission token has no delegations of its own";
            Err(ServiceError::new(Kind::Forbidden, "not_for_newcomers", detail, next))
        }
    }
}

/// Workers that the caller hires no more, and false claims for payment in its work; for the operator those of all agents.
///
/// # Errors
/// `not_for_newcomers`.
pub fn denied(node: &Node, who: Principal) -> Result<(Vec<DeniedWorker>, Vec<ForgedClaims>), ServiceError> {
    let owner = whose(who)?;
    Ok(node.delegations().book(|book| (book.denied(owner), book.forged(owner))))
}

/// Takes a denial back; the operator one of all agents.
///
/// # Errors
/// `unknown_denied_worker`, `not_for_newcomers`.
pub async fn allow(node: &Node, who: Principal, agent: AgentId) -> Result<(), ServiceError> {
    let owner = whose(who)?;
    let denied = node.delegations().book(|book| book.denied(owner));
    let owners: Vec<AgentId> = denied.iter().filter(|one| one.agent == agent).map(|one| one.owner).collect();
    if owners.is_empty() {
        return Err(ServiceError::not_found("denied_worker", agent));
    }
    let take_back = |book: &mut book::Book| {
        owners.iter().for_each(|owner| {
            book.allow(*owner, agent);
        })
    };
    node.delegations().change_book(take_back).await
}
