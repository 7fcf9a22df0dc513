//! A domain of real replicas in a simulated world: links and disks in memory, real signatures.
#![allow(dead_code, unreachable_pub)]

pub mod sim;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use comity_proto::{
    amount::AssetCode,
    command::{Actor, Command, CommandBatch, Verb},
    entry::EntryItem,
    envelope::Signed as _,
    identity::{Genesis, Roster},
    ids::{AgentId, DomainId, PublicKey, RequestId},
    keys::SecretKey,
    policy::Policy,
    text::Nickname,
};
use comity_replica::{LinkClass, LinkError, LinkHandler, Links, NodeInfo, Replica, ReplicaConfig, SubmitReply};
use comity_runtime::{
    self as runtime,
    disk::memory::{CrashPlan, MemoryDisk},
    enter,
};
use futures::future::BoxFuture;
use sim::Sim;

/// By key and class: which life of the member registered it, and the handler.
type Handlers = BTreeMap<(PublicKey, LinkClass), (u32, LinkHandler)>;

/// Handlers by key and class, and which keys are cut off.
#[derive(Clone, Default)]
pub struct Net {
    handlers: Arc<Mutex<Handlers>>,
    cut: Arc<Mutex<BTreeSet<PublicKey>>>,
    swallows: Arc<Mutex<BTreeMap<PublicKey, u32>>>,
}

impl Net {
    pub fn cut(&self, key: PublicKey, cut: bool) {
        let mut set = self.cut.lock().unwrap();
        if cut {
            set.insert(key)
        } else {
            set.remove(&key)
        };
    }

    /// After so many more requests about snapshots one is lost without a trace: its receiver lost its power.
    pub fn swallow(&self, key: PublicKey, after: u32) {
        self.swallows.lock().unwrap().insert(key, after);
    }

    fn is_swallowed(&self, key: &PublicKey, class: LinkClass) -> bool {
        let mut swallows = self.swallows.lock().unwrap();
        let Some(left) = swallows.get_mut(key).filter(|_| class == LinkClass::Snapshot) else { return false };
        let is_now = *left == 0;
        *left = left.saturating_sub(1);
        if is_now {
            swallows.remove(key);
        }
        is_now
    }
}

struct NetLinks {
    net: Net,
    sim: Sim,
    host: u32,
    own: PublicKey,
}

impl Links for NetLinks {
    fn request(
        &self,
        to: &NodeInfo,
        class: LinkClass,
        body: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>> {
        let (net, sim, own, to) = (self.net.clone(), self.sim.clone(), self.own, to.key);
        let exchange = async move {
            runtime::sleep(Duration::from_micros(200 + sim.draw(2000))).await;
            let reachable = |key: &PublicKey| !net.cut.lock().unwrap().contains(key);
            let found = net.handlers.lock().unwrap().get(&(to, class)).cloned();
            let (true, Some((host, handler))) = (reachable(&to) && reachable(&own), found) else {
                return Err(LinkError::Unreachable("cut off".into()));
            };
            if net.is_swallowed(&to, class) {
                return futures::future::pending().await;
            }
            let running = {
                let _there = enter(sim.world(host));
                runtime::spawn(handler(own, body))
            };
            let answer = running.await.map_err(|error| LinkError::Lost(error.to_string()))?;
            runtime::sleep(Duration::from_micros(200 + sim.draw(2000))).await;
            if !(reachable(&to) && reachable(&own)) {
                return Err(LinkError::Lost("cut off".into()));
            }
            answer.map_err(LinkError::Refused)
        };
        Box::pin(async move {
            runtime::timeout(deadline, exchange).await.unwrap_or(Err(LinkError::Lost("deadline".into())))
        })
    }

    fn serve(&self, class: LinkClass, handler: LinkHandler) {
        self.net.handlers.lock().unwrap().insert((self.own, class), (self.host, handler));
    }
}

/// One node of the domain.
pub struct Node {
    pub host: u32,
    pub info: NodeInfo,
    pub disk: MemoryDisk,
    pub replica: Option<Replica>,
}

/// A domain under test.
pub struct Domain {
    pub sim: Sim,
    pub net: Net,
    pub nodes: Vec<Node>,
    pub root: SecretKey,
    pub operator: SecretKey,
    pub tune: fn(&mut ReplicaConfig),
}

pub fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed(&[byte; 32])
}

impl Domain {
    /// `count` nodes that run but are not yet a domain.
    pub fn nodes(seed: u64, count: u8, tune: fn(&mut ReplicaConfig)) -> Domain {
        let mut domain = Domain {
            sim: Sim::new(seed),
            net: Net::default(),
            nodes: Vec::new(),
            root: key(200),
            operator: key(201),
            tune,
        };
        for host in 1..=count {
            let info = NodeInfo { key: key(host).public(), addresses: vec![] };
            domain.nodes.push(Node { host: host.into(), info, disk: MemoryDisk::new(), replica: None });
            domain.start(usize::from(host) - 1);
        }
        domain
    }

    /// A founded domain whose first `voters` nodes vote.
    pub fn founded(seed: u64, voters: usize, count: u8, tune: fn(&mut ReplicaConfig)) -> Domain {
        let domain = Domain::nodes(seed, count, tune);
        let members = domain.nodes[..voters].iter().map(|node| (u64::from(node.host), node.info.clone())).collect();
        let (replica, genesis) = (domain.replica(0), domain.genesis(voters));
        domain.sim.run(1, async move { replica.initialize(members, genesis).await }).expect("founded");
        domain
    }

    pub fn start(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let links = NetLinks { net: self.net.clone(), sim: self.sim.clone(), host: node.host, own: node.info.key };
        let mut config = ReplicaConfig::new(node.host.into(), node.info.clone());
        config.segment_bytes = 1 << 20;
        (self.tune)(&mut config);
        let disk = Arc::new(node.disk.clone());
        let opened = self.sim.run(node.host, Replica::open(config, Arc::new(links), disk));
        node.replica = Some(opened.expect("opens"));
    }

    /// A power cut: tasks end, what was not flushed is lost.
    pub fn crash(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        self.net.cut(node.info.key, true);
        self.sim.kill(node.host);
        let _inside = enter(self.sim.world(node.host));
        node.replica = None;
        node.disk.crash(CrashPlan::lose_all());
    }

    pub fn restart(&mut self, at: usize) {
        self.net.cut(self.nodes[at].info.key, false);
        self.start(at);
    }

    pub fn replica(&self, at: usize) -> Replica {
        self.nodes[at].replica.clone().expect("runs")
    }

    pub fn id(&self) -> DomainId {
        DomainId::of_key(&self.root.public())
    }

    fn genesis(&self, voters: usize) -> Bytes {
        let mut keys: Vec<PublicKey> = self.nodes[..voters].iter().map(|node| node.info.key).collect();
        keys.sort();
        let roster = Roster { domain: self.id(), epoch: 1, voters: keys, seats: vec![] }.seal(&self.root);
        let genesis = Genesis {
            domain: self.id(),
            domain_key: self.root.public(),
            nickname: Nickname::new("alpha").unwrap(),
            operator_key: self.operator.public(),
            asset_code: AssetCode::new("USD").unwrap(),
            asset_scale: 6,
            supply_cap: 1_000_000_000_000,
            policy: policy(),
            roster,
            incarnation: 1,
        };
        genesis.seal(&self.root)
    }

    /// A registration, signed by its agent, valid for an hour of the simulated clock.
    pub fn register(&self, agent: &SecretKey, request: u8) -> EntryItem {
        let verb = Verb::register(Nickname::new("worker").unwrap());
        let batch = CommandBatch {
            home: self.id(),
            actor: Actor::Agent(AgentId::of_key(&agent.public())),
            valid_until_ms: self.wall_ms() + 3_600_000,
            commands: vec![Command { request_id: RequestId([request; 16]), verb }],
        };
        EntryItem::Commands(batch.seal(agent))
    }

    pub fn wall_ms(&self) -> u64 {
        self.sim.world(1).wall_ms()
    }

    pub fn submit(&self, at: usize, item: EntryItem) -> SubmitReply {
        let replica = self.replica(at);
        self.sim.run(self.nodes[at].host, async move { replica.submit(item).await }).expect("applied")
    }

    pub fn pause(&self, duration: Duration) {
        self.sim.run(99, async move { runtime::sleep(duration).await });
    }

    pub fn leader(&self) -> Option<usize> {
        let leads = |node: &Node| node.replica.as_ref().is_some_and(|replica| *replica.leads().borrow());
        self.nodes.iter().position(leads)
    }

    /// Digest of a node's ledger once it has applied `index`.
    pub fn digest_at(&self, at: usize, index: u64) -> comity_proto::ids::Hash {
        let replica = self.replica(at);
        let host = self.nodes[at].host;
        self.sim.run(host, async move {
            runtime::timeout(Duration::from_secs(60), replica.applied_at_least(index)).await.expect("catches up");
            replica.read_stale(|ledger, _| ledger.digest())
        })
    }
}

fn policy() -> Policy {
    Policy {
        version: 1,
        escrow_fee_bps: 100,
        transfer_fee_bps: 50,
        referral_level1_bps: 1_500,
        referral_level2_bps: 500,
        faucet_grant: 1_000_000,
        faucet_claims_per_hour: 1_000,
        faucet_claims_per_token: 1_000,
        faucet_stays_home: false,
        name_fee_per_year: 1_000_000,
        dispute_bond: 0,
        decide_within_ms: 10_000,
    }
}
