//! Entries: what the registry says about one agent, about itself, and about others.

use super::Look;
use crate::{
    registry::json as strict,
    service::{cards::CardView, view::Minor},
};
use comity_proto::{
    ids::{AgentId, DomainId},
    limits::DOMAIN_DOCUMENT_BYTES_MAX,
};
use serde_json::{Value, json};

/// Media types of what an entry leads to.
pub(super) const AGENT_CARD: &str = "application/a2a-agent-card+json";
const REGISTRY: &str = "application/ai-registry+json";

/// A trust domain of SPIFFE, which is the publisher in a URN.
pub(super) fn identity(domain: &DomainId) -> String {
    format!("spiffe://{domain}")
}

/// How an agent is called.
pub(super) fn urn(home: &DomainId, agent: &AgentId) -> String {
    format!("urn:air:{home}:agent:{agent}")
}

/// A URN in its parts.
pub(super) struct Urn<'a> {
    pub(super) name: &'a str,
}

/// Reads `urn:air:PUBLISHER[:NAMESPACE]:NAME`.
pub(super) fn read_urn(urn: &str) -> Option<Urn<'_>> {
    let (publisher, rest) = urn.strip_prefix("urn:air:")?.split_once(':')?;
    let plain = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c) || more.contains(c))
    };
    let (namespace, name) = rest.rsplit_once(':').unwrap_or(("none", rest));
    (plain(publisher, "") && plain(namespace, "_:") && plain(name, "_")).then_some(Urn { name })
}

/// What both dialects of the catalogue call a type stands under both names.
fn entry(identifier: String, name: &str, kind: &str, url: String, publisher: &DomainId) -> Value {
    json!({
        "identifier": identifier, "displayName": name, "type": kind, "mediaType": kind, "url": url,
        "trustManifest": { "identity": identity(publisher), "identityType": "spiffe" },
    })
}

/// An agent, reached through this node.
pub(super) fn agent(look: Look<'_>, card: &CardView) -> Value {
    let id = card.agent.to_string();
    let name = if card.name.is_empty() { &id } else { &card.name };
    let url = format!("{}/a2a/{id}/.well-known/agent-card.json", look.base);
    let mut entry = entry(urn(&card.home, &card.agent), name, AGENT_CARD, url, &card.home);
    if !card.description.is_empty() {
        entry["description"] = card.description.as_str().into();
    }
    entry["version"] = card.sequence.to_string().into();
    entry["capabilities"] = json!(card.capabilities);
    entry["tags"] = json!(tags(&card.capabilities));
    let queries = card.capabilities.iter().take(2).flat_map(|capability| {
        let words = capability.replace(['.', '_', '-'], " ");
        [format!("hire an agent for {words}"), words]
    });
    entry["representativeQueries"] = queries.collect::<Vec<_>>().into();
    let mut metadata = json!({
        "home": card.home, "homeName": card.home_name, "custody": card.custody, "verifiedBy": card.verified_by,
        "canBePaid": card.home_known,
    });
    if let (Some(Minor(amount)), Some(code), Some(issuer)) = (card.price, card.price_code, card.price_issuer) {
        metadata["price"] = json!({ "amount": amount.to_string(), "code": code, "issuer": issuer });
    }
    entry["metadata"] = metadata;
    entry
}

/// The words of capabilities, each once.
pub(super) fn tags<T: AsRef<str>>(capabilities: &[T]) -> Vec<String> {
    let words = capabilities.iter().flat_map(|capability| capability.as_ref().split('.'));
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// This registry.
pub(super) fn registry(look: Look<'_>) -> Value {
    let (own, nickname) = (look.node.domain(), &look.node.home().config.domain);
    let name = format!("Agents known to {nickname}");
    let urn = format!("urn:air:{own}:registry:agents");
    let mut entry = entry(urn, &name, REGISTRY, format!("{}/", look.base), &own);
    entry["description"] = "Search for agents of this and other domains; each by a verified card.".into();
    entry["representativeQueries"] = json!(["which agents are there for a task", "find an agent to hire"]);
    entry
}

/// The node as an agent.
pub(super) fn node(look: Look<'_>) -> Value {
    let (own, nickname) = (look.node.domain(), &look.node.home().config.domain);
    let url = format!("{}/.well-known/agent-card.json", look.base);
    let mut entry = entry(format!("urn:air:{own}:agent:node"), &format!("{nickname} (Comity)"), AGENT_CARD, url, &own);
    entry["description"] = "Told a capability, it answers with agents and where each is reached.".into();
    entry["capabilities"] = json!(["agents.find"]);
    entry["representativeQueries"] = json!(["who can count words", "list agents for text.statistics"]);
    entry
}

/// Doors of other domains, as their signed cards name them. Nobody calls them here.
pub(super) fn referrals(look: Look<'_>, most: usize) -> Vec<Value> {
    let own = look.node.domain();
    let cards = look.node.mesh().domain_cards();
    let others = cards.iter().filter(|entry| entry.card.get().domain != own && !entry.card.get().retired);
    let referral = |entry: &crate::mesh::CardEntry<comity_proto::card::DomainCard>| {
        let card = entry.card.get();
        debug_assert!(card.document.len() <= DOMAIN_DOCUMENT_BYTES_MAX);
        let document = strict::parse(&card.document).ok()?;
        let (name, url) = (document["nickname"].as_str()?, document["endpoints"]["api"][0].as_str()?);
        let urn = format!("urn:air:{}:registry:agents", card.domain);
        Some(json!({ "identifier": urn, "displayName": name, "type": REGISTRY, "url": url }))
    };
    others.filter_map(referral).take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_urn_is_read_as_the_specification_writes_it() {
        for good in ["urn:air:acme.com:agent:assistant", "urn:air:example.com:weather-server", "urn:air:a:b:c:d_1"] {
            assert!(read_urn(good).is_some(), "{good}");
        }
        for bad in
            ["", "urn:air:", "urn:air:a", "urn:air:a:", "urn:air::b", "urn:ai:a:b", "urn:air:a b:c", "urn:air:a_b:c"]
        {
            assert!(read_urn(bad).is_none(), "{bad}");
        }
        let (home, agent) = (DomainId([1; 32]), AgentId([2; 32]));
        assert_eq!(read_urn(&urn(&home, &agent)).and_then(|urn| urn.name.parse().ok()), Some(agent));
    }

    #[test]
    fn tags_are_the_words_of_capabilities_once() {
        assert_eq!(tags(&["text.count", "text.translate"]), ["count", "text", "translate"]);
    }
}
