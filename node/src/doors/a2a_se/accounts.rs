//! Accounts: custodial ones, opened with an admission token, and what their cards say of them.

use super::{Call, Reply, read::page, wrong::Wrong};
use crate::{
    custody::Limits,
    doors::a2a::time,
    node::Node,
    service::{
        books,
        cards::{self, CardView},
        custody::{self, Bearer, OPERATOR_CAN_SPEND, Opening, WARNING},
        errands::{self, Errand, Nothing},
        introductions::{self, Introduction},
        principal::Principal,
        records,
    },
};
use comity_proto::{ids::AgentId, limits::NICKNAME_BYTES_MAX};
use serde::Deserialize;
use serde_json::{Value, json};

/// Key of the claim that comes with an account: the account's token makes it its own.
const STARTER: &str = "a2a-se-starter";

/// What is known of a developer is between it and whoever gives out admission tokens; it is not kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    bot_name: String,
    #[serde(rename = "developer_id")]
    _developer_id: String,
    #[serde(rename = "developer_name")]
    _developer_name: String,
    #[serde(rename = "contact_email")]
    _contact_email: String,
    description: Option<String>,
    skills: Option<Vec<String>>,
    daily_spend_limit: Option<u64>,
}

/// A name as a nickname: its letters and digits in small, joined by hyphens.
fn label(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let joined = words.join("-");
    let cut: String = joined.chars().take(NICKNAME_BYTES_MAX).collect();
    cut.trim_end_matches('-').to_owned()
}

pub(super) fn status(retired: bool) -> &'static str {
    if retired { "retired" } else { "active" }
}

pub(super) async fn register(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let wanted: Register = call.read()?;
    let nickname = label(&wanted.bot_name);
    let description = wanted.description.unwrap_or_default();
    let said = Introduction {
        name: nickname.clone(),
        description: description.clone(),
        capabilities: wanted.skills.unwrap_or_default(),
        price: None,
        public: false,
    };
    let words = introductions::check(&said)?;
    let limits = Limits { per_day: wanted.daily_spend_limit, total: None };
    let opening = Opening { nickname: nickname.clone(), limits, ..Opening::default() };
    let opened = custody::open(node, caller, &call.asked()?, &opening).await?;
    // The account stands whatever becomes of its card and of the grant, and its token is told now or never.
    let own = Bearer { who: Principal::Agent(opened.agent), token: opened.token.clone() };
    let published = !said.capabilities.is_empty() && introductions::publish(node, &own, words).await.is_ok();
    let _granted_or_faucet_empty = errands::run(node, &own, STARTER, Errand::ClaimFaucet(Nothing {})).await;
    let starter = records::held(node, opened.agent).await.map_or(0, |held| held.available);
    Ok(Reply::created(json!({
        "message": format!("Registered. Keep the API key, it is not shown again. {WARNING}."),
        "account": {
            "id": opened.agent, "bot_name": nickname, "developer_id": null, "developer_name": null,
            "contact_email": null, "description": description,
            "skills": if published { said.capabilities } else { Vec::new() },
            "status": "active", "reputation": null, "daily_spend_limit": opened.limits.per_day,
            "custody": OPERATOR_CAN_SPEND,
        },
        "api_key": opened.token, "starter_tokens": starter,
    })))
}

fn of_card(card: &CardView, home: bool) -> Value {
    let id = if home { card.agent.to_string() } else { format!("{}@{}", card.agent, card.home) };
    json!({
        "id": id, "bot_name": card.name, "developer_id": null, "developer_name": null,
        "description": card.description, "skills": card.capabilities, "status": "active", "reputation": null,
        "account_type": "agent", "created_at": null, "home": card.home_name, "custody": card.custody,
        "can_be_paid": card.home_known, "stale": card.stale,
    })
}

pub(super) fn directory(node: &Node, call: &Call) -> Result<Reply, Wrong> {
    let [skill, limit, offset] = call.parameters(["skill", "limit", "offset"])?;
    let (take, skip) = page(limit, offset)?;
    let found = match skill {
        Some(skill) => cards::discover(node, skill, None)?.agents,
        None => cards::all(node),
    };
    let home = node.domain();
    let bots: Vec<Value> = found.iter().skip(skip).take(take).map(|card| of_card(card, card.home == home)).collect();
    Ok(Reply::ok(json!({ "bots": bots, "count": bots.len(), "total": found.len() })))
}

pub(super) async fn account(node: &Node, text: &str) -> Result<Reply, Wrong> {
    let bare = text.split('@').next().unwrap_or_default();
    let card = bare.parse::<AgentId>().ok().and_then(|agent| cards::get(node, agent).ok());
    let known = match card.as_ref().is_some_and(|card| card.home != node.domain()) {
        true => None,
        false => Some(books::agent(node, bare).await?),
    };
    let mut shown = match &card {
        Some(card) => of_card(card, known.is_some()),
        None => json!({ "skills": [], "description": null, "reputation": null, "account_type": "agent" }),
    };
    if let Some(known) = known {
        shown["id"] = known.agent.to_string().into();
        shown["bot_name"] = known.nickname.into();
        shown["status"] = status(known.retired).into();
        shown["custody"] = known.custody.into();
        shown["created_at"] = time::text(known.registered_ms).into();
    }
    Ok(Reply::ok(shown))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skills {
    skills: Vec<String>,
}

/// Another card of the caller's, with these skills and otherwise as before.
pub(super) async fn skills(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let Skills { skills } = call.read()?;
    let agent = caller.agent()?;
    let known = books::agent(node, &agent.to_string()).await?;
    let card = cards::get(node, agent).ok();
    let said = Introduction {
        name: card.as_ref().map_or(known.nickname, |card| card.name.clone()),
        description: card.as_ref().map(|card| card.description.clone()).unwrap_or_default(),
        capabilities: skills.clone(),
        price: card.as_ref().and_then(|card| card.price).map(|price| price.0),
        public: card.is_some_and(|card| card.public),
    };
    introductions::publish(node, caller, introductions::check(&said)?).await?;
    Ok(Reply::ok(json!({ "account_id": agent, "skills": skills })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_label() {
        for (name, wanted) in [
            ("DemoProvider", "demoprovider"),
            ("Sentiment Analysis Bot!", "sentiment-analysis-bot"),
            ("--a__b--", "a-b"),
            ("x2x2x2x2x2x2x2x2x2x2x2x2x2x2x2x -tail", "x2x2x2x2x2x2x2x2x2x2x2x2x2x2x2x"),
            ("\u{e9}\u{e8}", ""),
        ] {
            assert_eq!(label(name), wanted);
        }
    }
}
