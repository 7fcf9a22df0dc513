//! What can be read: escrows of the caller, cards of anybody.

use super::{
    answer,
    call::introduced,
    rpc::{self, Wrong},
};
use crate::{
    node::Node,
    service::{cards, custody::Bearer, domain, error::ServiceError, principal::Principal, trades, view::EscrowView},
};
use serde_json::{Value, json};

const ESCROWS: &str = "comity://escrow/";
const CARDS: &str = "comity://card/";
const JSON: &str = "application/json";

pub(super) fn templates() -> Vec<Value> {
    let template = |base: &str, name: &str, title: &str, text: &str| {
        let uri = format!("{base}{{{name}}}");
        json!({ "uriTemplate": uri, "name": name, "title": title, "description": text, "mimeType": JSON })
    };
    vec![
        template(ESCROWS, "escrow", "Escrow", "An escrow in which you are payer, payee or arbiter, by its id."),
        template(CARDS, "agent", "Card", "What an agent says of itself, by its id; it may be of another domain."),
    ]
}

/// The caller's escrows.
pub(super) async fn list(node: &Node, caller: &Bearer) -> Result<Vec<Value>, Wrong> {
    let Principal::Agent(agent) = caller.who else { return Ok(Vec::new()) };
    let escrows = trades::escrows(node, agent).await.map_err(|error| absent(&error))?;
    let resource = |escrow: &EscrowView| {
        let title = format!("Escrow, {}", escrow.state);
        json!({
            "uri": format!("{ESCROWS}{}", escrow.escrow), "name": escrow.escrow, "title": title, "mimeType": JSON,
        })
    };
    Ok(escrows.iter().map(resource).collect())
}

fn absent(error: &ServiceError) -> Wrong {
    let data = json!({ "code": error.code, "next": error.next });
    Wrong { data, ..Wrong::new(rpc::RESOURCE_NOT_FOUND, error.to_string()) }
}

/// One of them, or a card.
pub(super) async fn read(node: &Node, caller: &Bearer, uri: &str) -> Result<Value, Wrong> {
    let document = find(node, caller, uri).await.map_err(|error| absent(&error))?;
    Ok(json!({ "contents": [{ "uri": uri, "mimeType": JSON, "text": document.to_string() }] }))
}

async fn find(node: &Node, caller: &Bearer, uri: &str) -> Result<Value, ServiceError> {
    let domain = domain::domain(node)?;
    if let Some(escrow) = uri.strip_prefix(ESCROWS) {
        return Ok(answer::escrow(&domain, &trades::escrow_of(node, caller.agent()?, escrow).await?));
    }
    let agent = uri.strip_prefix(CARDS).ok_or_else(|| ServiceError::not_found("resource", uri))?;
    let agent = agent.parse().map_err(|_| ServiceError::not_found("card", agent))?;
    Ok(introduced(&domain, &cards::get(node, agent)?))
}
