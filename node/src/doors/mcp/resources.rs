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

pub(super) fn is_template(uri: &str) -> bool {
    templates().iter().any(|template| template["uriTemplate"] == uri)
}

/// The caller's escrows.
pub(super) async fn list(node: &Node, caller: &Bearer) -> Result<Vec<Value>, Wrong> {
    let Principal::Agent(agent) = caller.who else { return Ok(Vec::new()) };
    let escrows = trades::escrows(node, agent).await.map_err(|error| absent(&error, ESCROWS))?;
    let resource = |escrow: &EscrowView| {
        let title = format!("Escrow, {}", escrow.state);
        json!({
            "uri": uri(&escrow.escrow.to_string()), "name": escrow.escrow, "title": title, "mimeType": JSON,
        })
    };
    Ok(escrows.iter().map(resource).collect())
}

/// Where an escrow is read.
pub(super) fn uri(escrow: &str) -> String {
    format!("{ESCROWS}{escrow}")
}

pub(super) fn absent(error: &ServiceError, uri: &str) -> Wrong {
    let data = json!({ "code": error.code, "next": error.next, "uri": uri });
    Wrong { data, ..Wrong::new(rpc::RESOURCE_NOT_FOUND, error.to_string()) }
}

/// One of them, or a card.
pub(super) async fn read(node: &Node, caller: &Bearer, uri: &str) -> Result<Value, Wrong> {
    let document = find(node, caller, uri).await.map_err(|error| absent(&error, uri))?;
    Ok(json!({ "contents": [contents(uri, &document)] }))
}

/// A document as the protocol carries it.
pub(super) fn contents(uri: &str, document: &Value) -> Value {
    json!({ "uri": uri, "mimeType": JSON, "text": document.to_string() })
}

/// What an escrow of the caller says of itself.
pub(super) async fn escrow(node: &Node, caller: &Bearer, escrow: &str) -> Result<Value, ServiceError> {
    let domain = domain::domain(node)?;
    Ok(answer::escrow(&domain, &trades::escrow(node, caller.who, escrow).await?))
}

async fn find(node: &Node, caller: &Bearer, uri: &str) -> Result<Value, ServiceError> {
    if let Some(id) = uri.strip_prefix(ESCROWS) {
        return escrow(node, caller, id).await;
    }
    let agent = uri.strip_prefix(CARDS).ok_or_else(|| ServiceError::not_found("resource", uri))?;
    let agent = agent.parse().map_err(|_| ServiceError::not_found("card", agent))?;
    Ok(introduced(&domain::domain(node)?, &cards::get(node, agent)?))
}
