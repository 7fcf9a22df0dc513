//! A2A-SE, the agent-settlement REST protocol, for its published client (`a2a-settlement` 1.2): register, balance, escrow,
//! deliver, release, refund, dispute, resolve, lists.
//!
//! ```text
//! /a2a-se/v1/... -> http (host, origin, token, signature, strict JSON) -> path -> service, as whoever has the token
//! ```
//! Money is whole minor units of the domain's own asset, at most 2^53-1. A client that sends an `Idempotency-Key` is
//! answered for the wish that it names: the wish is its account's own, so another account's key is another wish, and its
//! reply is told from what was signed, never from a store of replies. Without a key a call is done as often as it is sent.
//!
//! What differs from the reference exchange, because the ledger decides: the provider refunds, and time does; whoever pays
//! cannot take back what it promised. A dispute needs a delivery, and its stake is the domain's bond. Resolving is the
//! arbiter's (`exchange_arbiter` in `config.toml`), by its own token.
//!
//! Deliberately absent, and refused by name ([`NOT_SERVED`]): batches (locks are not atomic together), deposits (only an
//! operator issues money; the faucet's grant comes with the account), partial releases, evidence, other keys for a token,
//! webhooks, reputation and statistics.

mod accounts;
mod escrows;
mod money;
mod read;
mod signature;
mod view;
mod wrong;

pub use read::Call;
pub use signature::is_signed_by;
pub use wrong::Wrong;

use crate::{
    node::Node,
    service::{custody::Bearer, domain},
};
use serde_json::{Value, json};

/// Paths of the protocol that this node does not serve: method, path, why.
pub const NOT_SERVED: [(&str, &str, &str); 13] = [
    ("POST", "accounts/rotate-key", "a token seals its account's key and names its wishes, so it cannot be exchanged"),
    ("PUT", "accounts/webhook", "no webhooks about escrows; ask GET exchange/escrows"),
    ("DELETE", "accounts/webhook", "no webhooks about escrows"),
    ("POST", "exchange/deposit", "only the domain's operator issues money; registration brings the faucet's grant"),
    ("POST", "exchange/instant-settle", "it needs a reputation, and nothing is scored here"),
    ("POST", "exchange/escrow/batch", "escrows are locked one by one, not all or none; call exchange/escrow for each"),
    ("POST", "exchange/escrow/*/partial-release", "an escrow of this door has one part"),
    (
        "POST",
        "exchange/escrow/*/evidence",
        "evidence is kept by the parties; the ledger keeps the hash of a dispute's reason",
    ),
    ("GET", "exchange/escrow/*/evidence", "evidence is kept by the parties"),
    ("GET", "exchange/escrow/*/compliance-bundle", "ask the operator for a verified export: comity audit export"),
    ("GET", "stats", "the books are the operator's: GET /api/v1/accounts"),
    ("GET", "stats/recent-activity", "escrows are shown to their parties only"),
    ("GET", "reputation/*", "nothing is scored here"),
];

/// What HTTP carries back.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: Value,
}

impl Reply {
    fn ok(body: Value) -> Reply {
        Reply { status: 200, body }
    }

    fn created(body: Value) -> Reply {
        Reply { status: 201, body }
    }
}

/// Whether the node answers for its domain; nobody is asked who wants to know.
pub fn health(node: &Node) -> Reply {
    let status = domain::status(node);
    let well = status.founded && status.leader.is_some() && status.failed.is_none();
    let word = if well { "ok" } else { "degraded" };
    let body = json!({ "status": word, "service": "comity", "version": env!("CARGO_PKG_VERSION") });
    Reply { status: if well { 200 } else { 503 }, body }
}

/// Runs one call of an authenticated caller.
///
/// # Errors
/// Every refusal, in the protocol's own form.
pub async fn run(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let path: Vec<&str> = call.path.split('/').collect();
    match (call.method.as_str(), path.as_slice()) {
        ("POST", ["accounts", "register"]) => accounts::register(node, caller, call).await,
        ("GET", ["accounts", "directory"]) => accounts::directory(node, call),
        ("PUT", ["accounts", "skills"]) => accounts::skills(node, caller, call).await,
        ("GET", ["accounts", account]) => accounts::account(node, account).await,
        ("POST", ["exchange", "escrow"]) => escrows::create(node, caller, call).await,
        ("POST", ["exchange", "escrow", escrow, "deliver"]) => escrows::deliver(node, caller, call, escrow).await,
        ("POST", ["exchange", "release"]) => escrows::release(node, caller, call).await,
        ("POST", ["exchange", "refund"]) => escrows::refund(node, caller, call).await,
        ("POST", ["exchange", "dispute"]) => escrows::dispute(node, caller, call).await,
        ("POST", ["exchange", "resolve"]) => escrows::resolve(node, caller, call).await,
        ("GET", ["exchange", "escrows", escrow]) => escrows::shown(node, caller, escrow).await,
        ("GET", ["exchange", "escrows"]) => escrows::list(node, caller, call).await,
        ("GET", ["exchange", "balance"]) => money::balance(node, caller).await,
        ("GET", ["exchange", "transactions"]) => money::transactions(node, caller, call).await,
        (method, path) => Err(not_served(method, path)),
    }
}

fn not_served(method: &str, path: &[&str]) -> Wrong {
    let is = |pattern: &str| {
        let parts: Vec<&str> = pattern.split('/').collect();
        parts.len() == path.len() && parts.iter().zip(path).all(|(part, named)| *part == "*" || part == named)
    };
    match NOT_SERVED.iter().find(|(of, pattern, _)| *of == method && is(pattern)) {
        Some((_, pattern, why)) => Wrong::not_supported(pattern, why),
        None => Wrong::no_path(method, &path.join("/")),
    }
}
