use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::card::AgentCard;
use comity_proto::envelope::Signed as _;
use comity_proto::export::{Audience, ExportRule, Exports};
use comity_proto::identity::{NodeCertificate, Roles, Roster};
use comity_proto::ids::{AgentId, DomainId};
use comity_proto::keys::SecretKey;
use comity_proto::text::{AgentString, Capability, Description, Nickname};
use comity_runtime as runtime;
use libp2p::Multiaddr;
use parking_lot::Mutex;

use crate::mesh::store::{CardChange, CardStore, StoredCard};
use crate::mesh::{Identity, MeshConfig, MeshHandle, Relation, Trust, TrustedDomain, peer, tcp_transport};

pub(super) const HOUR_MS: u64 = 3_600_000;

/// Runs a test to its end. The limit is for one that would wait for ever: it is no claim about speed.
pub(super) fn run(test: impl Future<Output = ()>) {
    let tokio = crate::runtime::tests_world();
    tokio.block_on(async { runtime::timeout(Duration::from_secs(600), test).await.expect("a test takes too long") });
}

/// Waits until `holds`, at most `limit`; tells how long it took.
pub(super) async fn until(what: &str, limit: Duration, holds: impl Fn() -> bool) -> Duration {
    let started = runtime::now();
    while !holds() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        runtime::sleep(Duration::from_millis(2)).await;
    }
    started.elapsed()
}

/// How long a condition may take on a machine that is busy with other things; a condition, never a time, is waited for.
pub(super) const SOON: Duration = Duration::from_secs(90);

pub(super) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

pub(super) struct Domain {
    pub(super) root: SecretKey,
    pub(super) id: DomainId,
}

pub(super) fn domain(seed: u8) -> Domain {
    let root = key(seed);
    Domain { id: DomainId::of_key(&root.public()), root }
}

impl Domain {
    pub(super) fn certificate(&self, node: &SecretKey) -> NodeCertificate {
        let now_ms = runtime::wall_ms();
        NodeCertificate {
            domain: self.id,
            node: node.public(),
            roles: Roles { voter: true, learner: false, gateway: true },
            not_before_ms: now_ms - HOUR_MS,
            not_after_ms: now_ms + HOUR_MS,
            serial: 1,
        }
    }

    pub(super) fn roster(&self, epoch: u64, voters: &[&SecretKey]) -> Bytes {
        let mut voters: Vec<_> = voters.iter().map(|voter| voter.public()).collect();
        voters.sort();
        Roster { domain: self.id, epoch, voters, seats: vec![] }.seal(&self.root)
    }

    pub(super) fn identity(&self, node: &SecretKey) -> Identity {
        Identity {
            domain: Some(self.id),
            certificate: self.certificate(node).seal(&self.root),
            roster: self.roster(1, &[node]),
        }
    }
}

pub(super) fn stranger() -> Identity {
    Identity { domain: None, certificate: Bytes::new(), roster: Bytes::new() }
}

pub(super) fn trust(domains: &[(&Domain, Relation)]) -> Trust {
    let pinned =
        |(domain, relation): &(&Domain, Relation)| (domain.id, TrustedDomain::first(domain.root.public(), *relation));
    Trust { domains: domains.iter().map(pinned).collect(), ..Trust::default() }
}

pub(super) fn config(key: &SecretKey, identity: Identity, trust: Trust) -> MeshConfig {
    let keypair = peer::libp2p_keypair(&key.seed()).expect("a seed is a key");
    let transport = tcp_transport(&keypair).expect("noise takes an ed25519 key");
    let agent = AgentString::new("comity/test").expect("printable");
    let mut config = MeshConfig::new(key.clone(), agent, identity, trust, transport);
    config.exports = Exports::from_iter([ExportRule::all(Audience::Everyone)]);
    config.listen = vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")];
    config
}

pub(super) async fn start(config: MeshConfig) -> MeshHandle {
    let mesh = MeshHandle::start(config).await.expect("it starts");
    until("listening", SOON, || !mesh.listening().is_empty()).await;
    mesh
}

pub(super) async fn start_at(mut config: MeshConfig, bootstrap: &[Multiaddr]) -> MeshHandle {
    config.bootstrap = bootstrap.to_vec();
    start(config).await
}

/// The standing of `of` in the eyes of `eyes`; `"absent"` when not connected.
pub(super) fn standing(eyes: &MeshHandle, of: &MeshHandle) -> &'static str {
    let neighbours = eyes.neighbours();
    neighbours.iter().find(|view| view.node == of.node()).map_or("absent", |view| view.standing.name())
}

/// What `by` said that it takes `of` for.
pub(super) fn taken_for(of: &MeshHandle, by: &MeshHandle) -> Option<String> {
    of.neighbours().into_iter().find(|view| view.node == by.node()).and_then(|view| view.takes_us_for)
}

pub(super) async fn see_each_other(one: &MeshHandle, other: &MeshHandle) {
    let judged = |eyes, of| !matches!(standing(eyes, of), "absent" | "unjudged");
    until("both judged", SOON, || judged(one, other) && judged(other, one)).await;
}

pub(super) fn count(mesh: &MeshHandle, name: &str) -> u64 {
    mesh.counters().get(name).copied().unwrap_or(0)
}

pub(super) fn card_of(agent: &SecretKey, home: DomainId, sequence: u64) -> AgentCard {
    let now_ms = runtime::wall_ms();
    AgentCard {
        agent: AgentId::of_key(&agent.public()),
        home,
        key: agent.public(),
        name: Nickname::new("counter").expect("short"),
        description: Description::new("counts words").expect("short"),
        capabilities: vec![Capability::new("text.statistics").expect("a capability")],
        price: None,
        accepts: Default::default(),
        sequence,
        issued_at_ms: now_ms,
        expires_at_ms: now_ms + HOUR_MS,
        retired: false,
        public: true,
        custodial: false,
        attestation: Bytes::new(),
    }
}

pub(super) fn id_of(agent: &SecretKey) -> AgentId {
    AgentId::of_key(&agent.public())
}

/// The sequence of the card that a node has of an agent.
pub(super) fn sequence_at(mesh: &MeshHandle, agent: &SecretKey) -> Option<u64> {
    mesh.agent_card(&id_of(agent)).map(|entry| entry.rank.sequence)
}

/// A store that outlives a mesh.
#[derive(Default)]
pub(super) struct MemoryStore(pub(super) Mutex<Vec<CardChange>>);

impl CardStore for Arc<MemoryStore> {
    fn load(&self) -> std::io::Result<Vec<StoredCard>> {
        let puts = |change: &CardChange| match change {
            CardChange::Put(card) => Some(card.clone()),
            CardChange::Remove(..) => None,
        };
        Ok(self.0.lock().iter().filter_map(puts).collect())
    }

    fn save(&self, changes: &[CardChange]) -> std::io::Result<()> {
        self.0.lock().extend_from_slice(changes);
        Ok(())
    }
}
