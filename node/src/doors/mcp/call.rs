//! From a tool's name and arguments to a service, and back.

use super::{
    answer::{self, Answer},
    stream::Line,
    task, tools,
};
use crate::{
    node::Node,
    service::{
        books, cards,
        custody::{self, Asked, Bearer, OPERATOR_CAN_SPEND, Opening, WARNING},
        domain::{self, DomainView},
        errands::{self, Errand},
        error::ServiceError,
        introductions::{self, Introduction},
        principal::Principal,
        trades,
        view::Minor,
    },
};
use comity_proto::{
    amount::{format_amount, parse_amount},
    ids::DomainId,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

type Arguments = Map<String, Value>;

/// Calls a tool that is known.
pub(super) async fn call(
    node: &Node,
    caller: &Bearer,
    name: &str,
    mut arguments: Arguments,
    line: &Line,
) -> Result<Answer, ServiceError> {
    let key = if tools::writes(name) { key_of(&mut arguments)? } else { String::new() };
    match name {
        "get_escrow_status" => status(node, caller, read(arguments)?).await,
        "list_escrows" => {
            let _none: Nothing = read(arguments)?;
            list(node, caller).await
        }
        "search_agents" => search(node, read(arguments)?),
        "register_agent" => register(node, caller, &key, arguments).await,
        "send_task" => task::send(node, caller, &key, read(arguments)?, line).await,
        verb => {
            let errand: Errand = read(json!({ "verb": verb, "arguments": arguments }))?;
            errands::run(node, caller, &key, errand).await.map(|ran| answer::ran(verb, &ran))
        }
    }
}

fn key_of(arguments: &mut Arguments) -> Result<String, ServiceError> {
    match arguments.remove(tools::KEY) {
        Some(Value::String(key)) => Ok(key),
        _ => {
            let detail = "this call changes something and has no idempotency_key";
            let mut error = ServiceError::bad_input("idempotency_key_missing", detail);
            error.next =
                "choose a fresh key, keep it, and repeat this call with the same key if no answer comes".into();
            Err(error)
        }
    }
}

pub(super) fn read<T: DeserializeOwned>(arguments: impl Into<Value>) -> Result<T, ServiceError> {
    serde_json::from_value(arguments.into()).map_err(|error| {
        let mut refusal = ServiceError::bad_input("bad_arguments", error.to_string());
        refusal.next = "see the tool's schema; money is a decimal string, not a number".to_owned();
        refusal
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfEscrow {
    escrow: String,
}

async fn status(node: &Node, caller: &Bearer, wanted: OfEscrow) -> Result<Answer, ServiceError> {
    let view = trades::escrow(node, caller.who, &wanted.escrow).await?;
    let data = answer::escrow(&domain::domain(node)?, &view);
    Ok(Answer { text: answer::escrow_line(&data), data })
}

async fn list(node: &Node, caller: &Bearer) -> Result<Answer, ServiceError> {
    let (domain, agent) = (domain::domain(node)?, caller.agent()?);
    let escrows: Vec<Value> =
        trades::escrows(node, agent).await?.iter().map(|view| answer::escrow(&domain, view)).collect();
    let account = books::account(node, agent).await?;
    let balances = account.balances.iter().map(|balance| {
        let asset = format!("{}@{}", balance.code, balance.issuer_name);
        json!({ "asset": asset, "available": format_amount(balance.available.0, domain.scale) })
    });
    let balances: Vec<Value> = balances.collect();
    let custodial = account.custody == OPERATOR_CAN_SPEND;
    let left = if custodial { custody::left(node, caller).await.ok() } else { None };
    let show = |minor: Option<u64>| minor.map(|minor| format_amount(minor, domain.scale));
    let (today, total) = left.map_or((None, None), |(today, total)| (show(today), show(total)));
    let mut lines: Vec<String> = escrows.iter().map(answer::escrow_line).collect();
    lines.push(format!("{} escrows; balances {}", escrows.len(), Value::from(balances.clone())));
    if custodial {
        lines.push(WARNING.to_owned());
    }
    let data = json!({
        "agent": agent, "escrows": escrows, "balances": balances, "custody": account.custody,
        "left_today": today, "left_in_all": total,
    });
    Ok(Answer { text: lines.join("\n"), data })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    capability: String,
    domain: Option<String>,
}

fn search(node: &Node, wanted: Search) -> Result<Answer, ServiceError> {
    let own = domain::domain(node)?;
    let id = |text: &str| {
        let read = text.parse::<DomainId>();
        read.map_err(|error| ServiceError::bad_input("bad_domain_id", format!("`{text}`: {error}")))
    };
    let home = wanted.domain.as_deref().map(id).transpose()?;
    let found = cards::discover(node, &wanted.capability, home)?;
    let agents: Vec<Value> = found.agents.iter().map(|card| introduced(&own, card)).collect();
    let mut lines = vec![format!("{}: {}", found.status, found.detail)];
    lines.extend(agents.iter().map(|agent| agent.to_string()));
    Ok(Answer { text: lines.join("\n"), data: json!({ "status": found.status, "agents": agents }) })
}

/// A card, as an answer shows it.
pub(super) fn introduced(own: &DomainView, card: &cards::CardView) -> Value {
    let price = card.price.map(|Minor(minor)| format_amount(minor, own.scale));
    json!({
        "agent": format!("{}@{}", card.agent, card.home), "name": card.name, "description": card.description,
        "capabilities": card.capabilities, "price": price, "price_asset": card.price_code, "home": card.home_name,
        "custody": card.custody, "verified_by": card.verified_by, "age_ms": card.age_ms, "stale": card.stale,
        "can_be_paid": card.home_known,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Register {
    nickname: String,
    #[serde(default)]
    capabilities: Vec<String>,
    #[serde(default)]
    description: String,
    price: Option<String>,
    #[serde(default)]
    public: bool,
    referral_code: Option<String>,
}

async fn register(node: &Node, caller: &Bearer, key: &str, arguments: Arguments) -> Result<Answer, ServiceError> {
    let asked = Asked::new(key, "register_agent", Value::from(arguments.clone()).to_string().as_bytes())?;
    let wanted: Register = read(arguments)?;
    let domain = domain::domain(node)?;
    let price = wanted.price.as_ref().map(|text| {
        parse_amount(text, domain.scale)
            .map_err(|error| ServiceError::bad_input("bad_amount", format!("`{text}`: {error}")))
    });
    let card = Introduction {
        name: wanted.nickname.clone(),
        description: wanted.description,
        capabilities: wanted.capabilities,
        price: price.transpose()?,
        public: wanted.public,
    };
    let words = introductions::check(&card)?;
    let wants_card = !card.capabilities.is_empty();
    if wants_card && matches!(caller.who, Principal::Agent(_)) {
        let sequence = introductions::publish(node, caller, words).await?;
        let text = format!("published card {sequence}. {WARNING}.");
        let data =
            json!({ "agent": caller.agent()?, "card": sequence, "custody": OPERATOR_CAN_SPEND, "warning": WARNING });
        return Ok(Answer { text, data });
    }
    let opening = Opening { nickname: wanted.nickname, referred_by: wanted.referral_code, ..Opening::default() };
    let opened = custody::open(node, caller, &asked, &opening).await?;
    let own = Bearer { who: Principal::Agent(opened.agent), token: opened.token.clone() };
    // The account stands whatever becomes of its card, and its token is told now or never.
    let card = match wants_card {
        true => introductions::publish(node, &own, words).await.ok(),
        false => None,
    };
    let text = format!(
        "agent {} is registered. Its token, shown once: {}. Connect with that token from now on. {WARNING}.",
        opened.agent, opened.token
    );
    let data = json!({
        "agent": opened.agent, "token": opened.token, "card": card, "custody": OPERATOR_CAN_SPEND, "warning": WARNING,
    });
    Ok(Answer { text, data })
}
