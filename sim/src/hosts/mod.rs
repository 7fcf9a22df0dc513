//! The machines of a universe: each has an address, a disk and, while it is up, a running node.

mod machine;
mod operator;
mod power;
mod restore;
mod rotation;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use comity_node::{
    config::{BridgeRule, Config, Founder, LogSizes, RaftTiming},
    founding::{DomainKeys, first_policy, fresh_key},
    home::voter,
    node::Node,
    service::error::ServiceError,
};
use comity_proto::{
    ids::{Hash, PublicKey},
    keys::SecretKey,
    policy::Policy,
};
use parking_lot::Mutex;

use machine::HomeSeed;
pub use machine::{Domain, Machine};
pub use restore::Restore;

use crate::{
    disk::FalseDisk,
    net::Network,
    scenario::GatewaySpec,
    workload::Mood,
    world::{Chance, HostId, Universe},
};

/// The observer's own host: it has a perfect clock and is never broken.
pub const OBSERVER: HostId = 1_000_000;

/// How often a witness looks, seconds: often enough for a universe of a minute.
const WITNESS_EVERY_S: u64 = 3;
/// Between two cards of a domain that nothing but figures changes.
const CARD_EVERY_S: u64 = 5;

/// Where every node's mesh listens.
const MESH_PORT: u16 = 7401;

/// What every domain begins with: deadlines and bonds that matter within a run, else as the node itself begins one.
pub fn policy() -> Policy {
    Policy { decide_within_ms: 4_000, dispute_bond: 500, ..first_policy() }
}

/// The address of a host.
pub fn address_of(host: HostId) -> IpAddr {
    // Host 0 has address 10.0.0.1.
    IpAddr::V4(Ipv4Addr::from(0x0A00_0001 + host))
}

/// Where a host's mesh listens.
pub fn mesh_of(host: HostId) -> SocketAddr {
    SocketAddr::new(address_of(host), MESH_PORT)
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
    at_boot: Vec<AtBoot>,
    mood: Mood,
    witnesses: bool,
    domain_cards: bool,
    stolen: Vec<Stolen>,
    adversaries: HostId,
    strangers_cards: BTreeSet<Hash>,
    marks: BTreeMap<String, u64>,
    restores: Vec<Restore>,
}

/// A certified key in the wrong hands.
#[derive(Clone, Copy, Debug)]
pub struct Stolen {
    /// Which domain certified it, by its number.
    pub domain: usize,
    /// The key.
    pub key: PublicKey,
    /// Of its certificate.
    pub serial: u64,
}

/// What is told of every node as soon as it runs.
pub type AtBoot = Arc<dyn Fn(HostId, &Arc<Node>) + Send + Sync>;

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
        (raft, log): (RaftTiming, Option<LogSizes>),
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
            .genesis(name, roster.clone(), policy())
            .map_err(|reject| ServiceError::bad_input("bad_nickname", format!("{name}: {reject}")))?;
        let founders: Vec<Founder> = publics
            .iter()
            .zip(&hosts)
            .map(|(key, host)| Founder { key: key.to_string(), mesh: mesh_of(*host) })
            .collect();
        let now_ms = comity_runtime::wall_ms();
        let index = self.state.lock().domains.len();
        let log = log.unwrap_or_else(|| log_sizes(&mut self.universe.chance(&format!("log of domain {index}"))));
        for (at, (host, secret)) in hosts.iter().zip(secrets).enumerate() {
            let mut config = Config::alone(name, SocketAddr::new(address_of(*host), 7400), mesh_of(*host));
            config.bootstrap = hosts
                .iter()
                .chain(neighbours)
                .filter(|other| *other != host)
                .map(|h| mesh_of(*h).to_string())
                .collect();
            config.founders = founders.clone();
            // Else its questions would be a part of every universe without a claim about them.
            config.witness_every_s = if self.state.lock().witnesses { WITNESS_EVERY_S } else { 0 };
            config.card_every_s = if self.state.lock().domain_cards { CARD_EVERY_S } else { 0 };
            config.raft = raft;
            config.log = log;
            let seed = HomeSeed {
                config,
                certificate: keys.certify(secret.public(), voter(), at as u64 + 1, now_ms),
                roster: roster.clone(),
                domain_key: keys.root.public(),
                revocations: None,
                founding: (at == 0).then(|| (genesis.clone(), keys.root.clone(), keys.operator.clone())),
            };
            self.network.assign(mesh_of(*host), *host);
            let machine = Machine {
                host: *host,
                domain: index,
                place: secret.public(),
                key: secret,
                disk: FalseDisk::new(&self.universe, *host),
                seed,
                node: None,
                boots: 0,
                is_wanted: false,
                is_in_repair: false,
                life: 0,
                is_older: false,
                exchanged: None,
                trouble: None,
            };
            self.state.lock().machines.push(machine);
        }
        let domain = Arc::new(Domain { name: name.to_owned(), keys, roster, hosts });
        self.state.lock().domains.push(domain.clone());
        Ok(domain)
    }

    /// Nodes that are founded from now on are witnesses of their peers.
    pub fn let_witness(&self) {
        self.state.lock().witnesses = true;
    }

    /// Nodes that are founded from now on sign cards of their domains.
    pub fn let_show_cards(&self) {
        self.state.lock().domain_cards = true;
    }

    /// A node's key is in the hands of somebody who shows its certificate.
    pub(crate) fn is_stolen(&self, stolen: Stolen) {
        self.state.lock().stolen.push(stolen);
    }

    /// All such keys.
    pub fn stolen(&self) -> Vec<Stolen> {
        self.state.lock().stolen.clone()
    }

    /// Two domains no longer reach each other, and the nodes of a third one are told to pass between them; before any of
    /// them starts.
    pub fn let_pass(&self, gateway: &GatewaySpec) {
        let domains = self.domains();
        let named = |name: &str| domains.iter().find(|domain| domain.name == name);
        let [Some(by), Some(one), Some(other)] = gateway.names().map(named) else { return };
        for (a, b) in one.hosts.iter().flat_map(|a| other.hosts.iter().map(move |b| (*a, *b))) {
            self.network.change(a, b, |_, link, _| link.block());
            self.network.change(b, a, |_, link, _| link.block());
        }
        let rule = BridgeRule { between: (one.id(), other.id()) };
        for host in &by.hosts {
            self.with(*host, |machine| machine.seed.config.bridge.push(rule));
        }
        for host in one.hosts.iter().chain(&other.hosts) {
            self.with(*host, |machine| machine.seed.config.gateways.push(by.id()));
        }
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

    /// From now on `tell` hears of every node that starts, before it does anything else.
    pub fn at_boot(&self, tell: AtBoot) {
        self.state.lock().at_boot.push(tell);
    }

    fn tell_boot(&self, host: HostId, node: &Arc<Node>) {
        let listeners = self.state.lock().at_boot.clone();
        listeners.iter().for_each(|tell| tell(host, node));
    }

    /// Notes that something worth counting happened.
    pub fn mark(&self, what: &str) {
        *self.state.lock().marks.entry(what.to_owned()).or_default() += 1;
    }

    /// What was noted, how often.
    pub fn marks(&self) -> BTreeMap<String, u64> {
        self.state.lock().marks.clone()
    }

    /// The number of the next adversary.
    pub(crate) fn count_adversary(&self) -> HostId {
        let mut state = self.state.lock();
        state.adversaries += 1;
        state.adversaries - 1
    }

    /// A stranger signs a card of an agent of its own: a true card, of which nobody else knows anything.
    pub(crate) fn strangers_card(&self, digest: Hash) {
        self.state.lock().strangers_cards.insert(digest);
    }

    /// Whether some stranger signed a card with this digest for an agent of its own.
    pub fn is_strangers_card(&self, digest: &Hash) -> bool {
        self.state.lock().strangers_cards.contains(digest)
    }

    /// How people are disposed now.
    pub fn mood(&self) -> Mood {
        self.state.lock().mood
    }

    /// Changes how people are disposed.
    pub fn set_mood(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.state.lock().mood);
    }

    /// The domain of a host.
    pub fn domain_of(&self, host: HostId) -> Arc<Domain> {
        let state = self.state.lock();
        state.domains[state.machines[host as usize].domain].clone()
    }

    /// A drawn majority of each domain, the same whenever it is asked for: once healed it must make progress alone.
    pub fn core(&self) -> Vec<Vec<HostId>> {
        let mut chance = self.universe.chance("core");
        let majority = |domain: Arc<Domain>| {
            let mut members = domain.hosts.clone();
            chance.shuffle(&mut members);
            members.truncate(domain.hosts.len() / 2 + 1);
            members
        };
        self.domains().into_iter().map(majority).collect()
    }

    /// The host that leads a domain: of those that say so the one with the highest term.
    pub fn leader_of(&self, domain: usize) -> Option<HostId> {
        let hosts = self.state.lock().domains.get(domain)?.hosts.clone();
        let leads = hosts.into_iter().filter_map(|host| {
            let status = self.node(host)?.replica().status();
            (status.role == comity_replica::Role::Leader).then_some((status.term, host))
        });
        leads.max().map(|(_, host)| host)
    }
}

/// Small logs and frequent snapshots in some universes: their boundaries are met within a minute.
fn log_sizes(chance: &mut Chance) -> LogSizes {
    let usual = LogSizes::default();
    match chance.below(4) {
        0 => LogSizes { segment_bytes: 1 << 20, ..usual },
        1 => LogSizes { segment_bytes: 256 << 10, snapshot_every: 500, keep_entries: 100 },
        2 => LogSizes { segment_bytes: 64 << 10, snapshot_every: 100, keep_entries: 20 },
        _ => LogSizes { segment_bytes: 4 << 20, snapshot_every: 2_000, keep_entries: 500 },
    }
}
