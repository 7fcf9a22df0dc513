//! Agent cards in the protocol's form, made from cards of the mesh and signed by this node.
//!
//! Both official SDKs rebuild a card from their own types before they verify it, and drop what is empty. So nothing here
//! is empty, null, unknown to them, or false where that is the default, and money is text. The key is named, never shown
//! or linked: a reader has it already (`/.well-known/registry-jwks.json` of a domain that it trusts) or trusts nothing.

use super::EXTENSION;
use crate::{
    node::Node,
    registry::json,
    service::{cards::CardView, view::Minor},
};
use comity_proto::{ids::Hash, jws};
use serde_json::{Value, json};

/// Name by which the node itself is addressed.
pub(super) const NODE: &str = "node";
/// The version of the protocol that is spoken here.
pub(super) const VERSION: &str = "1.0";
/// Place of gRPC among the interfaces.
const GRPC: usize = 2;
/// The scope that a bearer token is asked for: an empty list would not survive an SDK.
const SCOPE: &str = "a2a";
/// Media types of messages; a message of another one is refused, because nobody would know it behind the mesh.
pub(super) const INPUT_MODES: [&str; 3] = ["text/plain", "application/json", "application/octet-stream"];

/// A card, ready to be served.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// With its signature.
    pub card: Value,
    /// Of what was signed.
    pub etag: String,
}

/// The card of an agent, at home here or elsewhere, as it is reached through this node.
pub(super) fn of_agent(base: &str, card: &CardView, extended: bool) -> Value {
    let url = format!("{base}/a2a/{}", card.agent);
    let mut params = json!({
        "agent": card.agent, "home": card.home, "key": card.key, "custody": card.custody,
    });
    if let (Some(Minor(amount)), Some(code), Some(issuer)) = (card.price, card.price_code, card.price_issuer) {
        params["price"] = json!({ "amount": amount.to_string(), "code": code, "issuer": issuer });
    }
    if extended {
        params["verifiedBy"] = card.verified_by.into();
        params["heard"] = card.path.as_str().into();
    }
    let words = || format!("{} of {}", card.name, card.home_name);
    let description = if card.description.is_empty() { words() } else { card.description.clone() };
    let skill = |capability: &String| {
        let tags: Vec<&str> = capability.split('.').collect();
        json!({ "id": capability, "name": capability, "description": description, "tags": tags })
    };
    let mut skills: Vec<Value> = card.capabilities.iter().map(skill).collect();
    if skills.is_empty() {
        skills.push(json!({ "id": "task", "name": "task", "description": description, "tags": ["task"] }));
    }
    let name = if card.name.is_empty() { card.agent.to_string() } else { card.name.clone() };
    let organization = if card.home_name.is_empty() { card.home.to_string() } else { card.home_name.clone() };
    let mut document = whole(&url, params, Value::from(skills));
    document["supportedInterfaces"][GRPC]["tenant"] = json!(card.agent);
    document["name"] = name.into();
    document["description"] = description.into();
    document["version"] = card.sequence.to_string().into();
    document["provider"] = json!({ "organization": organization, "url": base });
    document
}

/// The card of the node itself: it knows who can do what, and works for nobody.
pub(super) fn of_node(node: &Node, base: &str) -> Value {
    let config = &node.home().config;
    let params = json!({ "domain": node.domain(), "node": node.key().public() });
    let skill = json!({
        "id": "agents.find", "name": "Find agents", "tags": ["agents", "search"],
        "description": "Say a capability, such as text.statistics; the answer lists agents of this and other domains, and \
                        where each is reached.",
    });
    let mut document = whole(&format!("{base}/a2a/{NODE}"), params, json!([skill]));
    document["name"] = format!("{} (Comity)", config.domain).into();
    document["description"] =
        format!("Agents of {} and of domains that it trades with, for hire.", config.domain).into();
    document["version"] = env!("CARGO_PKG_VERSION").into();
    document["provider"] = json!({ "organization": config.domain, "url": base });
    document
}

fn whole(url: &str, params: Value, skills: Value) -> Value {
    let interface =
        |url: &str, binding: &str| json!({ "url": url, "protocolBinding": binding, "protocolVersion": VERSION });
    // A gRPC channel goes to a host and port, the same as of the other bindings.
    let without_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = without_scheme.split('/').next().unwrap_or_default();
    let extension = json!({
        "uri": EXTENSION, "params": params,
        "description": "Work is paid from an escrow: metadata under this URI names it, and the result brings a signed \
                        payment request.",
    });
    json!({
        "supportedInterfaces": [interface(url, "JSONRPC"), interface(url, "HTTP+JSON"), interface(host, "GRPC")],
        "capabilities": {
            "streaming": true, "pushNotifications": true, "extendedAgentCard": true, "extensions": [extension],
        },
        "securitySchemes": { "bearer": { "httpAuthSecurityScheme": { "scheme": "Bearer" } } },
        "securityRequirements": [{ "schemes": { "bearer": { "list": [SCOPE] } } }],
        "defaultInputModes": INPUT_MODES,
        "defaultOutputModes": ["text/plain", "application/octet-stream"],
        "skills": skills,
    })
}

/// Signs a card with the node's key.
pub(super) fn signed(node: &Node, mut card: Value) -> Rendered {
    let canonical = json::canonical(&card);
    let signature = jws::sign(node.key(), &canonical);
    card["signatures"] = json!([{ "protected": signature.protected, "signature": signature.signature }]);
    Rendered { card, etag: format!("\"{}\"", Hash::of(&canonical)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::custody::OPERATOR_CAN_SPEND;
    use comity_proto::{
        ids::{AgentId, DomainId},
        keys::SecretKey,
    };

    /// Nothing that an SDK would drop or rewrite.
    fn plain(value: &Value) -> bool {
        match value {
            Value::Null | Value::Bool(false) | Value::Number(_) => false,
            Value::Bool(true) => true,
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty() && list.iter().all(plain),
            Value::Object(object) => !object.is_empty() && object.values().all(plain),
        }
    }

    #[test]
    fn a_card_of_an_agent_that_says_nothing_has_nothing_empty() {
        let key = SecretKey::from_seed(&[7; 32]).public();
        let mut card = CardView {
            agent: AgentId([1; 32]),
            home: DomainId([2; 32]),
            home_name: String::new(),
            key,
            name: String::new(),
            description: String::new(),
            capabilities: Vec::new(),
            price: None,
            price_code: None,
            price_issuer: None,
            sequence: 0,
            public: false,
            path: "local".to_owned(),
            hops: Some(0),
            forwarded_by: None,
            verified_by: "a pinned key",
            custody: OPERATOR_CAN_SPEND,
            age_ms: 0,
            stale: false,
            home_known: false,
        };
        for extended in [false, true] {
            let made = of_agent("http://x", &card, extended);
            assert!(plain(&made), "{made:#}");
        }
        card.capabilities = vec!["text.statistics".to_owned()];
        let made = of_agent("http://x", &card, false);
        assert!(plain(&made) && made["skills"][0]["tags"] == json!(["text", "statistics"]), "{made:#}");
        let grpc = &made["supportedInterfaces"][GRPC];
        assert_eq!(
            (&grpc["protocolBinding"], &grpc["url"], &grpc["tenant"]),
            (&json!("GRPC"), &json!("x"), &json!(card.agent))
        );
    }
}
