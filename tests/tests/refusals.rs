//! Bad input at the doors of one node: each kind has its named refusal, and nothing changes.

#[path = "refusals/cards.rs"]
mod cards;
#[path = "refusals/commands.rs"]
mod commands;
#[path = "refusals/door.rs"]
mod door;
#[path = "refusals/full_disk.rs"]
mod full_disk;
#[path = "refusals/rules.rs"]
mod rules;
#[path = "refusals/sockets.rs"]
mod sockets;
#[path = "refusals/start.rs"]
mod start;

use comity_node::signer::SignedBatch;
use comity_tests::{
    door::{Answer, Request, envelope},
    single::Single,
};
use serde_json::Value;

/// Posts a signed batch once, with its own key, as the operator's door.
fn post(node: &Single, batch: &SignedBatch) -> Answer {
    post_as(node, &batch.envelope, &batch.request_id.to_string())
}

fn post_as(node: &Single, bytes: &[u8], key: &str) -> Answer {
    let body = envelope(bytes).to_string();
    raw(node, "commands", Some(&node.token("api.token")), Some(key), Some("application/json"), body.as_bytes())
}

fn raw(node: &Single, path: &str, token: Option<&str>, key: Option<&str>, kind: Option<&str>, body: &[u8]) -> Answer {
    let url = format!("http://{}/api/v1/{path}", node.http);
    let authorization = token.map(|token| format!("Bearer {token}"));
    Request { url: &url, authorization: authorization.as_deref(), key, kind, body }.post()
}

/// The books by kind of account: what no refusal may touch.
fn books(node: &Single) -> Value {
    node.api().get("/api/v1/accounts").unwrap_or_else(|error| panic!("{error}"))
}
