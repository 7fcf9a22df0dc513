//! Cards of custodial agents: what the agent says of itself, signed with the key that the node keeps, and saying so.

use super::{
    cards,
    custody::{self, Bearer},
    domain,
    error::ServiceError,
};
use crate::node::Node;
use comity_proto::{
    amount::AssetId,
    card::{AcceptedTerms, AgentCard, Price},
    envelope::Signed as _,
    limits::CARD_VALID_MAX_MS,
    text::{Capability, Description, Nickname},
};

/// What an agent says of itself.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// Display only.
    pub name: String,
    /// In its own words.
    pub description: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Minor units for one task.
    pub price: Option<u64>,
    /// Whether the card may be passed on to everybody.
    pub public: bool,
}

/// The same, checked.
#[derive(Clone, Debug)]
pub struct Words {
    name: Nickname,
    description: Description,
    capabilities: Vec<Capability>,
    price: Option<u64>,
    public: bool,
}

/// Checks the words of a card before anything is done.
///
/// # Errors
/// `bad_text`.
pub fn check(said: &Introduction) -> Result<Words, ServiceError> {
    let bad = |what: &str, text: &str| ServiceError::bad_input("bad_text", format!("`{text}` is no {what}"));
    let capability = |text: &String| Capability::new(text).map_err(|_| bad("capability", text));
    Ok(Words {
        name: Nickname::new(&said.name).map_err(|_| bad("nickname", &said.name))?,
        description: Description::new(&said.description).map_err(|_| bad("description", &said.description))?,
        capabilities: said.capabilities.iter().map(capability).collect::<Result<_, _>>()?,
        price: said.price,
        public: said.public,
    })
}

/// Signs and publishes a card of the caller's agent.
///
/// # Errors
/// `own_key`; what [`cards::publish`] refuses.
pub async fn publish(node: &Node, caller: &Bearer, words: Words) -> Result<u64, ServiceError> {
    let (agent, key) = custody::key_of(node, caller).await?;
    let domain = domain::domain(node)?;
    let now_ms = comity_runtime::wall_ms();
    let asset = AssetId { issuer: domain.domain, code: domain.asset };
    let card = AgentCard {
        agent,
        home: domain.domain,
        name: words.name,
        description: words.description,
        capabilities: words.capabilities,
        key: key.public(),
        price: words.price.map(|amount| Price { asset, amount }),
        accepts: AcceptedTerms::default(),
        sequence: now_ms,
        issued_at_ms: now_ms,
        expires_at_ms: now_ms.saturating_add(CARD_VALID_MAX_MS),
        retired: false,
        public: words.public,
        custodial: true,
        attestation: bytes::Bytes::new(),
    };
    cards::publish(node, card.seal(&key)).await
}
