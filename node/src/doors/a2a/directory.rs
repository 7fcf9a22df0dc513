//! The node as an A2A agent: told a capability, it answers with agents, and where each is reached.

use super::{
    message::{self, Said},
    wrong::{What, Wrong},
};
use crate::{node::Node, service::cards};
use serde_json::{Value, json};

/// Answers a message at once: there is no task.
pub(super) fn find(node: &Node, base: &str, message: &Value) -> Result<Value, Wrong> {
    let said = Said::read(message)?;
    if said.task.is_some() {
        return Err(Wrong::new(What::TaskNotFound, "the node itself has no tasks"));
    }
    let wanted = std::str::from_utf8(&said.body).unwrap_or_default().trim();
    let found = cards::discover(node, wanted, None)?;
    let shown = |card: &cards::CardView| {
        json!({
            "agent": card.agent, "name": card.name, "description": card.description, "home": card.home_name,
            "capabilities": card.capabilities, "url": format!("{base}/a2a/{}", card.agent), "stale": card.stale,
            "canBePaid": card.home_known,
        })
    };
    let agents: Vec<Value> = found.agents.iter().map(shown).collect();
    let lines: Vec<String> =
        found.agents.iter().map(|card| format!("{} {base}/a2a/{}", card.name, card.agent)).collect();
    let text = format!("{}: {}\n{}", found.status, found.detail, lines.join("\n"));
    let context = said.context.clone().unwrap_or_else(|| message::fresh_context(said.id.as_bytes()));
    Ok(json!({ "message": {
        "messageId": format!("{}-answer", said.id), "contextId": context, "role": "ROLE_AGENT",
        "parts": [{ "text": text.trim_end() }, { "data": { "status": found.status, "agents": agents } }],
    } }))
}
