//! Completions: what an argument of a prompt or of a resource's template may go on to be.

use super::{
    prompts, resources,
    rpc::{self, Wrong},
};
use crate::{
    node::Node,
    service::{cards, custody::Bearer, principal::Principal, trades},
};
use comity_proto::card::AgentCard;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Longest list that the protocol takes.
const VALUES_MAX: usize = 100;

/// Those that begin with what is there, in order.
pub(super) async fn complete(node: &Node, caller: &Bearer, params: &Value) -> Result<Value, Wrong> {
    let (asked, argument) = (&params["ref"], &params["argument"]);
    let (Some(name), Some(begun)) = (argument["name"].as_str(), argument["value"].as_str()) else {
        return Err(Wrong::new(rpc::INVALID_PARAMS, "`argument` has a `name` and a `value`, both texts"));
    };
    let known = match asked["type"].as_str() {
        Some("ref/prompt") => asked["name"].as_str().filter(|prompt| prompts::is_known(prompt)),
        Some("ref/resource") => asked["uri"].as_str().filter(|uri| resources::is_template(uri)),
        _ => None,
    };
    let known =
        known.ok_or_else(|| Wrong::new(rpc::INVALID_PARAMS, "`ref` is no prompt and no template of this server"))?;
    let takes = prompts::takes(known, name) || known.contains(&format!("{{{name}}}"));
    let all = if takes { choices(node, caller, name).await? } else { BTreeSet::new() };
    let fit: Vec<&String> = all.iter().filter(|choice| choice.starts_with(begun)).collect();
    let values = fit.get(..VALUES_MAX).unwrap_or(&fit);
    Ok(json!({ "completion": { "values": values, "total": fit.len(), "hasMore": fit.len() > values.len() } }))
}

async fn choices(node: &Node, caller: &Bearer, name: &str) -> Result<BTreeSet<String>, Wrong> {
    Ok(match (name, caller.who) {
        ("escrow", Principal::Agent(agent)) => {
            let escrows = trades::escrows(node, agent).await.map_err(|error| resources::absent(&error, ""))?;
            escrows.iter().map(|escrow| escrow.escrow.to_string()).collect()
        }
        ("agent", _) => cards::ranked(node, true, |_| Some(())).iter().map(|(_, agent)| agent.to_string()).collect(),
        ("capability", _) => {
            let offered = |card: &AgentCard| Some(card.capabilities.clone());
            let offered = cards::ranked(node, true, offered);
            offered.iter().flat_map(|(offered, _)| offered.iter().map(ToString::to_string)).collect()
        }
        _ => BTreeSet::new(),
    })
}
