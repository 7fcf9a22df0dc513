//! Agent cards and domain cards.

use super::{asset, need, put};
use crate::{
    card::{AcceptedTerms, AgentCard, DomainCard, Owner, Price},
    envelope::{Context, Signed},
    identity::Roster,
    ids::{AgentId, DomainId, PublicKey},
    limits as l,
    reject::{Reject, within},
    scan,
    strict::{self, array},
    text::{Capability, Description, Endpoint, Nickname},
    wire,
};
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use prost::Message as _;

const CARD_PAYLOAD_MAX: usize = l::CARD_BYTES_MAX - l::ENVELOPE_OVERHEAD_BYTES;

/// A card lives at most so long.
fn life(issued_at_ms: u64, expires_at_ms: u64) -> Result<(), Reject> {
    match expires_at_ms.checked_sub(issued_at_ms) {
        Some(ms) if ms <= l::CARD_VALID_MAX_MS => Ok(()),
        Some(_) | None => Err(Reject::OutOfRange { field: "expires_at_ms" }),
    }
}

pub(super) fn endpoints(texts: &[String]) -> Result<Vec<Endpoint>, Reject> {
    texts.iter().map(|text| Endpoint::new(text)).collect()
}

pub(super) fn endpoint_texts(endpoints: &[Endpoint]) -> Vec<String> {
    endpoints.iter().map(|endpoint| endpoint.as_str().into()).collect()
}

impl From<&Owner> for wire::Owner {
    fn from(owner: &Owner) -> wire::Owner {
        let owner = match owner {
            Owner::Agent(agent) => wire::owner::Owner::Agent(put(&agent.0)),
            Owner::Domain(domain) => wire::owner::Owner::Domain(put(&domain.0)),
        };
        wire::Owner { owner: Some(owner) }
    }
}

impl TryFrom<wire::Owner> for Owner {
    type Error = Reject;
    fn try_from(owner: wire::Owner) -> Result<Owner, Reject> {
        match owner.owner.ok_or(Reject::WrongKind { field: "owner" })? {
            wire::owner::Owner::Agent(agent) => Ok(Owner::Agent(AgentId(array(&agent, "agent")?))),
            wire::owner::Owner::Domain(domain) => Ok(Owner::Domain(DomainId(array(&domain, "domain")?))),
        }
    }
}

impl Signed for AgentCard {
    const CONTEXT: Context = Context::AgentCard;
    const PAYLOAD_BYTES_MAX: usize = CARD_PAYLOAD_MAX;
    const LIMIT: &'static str = "card_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::AgentCard {
            agent: put(&self.agent.0),
            home: put(&self.home.0),
            key: put(&self.key.0),
            name: self.name.as_str().into(),
            description: self.description.as_str().into(),
            capabilities: self.capabilities.iter().map(|text| text.as_str().into()).collect(),
            price: self.price.as_ref().map(|p| wire::Price { asset: Some((&p.asset).into()), amount: p.amount }),
            accepts: Some(wire::AcceptedTerms {
                review_window_max_ms: self.accepts.review_window_max_ms,
                delivery_ms: self.accepts.delivery_ms,
                silence_releases: self.accepts.silence_releases,
            }),
            sequence: self.sequence,
            issued_at_ms: self.issued_at_ms,
            expires_at_ms: self.expires_at_ms,
            retired: self.retired,
            public: self.public,
            custodial: self.custodial,
            attestation: self.attestation.clone(),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<AgentCard, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        scan::at_most(payload, 6, l::CAPABILITIES_MAX, "capabilities")?;
        let wire: wire::AgentCard = strict::decode(payload)?;
        within(wire.attestation.len(), l::IDENTITY_BYTES_MAX, "identity_bytes")?;
        life(wire.issued_at_ms, wire.expires_at_ms)?;
        let accepts = need(wire.accepts, "accepts")?;
        let price = |price: wire::Price| Ok(Price { asset: asset(price.asset)?, amount: price.amount });
        Ok(AgentCard {
            agent: AgentId(array(&wire.agent, "agent")?),
            home: DomainId(array(&wire.home, "home")?),
            key: PublicKey(array(&wire.key, "key")?),
            name: Nickname::new(&wire.name)?,
            description: Description::new(&wire.description)?,
            capabilities: wire.capabilities.iter().map(|text| Capability::new(text)).collect::<Result<_, _>>()?,
            price: wire.price.map(price).transpose()?,
            accepts: AcceptedTerms {
                review_window_max_ms: accepts.review_window_max_ms,
                delivery_ms: accepts.delivery_ms,
                silence_releases: accepts.silence_releases,
            },
            sequence: wire.sequence,
            issued_at_ms: wire.issued_at_ms,
            expires_at_ms: wire.expires_at_ms,
            retired: wire.retired,
            public: wire.public,
            custodial: wire.custodial,
            attestation: wire.attestation,
        })
    }

    /// The card's own key, which is the agent's first key or attested by the home domain.
    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if self.key != *key {
            return Err(Reject::WrongSigner);
        }
        match self.attested()? {
            Some(_) => Ok(()),
            None if AgentId::of_key(key) == self.agent => Ok(()),
            None => Err(Reject::WrongSigner),
        }
    }
}

impl Signed for DomainCard {
    const CONTEXT: Context = Context::DomainCard;
    const PAYLOAD_BYTES_MAX: usize = CARD_PAYLOAD_MAX;
    const LIMIT: &'static str = "card_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::DomainCard {
            domain: put(&self.domain.0),
            key: put(&self.key.0),
            roster: self.roster.clone(),
            document: self.document.clone(),
            sequence: self.sequence,
            issued_at_ms: self.issued_at_ms,
            expires_at_ms: self.expires_at_ms,
            retired: self.retired,
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<DomainCard, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::DomainCard = strict::decode(payload)?;
        within(wire.roster.len(), l::ROSTER_BYTES_MAX, "roster_bytes")?;
        within(wire.document.len(), l::DOMAIN_DOCUMENT_BYTES_MAX, "domain_document_bytes")?;
        life(wire.issued_at_ms, wire.expires_at_ms)?;
        match (wire.retired, wire.document.is_empty()) {
            (false, true) => return Err(Reject::Missing { field: "document" }),
            (true, false) => return Err(Reject::OutOfRange { field: "document" }),
            _ => {}
        }
        Ok(DomainCard {
            domain: DomainId(array(&wire.domain, "domain")?),
            key: PublicKey(array(&wire.key, "key")?),
            roster: wire.roster,
            document: wire.document,
            sequence: wire.sequence,
            issued_at_ms: wire.issued_at_ms,
            expires_at_ms: wire.expires_at_ms,
            retired: wire.retired,
        })
    }

    /// The root key, or a voter of the roster inside, which the root key signed. A reader that knows a higher epoch
    /// still has to look the voter up there.
    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if DomainId::of_key(&self.key) != self.domain {
            return Err(Reject::WrongSigner);
        }
        if self.key == *key {
            return Ok(());
        }
        let roster = Roster::open(&self.roster)?;
        let lists = roster.get().domain == self.domain && roster.get().voters.contains(key);
        if lists { Ok(()) } else { Err(Reject::WrongSigner) }
    }
}
