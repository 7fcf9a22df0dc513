//! Cards and search: what the mesh has heard, with where it comes from and how old it is.

use super::{
    books::name_of,
    error::{Kind, ServiceError},
    shape,
    view::Minor,
};
use crate::{
    mesh::{CardEntry, Completeness, Path, PublishError, VerifiedBy},
    node::Node,
    service::commands::of_reject,
};
use bytes::Bytes;
use comity_proto::{
    amount::AssetCode,
    card::AgentCard,
    ids::{AgentId, DomainId, PublicKey},
    text::Capability,
};
use serde::Serialize;
use utoipa::ToSchema;

/// One card as an answer shows it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CardView {
    /// Whose.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// Where at home.
    #[schema(value_type = shape::DomainIdText)]
    pub home: DomainId,
    /// That domain as this one calls it.
    pub home_name: String,
    /// Its current key.
    #[schema(value_type = shape::KeyText)]
    pub key: PublicKey,
    /// Display only.
    pub name: String,
    /// In its own words.
    pub description: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Minor units for one task; null when it is to be agreed.
    pub price: Option<Minor>,
    /// In what.
    #[schema(value_type = Option<shape::AssetCodeText>)]
    pub price_code: Option<AssetCode>,
    /// By the domain that issues it.
    #[schema(value_type = Option<shape::DomainIdText>)]
    pub price_issuer: Option<DomainId>,
    /// As signed.
    pub sequence: u64,
    /// Whether everybody may see it.
    pub public: bool,
    /// `local`, or by which way it came first.
    pub path: String,
    /// Gateways between two meshes that it passed; null where that is not known.
    pub hops: Option<u32>,
    /// The domain whose gateway passed it on.
    #[schema(value_type = Option<shape::DomainIdText>)]
    pub forwarded_by: Option<DomainId>,
    /// What proves it.
    pub verified_by: &'static str,
    /// As the card says: `own_key`, or `operator_can_spend`.
    pub custody: &'static str,
    /// Since it was first heard here, ms.
    pub age_ms: u64,
    /// Whether it has expired.
    pub stale: bool,
    /// Whether it is at home here or in a domain with an active treaty: others cannot be paid.
    pub home_known: bool,
}

/// The answer to a search.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Discovered {
    /// `found`, `not_found`, or `not_yet_synced`: nobody was asked everything yet.
    pub status: &'static str,
    /// The status in words.
    pub detail: &'static str,
    /// Fresh ones first.
    pub agents: Vec<CardView>,
}

/// Publishes a signed card of an agent at home here.
///
/// # Errors
/// The card's refusal by name; `not_at_home_here`; `custody_not_as_registered`.
pub async fn publish(node: &Node, envelope: Bytes) -> Result<u64, ServiceError> {
    use comity_proto::envelope::Signed as _;
    let card = AgentCard::open(&envelope).map_err(|reject| of_reject(&reject))?;
    let (agent, home, key) = (card.get().agent, card.get().home, *card.key());
    let read =
        |ledger: &comity_ledger::Ledger| (ledger.agent(&agent).map(|agent| agent.key), ledger.is_custodial(&agent));
    let (current, custodial) = super::books::read(node, read).await?;
    if home != node.domain() || current != Some(key) {
        let detail = format!("agent {agent} is not registered here under that key");
        let next = "register it here first, and sign with its current key";
        return Err(ServiceError::new(Kind::Forbidden, "not_at_home_here", detail, next));
    }
    if card.get().custodial != custodial {
        let detail =
            format!("whether an operator can spend for agent {agent} is {custodial} here, and not so on the card");
        let next = "say on the card what the ledger says, and sign it again";
        return Err(ServiceError::new(Kind::Refused, "custody_not_as_registered", detail, next));
    }
    match node.mesh().publish_card(envelope) {
        // Repair spreads a card that gossip could not take just now.
        Ok(()) | Err(PublishError::NotAnnounced) => Ok(card.get().sequence),
        Err(error) => Err(not_published(&error)),
    }
}

fn not_published(error: &PublishError) -> ServiceError {
    let (kind, code) = match error {
        PublishError::Refused(refused) => (Kind::Refused, refused.name().to_owned()),
        PublishError::NotTaken(offer) => (Kind::Conflict, offer.name().to_owned()),
        PublishError::TooLarge { .. } => (Kind::TooLarge, "card_too_large".to_owned()),
        PublishError::NotAnnounced => (Kind::Busy, "not_announced".to_owned()),
    };
    ServiceError::new(kind, code, error.to_string(), "publish a card with a higher sequence, signed by the agent's key")
}

/// The newest card of an agent.
///
/// # Errors
/// `unknown_card`.
pub fn get(node: &Node, agent: AgentId) -> Result<CardView, ServiceError> {
    let entry = node.mesh().agent_card(&agent).ok_or_else(|| ServiceError::not_found("card", agent))?;
    Ok(view(node, &entry))
}

/// All cards, in the order of agents.
pub fn all(node: &Node) -> Vec<CardView> {
    node.mesh().agent_cards().iter().map(|entry| view(node, entry)).collect()
}

/// Agents that offer a capability, of one domain if it is named.
///
/// # Errors
/// `bad_capability`.
pub fn discover(node: &Node, capability: &str, domain: Option<DomainId>) -> Result<Discovered, ServiceError> {
    Capability::new(capability)
        .map_err(|_| ServiceError::bad_input("bad_capability", format!("`{capability}` is no capability")))?;
    let found = node.mesh().search(capability);
    let of_domain = |entry: &&CardEntry<AgentCard>| domain.is_none_or(|domain| entry.card.get().home == domain);
    let agents: Vec<CardView> = found.hits.iter().filter(of_domain).map(|entry| view(node, entry)).collect();
    let (status, detail) = match (agents.is_empty(), found.completeness) {
        (false, _) => ("found", "newest cards of their owners"),
        (true, Completeness::Synced) => ("not_found", "every neighbour was asked for all its cards: there is none"),
        (true, Completeness::NotYetSynced) => ("not_yet_synced", "not every neighbour was asked yet: ask again"),
    };
    Ok(Discovered { status, detail, agents })
}

/// What `of` makes of each card that is neither retired nor expired: of those that go to everybody, or of all. In the order
/// of agents.
pub fn ranked<T>(node: &Node, all: bool, mut of: impl FnMut(&AgentCard) -> Option<T>) -> Vec<(T, AgentId)> {
    let now_ms = comity_runtime::wall_ms();
    let of = |entry: &CardEntry<AgentCard>| {
        let card = entry.card.get();
        let counts = !card.retired && !entry.is_stale(now_ms);
        if counts { of(card).map(|made| (made, card.agent)) } else { None }
    };
    let found = if all { node.mesh().of_agent_cards(of) } else { node.mesh().of_cards_for_everybody(of) };
    found.into_iter().flatten().collect()
}

fn view(node: &Node, entry: &CardEntry<AgentCard>) -> CardView {
    let card = entry.card.get();
    let now_ms = comity_runtime::wall_ms();
    // The ledger is asked, not the card's entry: a treaty may have come after the card.
    let (home_name, home_known) = node.replica().read_stale(|ledger, _| {
        let treaty = ledger.may_trade(&card.home, false).is_ok();
        (name_of(ledger, &card.home), treaty || ledger.is_home(&card.home))
    });
    CardView {
        agent: card.agent,
        home: card.home,
        home_name,
        key: card.key,
        name: card.name.to_string(),
        description: card.description.to_string(),
        capabilities: card.capabilities.iter().map(ToString::to_string).collect(),
        price: card.price.map(|price| Minor(price.amount)),
        price_code: card.price.map(|price| price.asset.code),
        price_issuer: card.price.map(|price| price.asset.issuer),
        sequence: card.sequence,
        public: card.public,
        path: path(&entry.path),
        hops: hops(&entry.path),
        forwarded_by: match entry.path {
            Path::Bridged { gateway, .. } => Some(gateway),
            _ => None,
        },
        verified_by: verified_by(&entry.verified_by),
        custody: super::custody::word(card.custodial),
        age_ms: now_ms.saturating_sub(entry.first_heard_ms),
        stale: entry.is_stale(now_ms),
        home_known,
    }
}

fn path(path: &Path) -> String {
    match path {
        Path::Local => "local".to_owned(),
        Path::FirstHand(node) => format!("first hand from {}", short(node)),
        Path::Relayed(node) => format!("through {}", short(node)),
        Path::Bridged { by, .. } => format!("bridged by {}", short(by)),
        Path::Stored => "stored".to_owned(),
    }
}

/// Of gossip and repair nobody counts the nodes on the way, and they stay in one mesh.
const fn hops(path: &Path) -> Option<u32> {
    match path {
        Path::Local | Path::FirstHand(_) => Some(0),
        Path::Bridged { hops, .. } => Some(*hops),
        Path::Relayed(_) | Path::Stored => None,
    }
}

/// The last characters of a key: the first ones are the same for all.
fn short(key: &PublicKey) -> String {
    let text = key.to_string();
    text.get(text.len().saturating_sub(8)..).unwrap_or_default().to_owned()
}

const fn verified_by(by: &VerifiedBy) -> &'static str {
    match by {
        VerifiedBy::OwnFirstKey => "the agent's first key",
        VerifiedBy::HomeAttestation => "a voter of its home",
        VerifiedBy::PinnedKey => "a pinned key",
    }
}
