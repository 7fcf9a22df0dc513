//! Many mesh nodes of one domain on one false network.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use comity_node::{
    founding::DomainKeys,
    home::voter,
    mesh::{
        Identity, MemberState, MeshConfig, MeshEvent, MeshHandle, Multiaddr, Relation, Trust, TrustedDomain, peer,
        secured,
    },
};
use comity_proto::{
    export::{Audience, ExportRule, Exports},
    ids::{AgentId, PublicKey},
    keys::SecretKey,
    text::AgentString,
};
use comity_runtime as runtime;
use parking_lot::Mutex;

use super::graph::Graph;
use crate::{
    hosts::{address_of, mesh_of},
    net::{FalseTcp, LinkProfile, Network},
    world::{HostId, TimeNs, Universe},
};

/// Rare enough to be no load of their own.
const RARELY: Duration = Duration::from_secs(24 * 3_600);
/// Voters that the domain's roster names; the rest are members by certificate.
const VOTERS: usize = 3;

/// When a card arrived at a host.
type Arrivals = BTreeMap<AgentId, BTreeMap<HostId, TimeNs>>;

/// A node holds a member for something else than before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) at: TimeNs,
    pub(super) eyes: HostId,
    pub(super) of: PublicKey,
    pub(super) state: MemberState,
}

/// All nodes.
#[derive(Clone)]
pub(super) struct Nodes {
    pub(super) universe: Universe,
    pub(super) network: Network,
    keys: Arc<DomainKeys>,
    secrets: Arc<Vec<SecretKey>>,
    roster: Bytes,
    dials: Arc<Vec<Vec<usize>>>,
    running: Arc<Mutex<BTreeMap<HostId, MeshHandle>>>,
    arrivals: Arc<Mutex<Arrivals>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Whether members watch each other.
    is_watched: bool,
}

impl Nodes {
    /// Makes them all; none runs.
    pub(super) fn new(universe: &Universe, network: &Network, graph: &Graph, (loss, is_watched): (f64, bool)) -> Nodes {
        let _operator = runtime::enter(universe.world(0));
        let keys = DomainKeys::fresh();
        let secrets: Vec<SecretKey> = graph.dials.iter().map(|_| comity_node::founding::fresh_key()).collect();
        let voters: Vec<PublicKey> = secrets.iter().take(VOTERS).map(SecretKey::public).collect();
        for host in 0..secrets.len() as HostId {
            network.assign(mesh_of(host), host);
        }
        for (from, to, us) in graph.all_links() {
            let profile = LinkProfile { latency_us: us, jitter_us: 0, bandwidth: 0 };
            for (from, to) in [(from, to), (to, from)] {
                network.change(from as HostId, to as HostId, |_, link, _| {
                    link.profile = profile;
                    link.loss = loss;
                });
            }
        }
        let roster = keys.roster(1, &voters);
        Nodes {
            universe: universe.clone(),
            network: network.clone(),
            keys: Arc::new(keys),
            secrets: Arc::new(secrets),
            roster,
            dials: Arc::new(graph.dials.clone()),
            running: Arc::default(),
            arrivals: Arc::default(),
            seen: Arc::default(),
            is_watched,
        }
    }

    /// Switches a node on.
    pub(super) fn power_on(&self, host: HostId) {
        self.network.host_up(host);
        let nodes = self.clone();
        self.universe.spawn_on(host, async move {
            let Some(mesh) = nodes.start(host).await else { return };
            let mut events = mesh.events();
            nodes.running.lock().insert(host, mesh);
            while let Ok(event) = events.recv().await {
                let at = nodes.universe.now();
                match event {
                    MeshEvent::AgentCard { agent } => {
                        nodes.arrivals.lock().entry(agent).or_default().entry(host).or_insert(at);
                    }
                    MeshEvent::Member { node, state } => {
                        nodes.seen.lock().push(Seen { at, eyes: host, of: node, state });
                    }
                    _ => {}
                }
            }
        });
    }

    /// Takes a node away without a word.
    pub(super) fn power_off(&self, host: HostId) {
        self.network.host_down(host);
        let mesh = self.running.lock().remove(&host);
        self.universe.kill(host);
        let _inside = runtime::enter(self.universe.world(host));
        drop(mesh);
    }

    async fn start(&self, host: HostId) -> Option<MeshHandle> {
        let key = self.secrets[host as usize].clone();
        let domain = self.keys.domain();
        let certificate = self.keys.certify(key.public(), voter(), u64::from(host) + 1, runtime::wall_ms());
        let identity = Identity { domain: Some(domain), certificate, roster: self.roster.clone() };
        let mut trust = Trust::default();
        let own = TrustedDomain::first(self.keys.root.first(), Relation::Own);
        trust.domains.insert(domain, own);
        let keypair = peer::libp2p_keypair(&key.seed()).ok()?;
        let transport = secured(FalseTcp::new(&self.network, host), &keypair).ok()?;
        let agent = AgentString::new("comity/scale").ok()?;
        let mut config = MeshConfig::new(key, agent, identity, trust, transport);
        config.exports = Exports::from_iter([ExportRule::all(Audience::Everyone)]);
        config.listen = vec![multiaddr(host)];
        // Port 1: nobody listens there, so nobody learns a way past the graph.
        config.advertise = vec![format!("/ip4/{}/tcp/1", address_of(host)).parse().ok()?];
        config.bootstrap = self.dials[host as usize].iter().map(|other| multiaddr(*other as HostId)).collect();
        config.expected_nodes = self.secrets.len();
        // Cards are spread by gossip alone; members repair their tables as they do anywhere.
        if !self.is_watched {
            (config.heartbeat_every, config.member_ping_every) = (RARELY, RARELY);
            config.repair_every = (RARELY, RARELY);
        }
        match MeshHandle::start(config).await {
            Ok(mesh) => Some(mesh),
            Err(error) => {
                tracing::error!(host, %error, "a mesh node did not start");
                None
            }
        }
    }

    /// The mesh of a host that runs.
    pub(super) fn mesh(&self, host: HostId) -> Option<MeshHandle> {
        self.running.lock().get(&host).cloned()
    }

    /// Hosts that run.
    pub(super) fn running(&self) -> Vec<HostId> {
        self.running.lock().keys().copied().collect()
    }

    /// Connections of all running nodes, each counted at both ends.
    pub(super) fn connections(&self) -> usize {
        self.running.lock().values().map(|mesh| mesh.neighbours().len()).sum()
    }

    /// When a card arrived where.
    pub(super) fn arrivals(&self, agent: &AgentId) -> BTreeMap<HostId, TimeNs> {
        self.arrivals.lock().get(agent).cloned().unwrap_or_default()
    }

    /// What members were held for, and when that changed.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// The key of a host.
    pub(super) fn key(&self, host: HostId) -> PublicKey {
        self.secrets[host as usize].public()
    }

    /// The domain's id.
    pub(super) fn domain(&self) -> comity_proto::ids::DomainId {
        self.keys.domain()
    }
}

fn multiaddr(host: HostId) -> Multiaddr {
    let socket = mesh_of(host);
    // An IPv4 address and a port are a multiaddress.
    format!("/ip4/{}/tcp/{}", socket.ip(), socket.port()).parse().expect("an address of our own making")
}
