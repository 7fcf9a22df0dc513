//! One node, composed: disk, mesh, replica, task desk, settlement and the door tokens.
//!
//! Start order matters: the disk is locked first, the mesh before the replica (which speaks through it), and what
//! executes effects last. Stopping goes the other way round.

mod found;

use crate::{
    address,
    bridge::{self, Bridge},
    custody::Custody,
    doors::a2a,
    drift::{self, Drifts},
    home::Home,
    join::JoinDesk,
    keyring::revocation::Revoked,
    mesh::{CardStore, Identity, MemberKeys, MeshConfig, MeshHandle, MeshLinks, MeshTransport},
    metrics::Metrics,
    registry::{self, Shown},
    service::{
        delegate::{self, Delegations},
        endpoints::{self, Endpoints},
        error::{Kind, ServiceError},
        principal::Tokens,
        webhooks::{self, Outlets},
    },
    settle::{budget::Budgets, lanes::Traffic, outbox},
    spiffe::current::Svids,
    storage::{cards::DiskCards, layout::DataDir},
    tasks::desk::Desk,
    trust,
    witness::{self, Memory},
};
use bytes::Bytes;
use comity_proto::{
    ids::{DomainId, Hash, PublicKey},
    keys::SecretKey,
    text::AgentString,
};
use comity_replica::{NodeInfo, Replica, ReplicaConfig};
use comity_runtime::disk::{Disk, DiskStats};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::sync::watch;

/// A running node.
pub struct Node {
    home: Home,
    replica: Replica,
    mesh: MeshHandle,
    desk: Arc<Desk>,
    tokens: Tokens,
    join: JoinDesk,
    memory: Arc<Memory>,
    shown: Shown,
    budgets: Budgets,
    traffic: Arc<Traffic>,
    metrics: Metrics,
    drifts: Drifts,
    bridge: Bridge,
    /// Envelope of the certificate in use.
    certificate: Mutex<Bytes>,
    /// The operator's key in use, where another one took its place since the start.
    operator: Mutex<Option<SecretKey>>,
    /// Whether the data directory has another key for this node.
    rekeyed: watch::Sender<bool>,
    /// Keys of agents that cannot sign; none without a data directory.
    custody: Option<Arc<Custody>>,
    svids: Svids,
    revoked: Mutex<Revoked>,
    a2a: a2a::State,
    outlets: Outlets,
    delegations: Delegations,
    endpoints: Endpoints,
    disk: Arc<dyn Disk>,
    data: Option<DataDir>,
}

/// Raft's number for a node: from its key, so that nobody hands numbers out.
pub fn raft_id(key: &PublicKey) -> u64 {
    let hash = Hash::of_parts("comity/v1/raft-id", &[&key.0, &0_u64.to_be_bytes()]);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.0[..8]);
    u64::from_be_bytes(first)
}

impl Node {
    /// Starts everything on real disks and sockets.
    ///
    /// # Errors
    /// `data_directory_in_use`, `port_taken`, and whatever keeps a part from starting; then nothing runs.
    pub async fn start(home: Home) -> Result<Arc<Node>, ServiceError> {
        let keypair = crate::mesh::peer::libp2p_keypair(&home.node.seed()).map_err(|error| cannot("mesh", &error))?;
        let transport = crate::mesh::tcp_dns_transport(&keypair).map_err(|error| cannot("mesh", &error))?;
        Node::start_over(home, transport).await
    }

    /// Starts over the given network.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start_over(home: Home, transport: MeshTransport) -> Result<Arc<Node>, ServiceError> {
        let data = DataDir::open(&home.dir).map_err(|error| {
            let next = "stop the other process, or name another directory with --data";
            ServiceError::new(Kind::Conflict, "data_directory_unusable", error.to_string(), next)
        })?;
        let disk: Arc<dyn Disk> = Arc::new(data.ledger_disk().map_err(|error| cannot("disk", &error))?);
        Node::start_on(home, transport, disk, Some(data)).await
    }

    /// Starts over the given network and disk. `data` is kept locked while the node runs; a disk of its own kind needs
    /// none.
    ///
    /// # Errors
    /// As [`Node::start`].
    // Boxed here, so that the whole node is compiled once, in this crate.
    #[inline(never)]
    pub fn start_on(
        home: Home,
        transport: MeshTransport,
        disk: Arc<dyn Disk>,
        data: Option<DataDir>,
    ) -> BoxFuture<'static, Result<Arc<Node>, ServiceError>> {
        Box::pin(Node::begin(home, transport, disk, data))
    }

    async fn begin(
        home: Home,
        transport: MeshTransport,
        disk: Arc<dyn Disk>,
        data: Option<DataDir>,
    ) -> Result<Arc<Node>, ServiceError> {
        let rules = bridge::Rules::of(&home)?;
        let cards = DiskCards::open(&disk).map_err(|error| cannot("cards", &error))?;
        let mesh = start_mesh(&home, transport, Arc::new(cards), !rules.is_empty()).await?;
        let links = MeshLinks::new(mesh.clone(), home.domain());
        let keys = links.keys();
        let replica = Replica::open(replica_config(&home), Arc::new(links), disk.clone()).await.map_err(|error| {
            let next = "see ARCHITECTURE.md, recovery: a damaged log is wiped and the node joins again";
            ServiceError::new(Kind::Internal, "log_unreadable", error.to_string(), next)
        })?;
        let tokens = Tokens::new(&home.operator_token, &home.admission_token, comity_runtime::wall_ms());
        let custody = match &data {
            Some(data) => {
                let (custody, accounts) = Custody::of(data.root()).map_err(|error| cannot("custody", &error))?;
                tokens.keep_all(accounts);
                Some(Arc::new(custody))
            }
            None => None,
        };
        let outlets = Outlets::of(data.as_ref().map(DataDir::root)).map_err(|error| cannot("webhooks", &error))?;
        let delegations =
            Delegations::of(data.as_ref().map(DataDir::root)).map_err(|error| cannot("delegations", &error))?;
        let endpoints = Endpoints::of(data.as_ref().map(DataDir::root)).map_err(|error| cannot("endpoints", &error))?;
        let join = JoinDesk::on(disk.clone()).map_err(|error| cannot("disk", &error))?;
        let (shown, certificate) = (Shown::new(home.profile.clone()), Mutex::new(home.certificate.clone()));
        let revoked = revoked_at_start(&home);
        let node = Arc::new(Node {
            home,
            replica,
            mesh,
            desk: Arc::default(),
            tokens,
            join,
            memory: Memory::on(disk.clone()),
            shown,
            budgets: Budgets::default(),
            traffic: Arc::default(),
            metrics: Metrics::starting(),
            drifts: Drifts::default(),
            bridge: Bridge::of(rules),
            certificate,
            operator: Mutex::default(),
            rekeyed: watch::Sender::new(false),
            custody,
            svids: Svids::default(),
            revoked,
            a2a: a2a::State::default(),
            outlets,
            delegations,
            endpoints,
            disk,
            data,
        });
        node.serve_mesh();
        node.tend(keys);
        Ok(node)
    }

    /// Everything that goes on by itself from now on.
    fn tend(self: &Arc<Self>, keys: MemberKeys) {
        let node = self;
        comity_runtime::spawn(found::found(node.clone()));
        comity_runtime::spawn(trust::watch(node.clone(), keys));
        comity_runtime::spawn(crate::join::tend(node.clone()));
        comity_runtime::spawn(crate::treaty::tend(node.clone()));
        comity_runtime::spawn(drift::run(node.clone()));
        comity_runtime::spawn(bridge::run(node.clone()));
        comity_runtime::spawn(registry::tend(node.clone()));
        let every = Duration::from_secs(node.home.config.witness_every_s);
        if !every.is_zero() {
            comity_runtime::spawn(witness::run(node.clone(), every));
        }
        webhooks::resume(node);
        endpoints::resume(node);
        delegate::resume(node);
        comity_runtime::spawn(outbox::run(node.outbox()));
    }

    fn outbox(&self) -> outbox::Outbox {
        let (replica, mesh, key) = (self.replica.clone(), self.mesh.clone(), self.home.node.clone());
        let (ways, traffic) = (self.bridge.ways.clone(), self.traffic.clone());
        outbox::Outbox { replica, mesh, ways, traffic, key, domain: self.domain() }
    }

    /// What partners may waste.
    pub(crate) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Partners that are not heard for a while, because what they said changed nothing, again and again; and for how long.
    pub(crate) fn not_heard(&self) -> Vec<(DomainId, Duration)> {
        self.budgets.not_heard(comity_runtime::now())
    }

    /// How words to its partners go.
    pub(crate) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// What is counted for whoever watches it.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The domain that it belongs to.
    pub fn domain(&self) -> DomainId {
        self.home.domain()
    }

    /// What it was started with.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Its replica.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// What its disk did since the start: flushes and bytes.
    pub fn disk_stats(&self) -> DiskStats {
        self.disk.stats()
    }

    /// Its mesh.
    pub fn mesh(&self) -> &MeshHandle {
        &self.mesh
    }

    /// Its tasks.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Its door tokens.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Its invitations to join.
    pub fn join(&self) -> &JoinDesk {
        &self.join
    }

    /// Where its peers and it disagree about each other.
    pub(crate) fn drifts(&self) -> &Drifts {
        &self.drifts
    }

    /// Its ends of bridges between meshes.
    pub(crate) fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// Whether words to a domain have a way: a node of it is connected, or a gateway leads to it.
    pub(crate) fn reaches(&self, domain: &DomainId) -> bool {
        !self.mesh.nodes_of(domain).is_empty() || self.bridge.ways.lead_to(domain, &self.mesh)
    }

    /// What it keeps as a witness of its peers.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// What it shows of its domain.
    pub(crate) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// Keys of agents that cannot sign.
    pub(crate) fn custody(&self) -> Option<&Arc<Custody>> {
        self.custody.as_ref()
    }

    /// Where its files are, besides the ledger's disk; nowhere when it was started on a disk of another kind.
    pub(crate) fn data_dir(&self) -> Option<&Path> {
        self.data.as_ref().map(DataDir::root)
    }

    /// Certificates that their domains have taken back.
    pub(crate) fn revoked(&self) -> &Mutex<Revoked> {
        &self.revoked
    }

    /// Where its events go.
    pub(crate) fn outlets(&self) -> &Outlets {
        &self.outlets
    }

    /// Work that it hands out for agents.
    pub(crate) fn delegations(&self) -> &Delegations {
        &self.delegations
    }

    /// Servers of agents to which it hands their tasks.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What its A2A door holds.
    pub(crate) fn a2a(&self) -> &a2a::State {
        &self.a2a
    }

    /// What it shows of SPIFFE.
    pub(crate) fn svids(&self) -> &Svids {
        &self.svids
    }

    /// The envelope of the certificate in use.
    pub(crate) fn certificate(&self) -> Bytes {
        self.certificate.lock().clone()
    }

    /// Shows another certificate of the same node from now on, to every neighbour at once.
    pub(crate) async fn show_certificate(&self, certificate: Bytes) {
        *self.certificate.lock() = certificate.clone();
        let roster = self.replica.read_stale(|ledger, _| ledger.domain().map(|domain| domain.roster.clone()));
        let roster = roster.unwrap_or_else(|| self.home.roster.clone());
        self.mesh.set_identity(Identity { domain: Some(self.domain()), certificate, roster }).await;
    }

    /// The operator's key, if another one took the place of that which the node was started with.
    pub(crate) fn operator_key(&self) -> Option<SecretKey> {
        self.operator.lock().clone()
    }

    /// Signs as the operator with this key from now on.
    pub fn set_operator_key(&self, key: SecretKey) {
        *self.operator.lock() = Some(key);
    }

    /// The data directory has another key for this node: it ends, to be started again with it.
    pub(crate) fn begin_rekeying(&self) {
        self.rekeyed.send_replace(true);
    }

    /// Tells when that is so.
    pub(crate) fn rekeyed(&self) -> watch::Receiver<bool> {
        self.rekeyed.subscribe()
    }

    /// Raft's number for its place.
    pub fn raft_id(&self) -> u64 {
        raft_id(&self.home.place)
    }

    /// The key that the voter at this place signs with now.
    pub(crate) fn key_at(&self, place: &PublicKey) -> PublicKey {
        let keys = self.replica.read_stale(|ledger, _| {
            let record = ledger.domain()?.node_keys(place)?;
            Some(record.active)
        });
        keys.unwrap_or(*place)
    }

    /// Its key: it signs what the node says for its domain.
    pub fn key(&self) -> &SecretKey {
        &self.home.node
    }

    /// What a person sees at the start.
    pub fn greeting(&self) -> String {
        let config = &self.home.config;
        format!(
            "domain {} {}\nREST   http://{}/api/v1   (token in {})\nmesh   {}\nnext   comity status",
            config.domain,
            self.domain(),
            config.http,
            self.home.dir.join("api.token").display(),
            config.mesh
        )
    }

    /// Says good-bye to the mesh and stops taking part; what was acknowledged is on the disk.
    pub async fn stop(&self) {
        self.mesh.leave().await;
        self.replica.shutdown().await;
    }
}

fn revoked_at_start(home: &Home) -> Mutex<Revoked> {
    let mut revoked = Revoked::default();
    if let Some(list) = &home.revocations {
        revoked.offer(&home.domain(), list);
    }
    Mutex::new(revoked)
}

fn cannot(part: &str, error: &dyn std::fmt::Display) -> ServiceError {
    ServiceError::new(
        Kind::Internal,
        format!("cannot_start_{part}"),
        error.to_string(),
        "mend what it names, start again",
    )
}

fn replica_config(home: &Home) -> ReplicaConfig {
    // Members know each other by their places; the links know which key that is now.
    let key = home.place;
    let info = NodeInfo { key, addresses: vec![address::of_socket(home.config.mesh).to_string()] };
    let timing = home.config.raft;
    ReplicaConfig {
        heartbeat: Duration::from_millis(timing.heartbeat_ms),
        election_min: Duration::from_millis(timing.election_min_ms),
        election_max: Duration::from_millis(timing.election_max_ms),
        segment_bytes: home.config.log.segment_bytes,
        snapshot_every: home.config.log.snapshot_every,
        keep_entries: home.config.log.keep_entries,
        ..ReplicaConfig::new(raft_id(&key), info)
    }
}

async fn start_mesh(
    home: &Home,
    transport: MeshTransport,
    cards: Arc<dyn CardStore>,
    separates: bool,
) -> Result<MeshHandle, ServiceError> {
    let identity =
        Identity { domain: Some(home.domain()), certificate: home.certificate.clone(), roster: home.roster.clone() };
    let mut config = MeshConfig::new(home.node.clone(), agent_string(), identity, trust::own(home), transport);
    config.listen = vec![address::of_socket(home.config.mesh)];
    config.bootstrap = home.config.bootstrap.iter().map(|text| address::parse(text)).collect::<Result<_, _>>()?;
    config.mdns = home.config.mdns;
    config.separates = separates;
    config.store = Some(cards);
    let mesh_address = home.config.mesh;
    MeshHandle::start(config).await.map_err(|error| {
        let detail = format!("cannot listen on {mesh_address} (mesh): {error}");
        let next = "stop the other program, or choose another address with --mesh or in config.toml";
        ServiceError::new(Kind::Conflict, "port_taken", detail, next)
    })
}

/// Program and version, as told in a hello.
pub(crate) fn agent_string() -> AgentString {
    // The package's own name and version are printable ASCII within the limit.
    AgentString::new(concat!("comity/", env!("CARGO_PKG_VERSION"))).expect("a short printable text")
}
