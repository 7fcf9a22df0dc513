//! What a mesh is started with.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::export::Exports;
use comity_proto::ids::DomainId;
use comity_proto::keys::SecretKey;
use comity_proto::text::AgentString;
use libp2p::Multiaddr;

use super::certificate::Trust;
use super::store::CardStore;
use super::transport::MeshTransport;

/// How this node shows itself to neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Our domain; `None` for a node that has not joined one yet.
    pub domain: Option<DomainId>,
    /// Our node certificate: an envelope by the domain's root key. Empty while we have none.
    pub certificate: Bytes,
    /// Our domain's roster: an envelope by its root key. Empty while there is none.
    pub roster: Bytes,
}

/// Settings and parts of a mesh.
pub struct MeshConfig {
    /// The node key: our peer id, and the signer of heartbeats.
    pub key: SecretKey,
    /// Program and version, told to neighbours for people to read.
    pub agent: AgentString,
    /// How we show ourselves.
    pub identity: Identity,
    /// Pinned domains, our own among them.
    pub trust: Trust,
    /// What cards of our domain others may be shown; nothing, unless told.
    pub exports: Exports,
    /// Addresses to listen on; port 0 lets the system choose.
    pub listen: Vec<Multiaddr>,
    /// Addresses to tell others instead of the ones listened on (behind a port mapping). Empty: those listened on.
    pub advertise: Vec<Multiaddr>,
    /// Addresses to dial until they answer, with or without a `/p2p/` part.
    pub bootstrap: Vec<Multiaddr>,
    /// The network: TCP with noise and yamux, or the simulator's.
    pub transport: MeshTransport,
    /// Keeps the meshes of its neighbours apart: cards and words about members of one domain are told to nobody of another
    /// one, and no gossip is carried on.
    pub separates: bool,
    /// Where cards survive a restart; `None` keeps them in memory.
    pub store: Option<Arc<dyn CardStore>>,
    /// How many nodes the mesh is expected to have: chooses gossip degrees.
    pub expected_nodes: usize,
    /// Looks for neighbours on the local network. Unauthenticated: only brings addresses to try.
    pub mdns: bool,
    /// No new connections while the process uses more memory than this; `None`: no such limit.
    pub memory_max_bytes: Option<usize>,
    /// Heartbeat of gossip itself.
    pub gossip_heartbeat: Duration,
    /// Round-trip measurement.
    pub ping_every: Duration,
    /// Our signed heartbeat to the members topic, in a small mesh.
    pub heartbeat_every: Duration,
    /// A quiet neighbour is pinged so often; all other times of failure detection follow from it.
    pub member_ping_every: Duration,
    /// Shortest and longest time between two repair rounds with one neighbour.
    pub repair_every: (Duration, Duration),
}

impl MeshConfig {
    /// Settings of a node that listens nowhere and knows nobody; set what differs.
    pub fn new(
        key: SecretKey,
        agent: AgentString,
        identity: Identity,
        trust: Trust,
        transport: MeshTransport,
    ) -> MeshConfig {
        MeshConfig {
            key,
            agent,
            identity,
            trust,
            exports: Exports::default(),
            listen: Vec::new(),
            advertise: Vec::new(),
            bootstrap: Vec::new(),
            transport,
            separates: false,
            store: None,
            expected_nodes: 10,
            mdns: false,
            memory_max_bytes: None,
            gossip_heartbeat: Duration::from_millis(700),
            ping_every: Duration::from_secs(15),
            heartbeat_every: super::limits::HEARTBEAT_EVERY,
            member_ping_every: super::limits::PING_EVERY,
            repair_every: super::limits::REPAIR_EVERY,
        }
    }
}
