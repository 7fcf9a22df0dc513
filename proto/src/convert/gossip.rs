//! Heartbeats, hellos and card repair.

use super::{
    card::{endpoint_texts, endpoints},
    need, put,
};
use crate::{
    card::Owner,
    envelope::{Context, Signed},
    gossip::{CardDigest, HELLO_VERSION, Heartbeat, Hello, Repair},
    ids::{DomainId, Hash, PublicKey},
    limits as l,
    reject::{Reject, within},
    scan,
    strict::{self, array},
    text::AgentString,
    wire::{self, repair::Message as Wire},
};
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message as _;

impl Signed for Heartbeat {
    const CONTEXT: Context = Context::Heartbeat;
    const PAYLOAD_BYTES_MAX: usize = l::HEARTBEAT_BYTES_MAX;
    const LIMIT: &'static str = "heartbeat_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::Heartbeat {
            node: put(&self.node.0),
            domain: put(&self.domain.0),
            sequence: self.sequence,
            addresses: endpoint_texts(&self.addresses),
            cards_digest: put(&self.cards_digest.0),
            cards_count: self.cards_count,
            clock_ms: self.clock_ms,
            leaving: self.leaving,
            certificate: self.certificate.clone(),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Heartbeat, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        scan::at_most(payload, 4, l::ENDPOINTS_MAX, "endpoints")?;
        let wire: wire::Heartbeat = strict::decode(payload)?;
        within(wire.certificate.len(), l::CERTIFICATE_BYTES_MAX, "certificate_bytes")?;
        Ok(Heartbeat {
            node: PublicKey(array(&wire.node, "node")?),
            domain: DomainId(array(&wire.domain, "domain")?),
            sequence: wire.sequence,
            addresses: endpoints(&wire.addresses)?,
            cards_digest: Hash(array(&wire.cards_digest, "cards_digest")?),
            cards_count: wire.cards_count,
            clock_ms: wire.clock_ms,
            leaving: wire.leaving,
            certificate: wire.certificate,
        })
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if self.node == *key { Ok(()) } else { Err(Reject::WrongSigner) }
    }
}

impl Hello {
    /// The one encoding.
    pub fn encode(&self) -> Bytes {
        let wire = wire::Hello {
            version: HELLO_VERSION,
            certificate: self.certificate.clone(),
            roster: self.roster.clone(),
            agent: self.agent.as_str().into(),
            addresses: endpoint_texts(&self.addresses),
        };
        wire.encode_to_vec().into()
    }

    /// Reads a hello. The version is looked at first: what a later version adds is `unknown_version`.
    pub fn decode(bytes: &Bytes) -> Result<Hello, Reject> {
        within(bytes.len(), l::HELLO_BYTES_MAX, "hello_bytes")?;
        scan::at_most(bytes, 5, l::ENDPOINTS_MAX, "endpoints")?;
        let wire: wire::Hello = strict::versioned(bytes, HELLO_VERSION, |hello: &wire::Hello| hello.version)?;
        within(wire.certificate.len(), l::CERTIFICATE_BYTES_MAX, "certificate_bytes")?;
        within(wire.roster.len(), l::ROSTER_BYTES_MAX, "roster_bytes")?;
        Ok(Hello {
            certificate: wire.certificate,
            roster: wire.roster,
            agent: AgentString::new(&wire.agent)?,
            addresses: endpoints(&wire.addresses)?,
        })
    }
}

impl Repair {
    /// The one encoding.
    pub fn encode(&self) -> Bytes {
        let message = match self {
            Repair::Ask { after } => Wire::Ask(wire::Ask { after: after.as_ref().map(wire::Owner::from) }),
            Repair::Digests { items, complete } => {
                let digest = |item: &CardDigest| wire::CardDigest {
                    owner: Some((&item.owner).into()),
                    sequence: item.sequence,
                    digest: put(&item.digest.0),
                };
                Wire::Digests(wire::Digests { items: items.iter().map(digest).collect(), complete: *complete })
            }
            Repair::Want { owners } => {
                Wire::Want(wire::Want { owners: owners.iter().map(wire::Owner::from).collect() })
            }
            Repair::Cards { cards } => Wire::Cards(wire::Cards { cards: cards.clone() }),
        };
        wire::Repair { message: Some(message) }.encode_to_vec().into()
    }

    /// Reads a repair message; the cards in it are slices, and still to be opened.
    pub fn decode(bytes: &Bytes) -> Result<Repair, Reject> {
        within(bytes.len(), l::REPAIR_BYTES_MAX, "repair_bytes")?;
        for (field, max, limit) in [
            (2, l::DIGESTS_MAX, "digests"),
            (3, l::CARDS_PER_REPLY_MAX, "owners"),
            (4, l::CARDS_PER_REPLY_MAX, "cards"),
        ] {
            scan::at_most_inside(bytes, field, 1, max, limit)?;
        }
        let wire: wire::Repair = strict::decode(bytes)?;
        match wire.message.ok_or(Reject::WrongKind { field: "repair" })? {
            Wire::Ask(ask) => Ok(Repair::Ask { after: ask.after.map(Owner::try_from).transpose()? }),
            Wire::Digests(page) => {
                let items = page.items.into_iter().map(card_digest).collect::<Result<Vec<_>, _>>()?;
                if !items.is_sorted_by(|a, b| a.owner < b.owner) {
                    return Err(Reject::OutOfRange { field: "digests" });
                }
                Ok(Repair::Digests { items, complete: page.complete })
            }
            Wire::Want(want) => {
                Ok(Repair::Want { owners: want.owners.into_iter().map(Owner::try_from).collect::<Result<_, _>>()? })
            }
            Wire::Cards(cards) => {
                cards.cards.iter().try_for_each(|card| within(card.len(), l::CARD_BYTES_MAX, "card_bytes"))?;
                Ok(Repair::Cards { cards: cards.cards })
            }
        }
    }
}

fn card_digest(item: wire::CardDigest) -> Result<CardDigest, Reject> {
    Ok(CardDigest {
        owner: need(item.owner, "owner")?.try_into()?,
        sequence: item.sequence,
        digest: Hash(array(&item.digest, "digest")?),
    })
}
