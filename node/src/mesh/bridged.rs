//! What a gateway between two meshes needs of the mesh, and those who hear from one. Who may pass what is not decided here.

use bytes::Bytes;
use comity_proto::card::{AgentCard, DomainCard};
use comity_proto::envelope::Signed as _;
use comity_proto::identity::NodeCertificate;
use comity_proto::ids::{DomainId, PublicKey};
use comity_proto::passage::Passage;
use comity_proto::planted::{Plant, planted};
use comity_runtime as runtime;

use super::certificate::judge;
use super::directory::CardRefused;
use super::handle::MeshHandle;
use super::peer;
use super::shelf::{Offer, Path};
use super::standing::Standing;
use super::store::CardKind;
use super::validate::{From, take_card};

impl MeshHandle {
    /// What a neighbour is to us; `None` when it is not connected.
    pub fn standing(&self, node: &PublicKey) -> Option<Standing> {
        self.shared().standing(&peer::peer_id(node)?)
    }

    /// Whether a neighbour's certificate, which holds, makes it a gateway of its domain.
    pub(crate) fn is_gateway(&self, node: &PublicKey) -> bool {
        let Some(peer) = peer::peer_id(node) else { return false };
        let neighbours = self.shared().neighbours.lock();
        let Some(neighbour) = neighbours.get(&peer).filter(|other| other.judged.standing.is_known()) else {
            return false;
        };
        NodeCertificate::open(&neighbour.certificate).is_ok_and(|certificate| certificate.get().roles.gateway)
    }

    /// Domains whose key is pinned here.
    pub(crate) fn pins(&self, domain: &DomainId) -> bool {
        self.shared().trust().pins(domain)
    }

    /// Whether the gateway that signed a passage is certified by a domain that we have a treaty with, now.
    pub(crate) fn vouches(&self, passage: &Passage) -> bool {
        let judged = judge(&passage.certificate, &passage.node, &self.shared().trust(), runtime::wall_ms());
        judged.standing == Standing::Peer { domain: passage.gateway } && passage.certified().is_ok()
    }

    /// Envelopes of cards of a home that a gateway may pass on.
    pub(crate) fn passable(&self, home: &DomainId) -> Vec<Bytes> {
        self.shared().directory.lock().passable(home, runtime::wall_ms())
    }

    /// Keeps a card that a neighbour brought from another mesh. Its passage has been judged.
    pub(crate) fn take_bridged(
        &self,
        from: &PublicKey,
        envelope: &Bytes,
        passage: &Passage,
    ) -> Result<Offer, CardRefused> {
        let Some(source) = peer::peer_id(from) else { return Err(CardRefused::NotShown) };
        let path = match planted(Plant::NoPassage) {
            true => Path::FirstHand(*from),
            false => Path::Bridged { by: passage.node, gateway: passage.gateway, hops: passage.hops },
        };
        let kind = if AgentCard::open(envelope).is_ok() { CardKind::Agent } else { CardKind::Domain };
        take_card(self.shared(), kind, envelope, From::Bridge(source, path))
    }
}

/// Whose home a card claims, if it is one; its signature is judged when it is taken.
pub(crate) fn home_of(envelope: &Bytes) -> Option<DomainId> {
    let agent = AgentCard::open(envelope).map(|card| card.get().home);
    agent.or_else(|_| DomainCard::open(envelope).map(|card| card.get().domain)).ok()
}
