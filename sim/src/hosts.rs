//! The machines of a universe: each has an address, a disk and, while it is up, a running node.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use comity_node::{
    config::{Config, Founder, RaftTiming},
    founding::{ASSET_CODE, DomainKeys, first_policy, fresh_key},
    home::{Home, voter},
    mesh::{peer, secured},
    node::Node,
    service::error::ServiceError,
};
use comity_proto::{
    amount::{AssetCode, AssetId},
    ids::{DomainId, PublicKey},
    keys::SecretKey,
};
use comity_runtime::disk::memory::{CrashPlan, MemoryDisk};
use parking_lot::Mutex;

use crate::{
    net::{FalseTcp, Network},
    world::{HostId, Kind, Universe},
};

/// Where every node's mesh listens.
const MESH_PORT: u16 = 7401;

/// The address of a host.
pub fn address_of(host: HostId) -> IpAddr {
    // Host 0 has address 10.0.0.1.
    IpAddr::V4(Ipv4Addr::from(0x0A00_0001 + host))
}

/// Where a host's mesh listens.
pub fn mesh_of(host: HostId) -> SocketAddr {
    SocketAddr::new(address_of(host), MESH_PORT)
}

/// A domain of the universe: what its operator holds.
pub struct Domain {
    /// Display name.
    pub name: String,
    /// Its secrets.
    pub keys: DomainKeys,
    /// The roster that it was founded with.
    pub roster: Bytes,
    /// Its hosts, the founding one first.
    pub hosts: Vec<HostId>,
}

impl Domain {
    /// Its id.
    pub fn id(&self) -> DomainId {
        self.keys.domain()
    }

    /// Its own money.
    pub fn asset(&self) -> AssetId {
        // A constant of three capital letters.
        AssetId { issuer: self.id(), code: AssetCode::new(ASSET_CODE).expect("the code is one") }
    }
}

/// One machine.
pub struct Machine {
    /// Its number.
    pub host: HostId,
    /// Which domain it belongs to.
    pub domain: usize,
    /// Its node's key.
    pub key: SecretKey,
    /// Its disk, which outlives its node.
    pub disk: MemoryDisk,
    seed: HomeSeed,
    /// The running node, while it is up.
    pub node: Option<Arc<Node>>,
    /// How often it was started.
    pub boots: u64,
}

/// What a machine's data directory holds besides the ledger's disk.
struct HomeSeed {
    config: Config,
    certificate: Bytes,
    roster: Bytes,
    domain_key: PublicKey,
    founding: Option<(Bytes, SecretKey, SecretKey)>,
}

impl HomeSeed {
    fn home(&self, host: HostId, key: &SecretKey) -> Home {
        let founding = self.founding.as_ref();
        Home {
            dir: PathBuf::from(format!("/host-{host}")),
            config: self.config.clone(),
            node: key.clone(),
            certificate: self.certificate.clone(),
            domain_key: self.domain_key,
            roster: self.roster.clone(),
            genesis: founding.map(|(genesis, ..)| genesis.clone()),
            domain_keys: founding
                .map(|(_, root, operator)| DomainKeys { root: root.clone(), operator: operator.clone() }),
            operator_token: "operator".to_owned(),
            admission_token: "admission".to_owned(),
        }
    }
}

/// All machines and domains of a universe. Clones are the same ones.
#[derive(Clone)]
pub struct Hosts {
    /// Where they live.
    pub universe: Universe,
    /// What connects them.
    pub network: Network,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    domains: Vec<Arc<Domain>>,
    machines: Vec<Machine>,
}

impl Hosts {
    /// No machine yet.
    pub fn new(universe: &Universe, network: &Network) -> Hosts {
        Hosts { universe: universe.clone(), network: network.clone(), state: Arc::default() }
    }

    /// Makes a domain of `count` machines, none of them started; they greet each other and `neighbours` first.
    ///
    /// # Errors
    /// A name that is none.
    pub fn found(
        &self,
        name: &str,
        count: usize,
        raft: RaftTiming,
        neighbours: &[HostId],
    ) -> Result<Arc<Domain>, ServiceError> {
        let first = self.count();
        let hosts: Vec<HostId> = (first..first + count as HostId).collect();
        let _operator = comity_runtime::enter(self.universe.world(first));
        let keys = DomainKeys::fresh();
        let secrets: Vec<SecretKey> = hosts.iter().map(|_| fresh_key()).collect();
        let publics: Vec<PublicKey> = secrets.iter().map(SecretKey::public).collect();
        let roster = keys.roster(1, &publics);
        let genesis = keys
            .genesis(name, roster.clone(), first_policy())
            .map_err(|reject| ServiceError::bad_input("bad_nickname", format!("{name}: {reject}")))?;
        let founders: Vec<Founder> = publics
            .iter()
            .zip(&hosts)
            .map(|(key, host)| Founder { key: key.to_string(), mesh: mesh_of(*host) })
            .collect();
        let now_ms = comity_runtime::wall_ms();
        let index = self.state.lock().domains.len();
        for (at, (host, secret)) in hosts.iter().zip(secrets).enumerate() {
            let mut config = Config::alone(name, SocketAddr::new(address_of(*host), 7400), mesh_of(*host));
            config.bootstrap = hosts
                .iter()
                .chain(neighbours)
                .filter(|other| *other != host)
                .map(|h| mesh_of(*h).to_string())
                .collect();
            config.founders = founders.clone();
            config.raft = raft;
            let seed = HomeSeed {
                config,
                certificate: keys.certify(secret.public(), voter(), at as u64 + 1, now_ms),
                roster: roster.clone(),
                domain_key: keys.root.public(),
                founding: (at == 0).then(|| (genesis.clone(), keys.root.clone(), keys.operator.clone())),
            };
            self.network.assign(mesh_of(*host), *host);
            let disk = MemoryDisk::new();
            let machine = Machine { host: *host, domain: index, key: secret, disk, seed, node: None, boots: 0 };
            self.state.lock().machines.push(machine);
        }
        let domain = Arc::new(Domain { name: name.to_owned(), keys, roster, hosts });
        self.state.lock().domains.push(domain.clone());
        Ok(domain)
    }

    /// How many machines there are.
    pub fn count(&self) -> HostId {
        self.state.lock().machines.len() as HostId
    }

    /// The domains.
    pub fn domains(&self) -> Vec<Arc<Domain>> {
        self.state.lock().domains.clone()
    }

    /// Asks a machine something.
    pub fn with<T>(&self, host: HostId, ask: impl FnOnce(&mut Machine) -> T) -> T {
        ask(&mut self.state.lock().machines[host as usize])
    }

    /// The node that runs on a host, if it is up.
    pub fn node(&self, host: HostId) -> Option<Arc<Node>> {
        self.state.lock().machines[host as usize].node.clone()
    }

    /// All running nodes with their hosts.
    pub fn nodes(&self) -> Vec<(HostId, Arc<Node>)> {
        let state = self.state.lock();
        state.machines.iter().filter_map(|machine| Some((machine.host, machine.node.clone()?))).collect()
    }

    /// Starts the node of a host on what its disk holds. Ends when it runs; must be awaited on that host (see
    /// [`Hosts::power_on`]).
    async fn boot(self, host: HostId) -> Result<(), ServiceError> {
        let (home, disk, boot) = self.with(host, |machine| {
            machine.boots += 1;
            (machine.seed.home(host, &machine.key), machine.disk.clone(), machine.boots)
        });
        self.universe.note(Kind::Host, u64::from(host), boot);
        let wrong = |what: &str, error: String| ServiceError::bad_input(what, error);
        let keypair = peer::libp2p_keypair(&home.node.seed()).map_err(|error| wrong("bad_key", error.to_string()))?;
        let transport = secured(FalseTcp::new(&self.network, host), &keypair)
            .map_err(|error| wrong("bad_noise", error.to_string()))?;
        let node = Node::start_on(home, transport, Arc::new(disk), None).await?;
        self.with(host, |machine| machine.node = Some(node));
        Ok(())
    }

    /// Switches a host on; its node starts in its own time.
    pub fn power_on(&self, host: HostId) {
        self.network.host_up(host);
        let hosts = self.clone();
        self.universe.spawn_on(host, async move {
            if let Err(error) = hosts.boot(host).await {
                tracing::error!(host, %error, "the node did not start");
            }
        });
    }

    /// Cuts a host's power: its tasks vanish in the middle, its peers hear nothing, its disk keeps what `plan` says.
    pub fn power_off(&self, host: HostId, plan: CrashPlan<'_>) {
        self.universe.note(Kind::Host, u64::from(host), 0);
        self.network.host_down(host);
        let node = self.with(host, |machine| machine.node.take());
        self.universe.kill(host);
        {
            let _inside = comity_runtime::enter(self.universe.world(host));
            drop(node);
        }
        self.with(host, |machine| machine.disk.crash(plan));
    }
}
