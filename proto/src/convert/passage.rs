//! Passages of cards through gateways.

use super::put;
use crate::{
    envelope::{Context, Signed},
    ids::{DomainId, Hash, PublicKey},
    limits as l,
    passage::{HOPS_MAX, Passage},
    reject::{Reject, within},
    strict::{self, array},
    wire,
};
use bytes::Bytes;
use prost::Message as _;

impl Signed for Passage {
    const CONTEXT: Context = Context::Passage;
    const PAYLOAD_BYTES_MAX: usize = l::PASSAGE_BYTES_MAX;
    const LIMIT: &'static str = "passage_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::Passage {
            card: put(&self.card.0),
            home: put(&self.home.0),
            gateway: put(&self.gateway.0),
            node: put(&self.node.0),
            to: put(&self.to.0),
            hops: self.hops,
            passed_at_ms: self.passed_at_ms,
            certificate: self.certificate.clone(),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Passage, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::Passage = strict::decode(payload)?;
        within(wire.certificate.len(), l::CERTIFICATE_BYTES_MAX, "certificate_bytes")?;
        if !(1..=HOPS_MAX).contains(&wire.hops) {
            return Err(Reject::OutOfRange { field: "hops" });
        }
        Ok(Passage {
            card: Hash(array(&wire.card, "card")?),
            home: DomainId(array(&wire.home, "home")?),
            gateway: DomainId(array(&wire.gateway, "gateway")?),
            node: PublicKey(array(&wire.node, "node")?),
            to: DomainId(array(&wire.to, "to")?),
            hops: wire.hops,
            passed_at_ms: wire.passed_at_ms,
            certificate: wire.certificate,
        })
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if self.node == *key { Ok(()) } else { Err(Reject::WrongSigner) }
    }
}
