//! The Model Context Protocol: tools with which a language model trades, both eras of the protocol on one endpoint.
//!
//! ```text
//! POST /mcp -> http (host, origin, token, strict JSON) -> rpc -> era -> method -> tool by name -> service
//! ```
//! No sessions and no streams: one POST, one answer, by whichever connection. The payer is the authenticated caller, never
//! an argument. A refusal is a tool's answer, because that is what a model gets to read: it carries the rule, whether
//! anything changed, and what to do next.
//!
//! Deliberately absent: prompts, subscriptions, progress (a long wait is a repeated call), and `fund_account` (only an
//! operator can issue, and an operator has a key and the command line).

mod answer;
mod call;
mod era;
mod resources;
mod rpc;
mod task;
mod tools;

pub use era::Headers;

use crate::{node::Node, service::custody::Bearer};
use era::Era;
use rpc::{Message, Request, Wrong};
use serde_json::{Value, json};

/// What a client's model reads first.
const INSTRUCTIONS: &str = "Hire and pay other agents. Amounts are decimal strings such as \"1.50\" in this domain's own \
    asset. You are the payer of whatever you create. Every call that changes something needs an idempotency_key: choose a \
    fresh one for each new wish, and repeat the very same call with the very same key when an answer did not come. A \
    refusal says which rule refused, whether anything changed, and what to do next.";
/// For so long a client may keep what does not depend on the caller.
const TTL_MS: u64 = 60 * 60 * 1000;
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// What HTTP carries back.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `None` for what wants no answer.
    pub body: Option<Value>,
}

/// Takes one message of an authenticated caller.
pub async fn take(node: &Node, caller: &Bearer, headers: Headers<'_>, message: Value) -> Reply {
    let request = match rpc::read(message) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Silent) => return Reply { status: 202, body: None },
        Err(wrong) => return Reply { status: 400, body: Some(rpc::answer(&Value::Null, Err(wrong))) },
    };
    let era = match era::of(&request, headers) {
        Ok(era) => era,
        Err(wrong) => return Reply { status: 400, body: Some(rpc::answer(&request.id, Err(wrong))) },
    };
    let result = run(node, caller, era, &request).await;
    let status = match &result {
        Err(wrong) if wrong.code == rpc::METHOD_NOT_FOUND && era == Era::Modern => 404,
        _ => 200,
    };
    Reply { status, body: Some(rpc::answer(&request.id, result)) }
}

async fn run(node: &Node, caller: &Bearer, era: Era, request: &Request) -> Result<Value, Wrong> {
    let params = &request.params;
    match (era, request.method.as_str()) {
        (Era::Legacy, "initialize") => Ok(initialized(params)),
        (Era::Legacy, "ping") => Ok(json!({})),
        (Era::Modern, "server/discover") => {
            let known = json!({
                "supportedVersions": era::supported(), "capabilities": capabilities(), "instructions": INSTRUCTIONS,
                "_meta": { SERVER_INFO: own() },
            });
            Ok(for_era(era, known, Some("public")))
        }
        (_, "tools/list") => Ok(for_era(era, json!({ "tools": tools::all() }), Some("public"))),
        (_, "tools/call") => called(node, caller, params).await.map(|result| for_era(era, result, None)),
        (_, "resources/list") => {
            let list = resources::list(node, caller).await?;
            Ok(for_era(era, json!({ "resources": list }), Some("private")))
        }
        (_, "resources/templates/list") => {
            Ok(for_era(era, json!({ "resourceTemplates": resources::templates() }), Some("public")))
        }
        (_, "resources/read") => {
            let uri = params["uri"].as_str().ok_or_else(|| Wrong::new(rpc::INVALID_PARAMS, "`uri` is missing"))?;
            let read = resources::read(node, caller, uri).await.map_err(|wrong| not_found(era, wrong))?;
            Ok(for_era(era, read, Some("private")))
        }
        (_, method) => Err(Wrong::new(rpc::METHOD_NOT_FOUND, format!("no method is called {method}"))),
    }
}

fn own() -> Value {
    json!({ "name": "comity", "title": "Comity", "version": env!("CARGO_PKG_VERSION") })
}

fn capabilities() -> Value {
    json!({ "tools": {}, "resources": {} })
}

/// The newest revision that both speak.
fn initialized(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let version = era::LEGACY.iter().find(|version| **version == asked).unwrap_or(&era::LEGACY[0]);
    json!({
        "protocolVersion": version, "capabilities": capabilities(), "serverInfo": own(), "instructions": INSTRUCTIONS,
    })
}

/// Fields that only the later revision has: that the result is whole, and who may keep it how long.
fn for_era(era: Era, mut result: Value, cache: Option<&str>) -> Value {
    if era == Era::Modern {
        result["resultType"] = "complete".into();
        if let Some(scope) = cache {
            result["cacheScope"] = scope.into();
            result["ttlMs"] = if scope == "public" { TTL_MS } else { 0 }.into();
        }
    }
    result
}

/// The later revision has one code for all that is wrong with parameters.
fn not_found(era: Era, wrong: Wrong) -> Wrong {
    match era {
        Era::Modern if wrong.code == rpc::RESOURCE_NOT_FOUND => Wrong { code: rpc::INVALID_PARAMS, ..wrong },
        _ => wrong,
    }
}

async fn called(node: &Node, caller: &Bearer, params: &Value) -> Result<Value, Wrong> {
    let name = params["name"].as_str().unwrap_or_default();
    if !tools::is_known(name) {
        return Err(Wrong::new(rpc::INVALID_PARAMS, format!("no tool is called `{name}`")));
    }
    let arguments = match &params["arguments"] {
        Value::Object(arguments) => arguments.clone(),
        Value::Null => serde_json::Map::new(),
        _ => return Err(Wrong::new(rpc::INVALID_PARAMS, "`arguments` is no object")),
    };
    Ok(match call::call(node, caller, name, arguments).await {
        Ok(answer) => answer.result(),
        Err(error) => answer::refusal(&error),
    })
}
