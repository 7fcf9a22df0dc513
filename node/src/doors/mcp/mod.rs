//! The Model Context Protocol: tools with which a language model trades, both eras of the protocol on one endpoint.
//!
//! ```text
//! POST /mcp -> http (host, origin, token, strict JSON) -> rpc -> era -> method -> tool by name -> service
//! ```
//! No sessions: one POST, one answer, by whichever connection. A client that gives a call a progress token reads the answer
//! from a stream, behind what the call said while it ran. The payer is the authenticated caller, never an argument. A
//! refusal is a tool's answer, because that is what a model gets to read: it carries the rule, whether anything changed, and
//! what to do next.
//!
//! Deliberately absent: subscriptions, questions to the client, log messages, and `fund_account` (only an operator can
//! issue, and an operator has a key and the command line).

mod answer;
mod call;
mod complete;
mod era;
#[cfg(feature = "conformance")]
mod fixtures;
#[cfg(not(feature = "conformance"))]
#[path = "no_fixtures.rs"]
mod fixtures;
mod prompts;
mod resources;
mod rpc;
mod stream;
mod task;
mod tools;

pub use era::Headers;
pub use stream::{Next, Stream};

use crate::{
    node::Node,
    service::{
        custody::Bearer,
        error::{Kind, ServiceError},
    },
};
use era::Era;
use rpc::{Message, Request, Wrong};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use stream::Line;

/// What a client's model reads first.
const INSTRUCTIONS: &str = "Hire and pay other agents. Amounts are decimal strings such as \"1.50\" in this domain's own \
    asset. You are the payer of whatever you create. Every call that changes something needs an idempotency_key: choose a \
    fresh one for each new wish, and repeat the very same call with the very same key when an answer did not come. A \
    refusal says which rule refused, whether anything changed, and what to do next.";
/// For so long a client may keep what does not depend on the caller.
const TTL_MS: u64 = 60 * 60 * 1000;
/// A call that takes longer is answered so: as everywhere at this door, and longer than the longest wait for a task.
const CALL_MAX: Duration = Duration::from_secs(65);
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// What HTTP carries back.
pub enum Reply {
    /// One answer.
    One {
        /// HTTP status.
        status: u16,
        /// `None` for what wants no answer.
        body: Option<Value>,
    },
    /// Words of a call, then its answer.
    Stream(Stream),
}

impl Reply {
    fn refused(id: &Value, wrong: Wrong) -> Reply {
        Reply::One { status: 400, body: Some(rpc::answer(id, Err(wrong))) }
    }
}

/// Takes one message of an authenticated caller.
pub async fn take(node: &Arc<Node>, caller: Bearer, headers: Headers<'_>, message: Value) -> Reply {
    let request = match rpc::read(message) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Silent) => return Reply::One { status: 202, body: None },
        Ok(Message::Answer(answer)) => {
            fixtures::answered(answer);
            return Reply::One { status: 202, body: None };
        }
        Err(wrong) => return Reply::refused(&Value::Null, wrong),
    };
    let era = match era::of(&request, headers) {
        Ok(era) => era,
        Err(wrong) => return Reply::refused(&request.id, wrong),
    };
    let token = stream::token(&request).cloned();
    if headers.streams && (token.is_some() || fixtures::speaks(&request)) {
        let node = node.clone();
        return Reply::Stream(Stream::of(token, |line| {
            Box::pin(async move { rpc::answer(&request.id, in_time(&node, &caller, era, &request, &line).await) })
        }));
    }
    let result = run(node, &caller, era, &request, &Line::closed()).await;
    let status = match &result {
        Err(wrong) if era == Era::Modern => wrong.status(),
        _ => 200,
    };
    Reply::One { status, body: Some(rpc::answer(&request.id, result)) }
}

/// A call on a stream, which nobody else bounds.
async fn in_time(node: &Node, caller: &Bearer, era: Era, request: &Request, line: &Line) -> Result<Value, Wrong> {
    let ran = comity_runtime::timeout(CALL_MAX, run(node, caller, era, request, line)).await;
    ran.unwrap_or_else(|comity_runtime::Elapsed| {
        let next = "repeat the same call with the same idempotency_key: it is done once";
        let late = ServiceError::new(Kind::Unknown, "no_answer_in_time", "the call took too long", next);
        Ok(for_era(era, answer::refusal(&late), None))
    })
}

async fn run(node: &Node, caller: &Bearer, era: Era, request: &Request, line: &Line) -> Result<Value, Wrong> {
    if let Some(result) = fixtures::run(era, request, line).await {
        return result.map(|result| for_era(era, result, None));
    }
    let params = &request.params;
    let (result, cache) = match (era, request.method.as_str()) {
        (Era::Legacy, "initialize") => return Ok(initialized(params)),
        (Era::Legacy, "ping") => return Ok(json!({})),
        (Era::Modern, "server/discover") => {
            let known = json!({
                "supportedVersions": era::supported(), "capabilities": capabilities(era), "instructions": INSTRUCTIONS,
                "_meta": { SERVER_INFO: own() },
            });
            (known, Some("public"))
        }
        (_, "tools/list") => (listed("tools", [tools::all(), fixtures::tools(era)]), Some("public")),
        (_, "tools/call") => (called(node, caller, params, line).await?, None),
        (_, "prompts/list") => (listed("prompts", [prompts::all(), fixtures::prompts(era)]), Some("public")),
        (_, "prompts/get") => (prompts::get(node, caller, params).await?, None),
        (_, "completion/complete") => (complete::complete(node, caller, params).await?, None),
        (_, "resources/list") => {
            let own = resources::list(node, caller).await?;
            (listed("resources", [own, fixtures::resources()]), Some("private"))
        }
        (_, "resources/templates/list") => {
            (listed("resourceTemplates", [resources::templates(), fixtures::templates()]), Some("public"))
        }
        (_, "resources/read") => {
            let uri = params["uri"].as_str().ok_or_else(|| Wrong::new(rpc::INVALID_PARAMS, "`uri` is missing"))?;
            let read = resources::read(node, caller, uri).await.map_err(|wrong| not_found(era, wrong))?;
            (read, Some("private"))
        }
        (_, method) => return Err(Wrong::new(rpc::METHOD_NOT_FOUND, format!("no method is called {method}"))),
    };
    Ok(for_era(era, result, cache))
}

fn listed(name: &str, parts: [Vec<Value>; 2]) -> Value {
    json!({ name: parts.concat() })
}

fn own() -> Value {
    json!({ "name": "comity", "title": "Comity", "version": env!("CARGO_PKG_VERSION") })
}

fn capabilities(era: Era) -> Value {
    fixtures::capabilities(era, json!({ "tools": {}, "resources": {}, "prompts": {}, "completions": {} }))
}

/// The newest revision that both speak.
fn initialized(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let version = era::LEGACY.iter().find(|version| **version == asked).unwrap_or(&era::LEGACY[0]);
    json!({
        "protocolVersion": version, "capabilities": capabilities(Era::Legacy), "serverInfo": own(),
        "instructions": INSTRUCTIONS,
    })
}

/// Fields that only the later revision has: that the result is whole, and who may keep it how long.
fn for_era(era: Era, mut result: Value, cache: Option<&str>) -> Value {
    if era == Era::Modern {
        if result["resultType"].is_null() {
            result["resultType"] = "complete".into();
        }
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

async fn called(node: &Node, caller: &Bearer, params: &Value, line: &Line) -> Result<Value, Wrong> {
    let name = params["name"].as_str().unwrap_or_default();
    if !tools::is_known(name) {
        return Err(Wrong::new(rpc::INVALID_PARAMS, format!("no tool is called `{name}`")));
    }
    let arguments = match &params["arguments"] {
        Value::Object(arguments) => arguments.clone(),
        Value::Null => serde_json::Map::new(),
        _ => return Err(Wrong::new(rpc::INVALID_PARAMS, "`arguments` is no object")),
    };
    Ok(match call::call(node, caller, name, arguments, line).await {
        Ok(answer) => answer.result(),
        Err(error) => answer::refusal(&error),
    })
}
