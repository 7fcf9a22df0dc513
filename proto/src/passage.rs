//! What a gateway says about a card that it passes from one mesh to another.
//!
//! The card keeps its owner's signature; a passage adds who passed it, from whom, to whom and when. It proves nothing about
//! the card, and gives no right to anything: money goes only where two domains have a treaty of their own.

use crate::{
    envelope::{Signed as _, Verified},
    identity::NodeCertificate,
    ids::{DomainId, Hash, PublicKey},
    reject::Reject,
};
use bytes::Bytes;

/// Gateways that a card may pass: whoever had it from a gateway keeps it in its own mesh.
pub const HOPS_MAX: u32 = 1;

/// A gateway passed a card on. Context [`crate::envelope::Context::Passage`]; signed by the gateway's node key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// SHA-256 of the card's envelope.
    pub card: Hash,
    /// The home of the card, whose node gave it to the gateway.
    pub home: DomainId,
    /// The domain of the gateway.
    pub gateway: DomainId,
    /// The gateway; equals the signing key.
    pub node: PublicKey,
    /// To whom it was passed.
    pub to: DomainId,
    /// Gateways that the card has passed, this one included.
    pub hops: u32,
    /// By the gateway's clock, ms since the Unix epoch.
    pub passed_at_ms: u64,
    /// Envelope of the gateway's [`NodeCertificate`].
    pub certificate: Bytes,
}

impl Passage {
    /// The gateway's certificate, if it is one for this very node and domain, and makes it a gateway. Whether its domain's
    /// key is the pinned one, and whether it holds now, is for the caller.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn certified(&self) -> Result<Verified<NodeCertificate>, Reject> {
        let certificate = NodeCertificate::open(&self.certificate)?;
        let said = certificate.get();
        if said.node != self.node || said.domain != self.gateway {
            return Err(Reject::WrongSigner);
        }
        if said.roles.gateway { Ok(certificate) } else { Err(Reject::WrongKind { field: "roles" }) }
    }
}
