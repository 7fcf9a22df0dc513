//! How an adversary shows itself: which key and certificate it comes with.

use bytes::Bytes;
use comity_node::{
    founding::{DomainKeys, fresh_key},
    home::voter,
    mesh::{Identity, MeshConfig, MeshHandle, Multiaddr, Relation, Trust, TrustedDomain, peer, secured},
};
use comity_proto::{keys::SecretKey, text::AgentString};

use super::{Adversary, Play};
use crate::{
    hosts::{Stolen, mesh_of},
    net::FalseTcp,
};

/// Of the certificate of a stolen key; above those of the founding.
pub(super) const STOLEN_SERIAL: u64 = 79;

pub(super) struct Face {
    /// Its node key.
    pub(super) key: SecretKey,
    /// A domain of its own, that nobody knows.
    pub(super) own: DomainKeys,
    /// An agent of its own.
    pub(super) agent: SecretKey,
    identity: Identity,
}

impl Face {
    pub(super) fn of(adversary: &Adversary) -> Face {
        let own = DomainKeys::fresh();
        let now_ms = comity_runtime::wall_ms();
        let (key, domain, certificate, roster) = match adversary.play {
            Play::WrongDomain => {
                let key = fresh_key();
                // Signed by the wrong key: the certificate names the target, whose key it is not.
                let forged = comity_proto::identity::NodeCertificate {
                    domain: adversary.target.id(),
                    node: key.public(),
                    roles: voter(),
                    not_before_ms: now_ms.saturating_sub(1_000),
                    not_after_ms: now_ms.saturating_add(1_000_000),
                    serial: 1,
                };
                let certificate = comity_proto::envelope::Signed::seal(&forged, &own.root);
                (key, adversary.target.id(), certificate, adversary.target.roster.clone())
            }
            Play::Twin => {
                let host = adversary.target.hosts[adversary.target.hosts.len() - 1];
                let key = adversary.hosts.with(host, |machine| machine.key.clone());
                let certificate = adversary.target.keys.certify(key.public(), voter(), 77, now_ms);
                (key, adversary.target.id(), certificate, adversary.target.roster.clone())
            }
            Play::StolenKey => {
                let key = fresh_key();
                let certificate = adversary.peer.keys.certify(key.public(), voter(), STOLEN_SERIAL, now_ms);
                let stolen = Stolen { domain: adversary.certifies, key: key.public(), serial: STOLEN_SERIAL };
                adversary.hosts.is_stolen(stolen);
                (key, adversary.peer.id(), certificate, adversary.peer.roster.clone())
            }
            _ => {
                let key = fresh_key();
                let certificate = adversary.peer.keys.certify(key.public(), voter(), 78, now_ms);
                (key, adversary.peer.id(), certificate, adversary.peer.roster.clone())
            }
        };
        let identity = Identity { domain: Some(domain), certificate, roster };
        Face { key, own, agent: fresh_key(), identity }
    }

    /// Greets every host of the universe.
    pub(super) async fn mesh(&self, adversary: &Adversary) -> Option<MeshHandle> {
        let keypair = peer::libp2p_keypair(&self.key.seed()).ok()?;
        let transport = secured(FalseTcp::new(&adversary.hosts.network, adversary.host), &keypair).ok()?;
        let mut trust = Trust::default();
        for domain in [&adversary.target, &adversary.peer] {
            let trusted = TrustedDomain::first(domain.keys.root.first(), Relation::Peer);
            trust.domains.insert(domain.id(), trusted);
        }
        let agent = AgentString::new("comity/0").ok()?;
        let mut config = MeshConfig::new(self.key.clone(), agent, self.identity.clone(), trust, transport);
        config.listen = vec![multiaddr(adversary.host)];
        config.bootstrap = (0..adversary.hosts.count()).map(multiaddr).collect();
        MeshHandle::start(config).await.ok()
    }
}

pub(super) fn multiaddr(host: crate::world::HostId) -> Multiaddr {
    comity_node::address::of_socket(mesh_of(host))
}

/// Bytes of a lie with one bit turned over.
pub(super) fn turned(envelope: &Bytes, bit: u64) -> Bytes {
    let mut bytes = envelope.to_vec();
    if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
        *byte ^= 1 << (bit % 8);
    }
    Bytes::from(bytes)
}
