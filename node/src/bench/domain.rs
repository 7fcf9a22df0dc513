//! A real domain for a bench: nodes with their own disks and mesh sockets, all in this process.

use super::{
    BenchError,
    driver::DiskCount,
    place::{Scratch, free_ports},
};
use crate::{
    config::{Config, Founder},
    founding::{ASSET_CODE, DomainKeys, KnownDomain, first_policy, fresh_key},
    home::{Home, voter},
    node::Node,
    service::{commands, domain::status},
    signer::{Signer, fresh_id},
};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::{Command, Verb},
    ids::PublicKey,
    keys::SecretKey,
    limits::COMMANDS_PER_BATCH_MAX,
    text::Nickname,
};
use futures::future::try_join_all;
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

/// How long a domain has to be founded and to elect its leader.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// What every paying account starts with, minor units.
const FUNDS: u64 = 1_000_000_000_000;
/// How much of the other domain's paper is accepted, minor units.
const CAP: u64 = 100_000_000_000_000_000;

/// A running domain and its operator.
pub(super) struct BenchDomain {
    name: &'static str,
    keys: DomainKeys,
    roster: bytes::Bytes,
    nodes: Vec<Arc<Node>>,
    mesh: Vec<SocketAddr>,
    _folder: Scratch,
}

impl BenchDomain {
    /// Founds and starts a domain of `count` nodes below `parent`; they also greet `neighbours`.
    pub(super) async fn start(
        parent: &Path,
        name: &'static str,
        count: usize,
        neighbours: &[SocketAddr],
    ) -> Result<BenchDomain, BenchError> {
        BenchDomain::start_at(parent, name, count, neighbours, Duration::ZERO).await
    }

    /// The same, where whatever comes to a node is `one_way` old.
    pub(super) async fn start_at(
        parent: &Path,
        name: &'static str,
        count: usize,
        neighbours: &[SocketAddr],
        one_way: Duration,
    ) -> Result<BenchDomain, BenchError> {
        let folder = Scratch::below(parent, &format!("{name}-{count}"))?;
        let keys = DomainKeys::fresh();
        let secrets: Vec<SecretKey> = (0..count).map(|_| fresh_key()).collect();
        let publics: Vec<PublicKey> = secrets.iter().map(SecretKey::public).collect();
        let roster = keys.roster(1, &publics);
        let ports = free_ports(2 * count)?;
        let mesh: Vec<SocketAddr> = ports.iter().skip(count).copied().collect();
        let founders: Vec<Founder> =
            publics.iter().zip(&mesh).map(|(key, mesh)| Founder { key: key.to_string(), mesh: *mesh }).collect();
        let now_ms = comity_runtime::wall_ms();
        let mut nodes = Vec::new();
        for (index, secret) in secrets.into_iter().enumerate() {
            let dir = folder.path().join(index.to_string());
            let mut config = Config::alone(name, ports[index], mesh[index]);
            let others = mesh.iter().chain(neighbours).filter(|address| **address != mesh[index]);
            config.bootstrap = others.map(ToString::to_string).collect();
            config.founders = founders.clone();
            let home = if index == 0 {
                let keys = DomainKeys { root: keys.root.clone(), operator: keys.operator.clone() };
                Home::founder(&dir, config, keys, secret, &publics, first_policy(), now_ms)?
            } else {
                let certificate = keys.certify(secret.public(), voter(), index as u64 + 1, now_ms);
                Home::member(&dir, config, secret, certificate, keys.root.public(), roster.clone())
            };
            nodes.push(start_node(home, one_way).await?);
        }
        let domain = BenchDomain { name, keys, roster, nodes, mesh, _folder: folder };
        domain.wait_until_ready().await?;
        Ok(domain)
    }

    async fn wait_until_ready(&self) -> Result<(), BenchError> {
        let begun = comity_runtime::now();
        while !self.nodes.iter().all(|node| status(node).founded) || self.leader().is_err() {
            if begun.elapsed() > READY_WITHIN {
                return Err(BenchError::new(format!("starting {}", self.name), "no leader within 30 s"));
            }
            comity_runtime::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// All of them; the first one founded the domain.
    pub(super) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The node that leads now.
    pub(super) fn leader(&self) -> Result<Arc<Node>, BenchError> {
        let leads = |node: &&Arc<Node>| status(node).role == "leader";
        let found = self.nodes.iter().find(leads).cloned();
        found.ok_or_else(|| BenchError::new(format!("asking {}", self.name), "no node leads"))
    }

    /// Mesh addresses of its nodes.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.mesh
    }

    /// The domain's own money.
    pub(super) fn asset(&self) -> AssetId {
        // A constant of three capital letters.
        let code = AssetCode::new(ASSET_CODE).expect("the code is one");
        AssetId { issuer: self.keys.domain(), code }
    }

    /// The roster in force: its envelope.
    pub(super) fn roster(&self) -> bytes::Bytes {
        self.roster.clone()
    }

    /// Flushes and bytes of all its disks.
    pub(super) fn disks(&self) -> DiskCount {
        let all = self.nodes.iter().map(|node| node.disk_stats());
        all.fold(DiskCount::default(), |sum, stats| DiskCount {
            syncs: sum.syncs + stats.syncs,
            bytes: sum.bytes + stats.bytes_written,
        })
    }

    /// Registers `count` fresh agents; funds them if they are to pay.
    pub(super) async fn agents(&self, count: usize, funded: bool) -> Result<Vec<Signer>, BenchError> {
        let leader = self.leader()?;
        let signers: Vec<Signer> = (0..count).map(|_| Signer::first_key(fresh_key(), self.keys.domain())).collect();
        let nickname = Nickname::new("bench").map_err(|e| BenchError::new("naming an agent", e.to_string()))?;
        let register = |signer: &Signer| {
            let nickname = nickname.clone();
            let verb = Verb::register(nickname);
            signer.sign(verb, comity_runtime::wall_ms())
        };
        let batches: Vec<_> = signers.iter().map(register).collect();
        for some in batches.chunks(COMMANDS_PER_BATCH_MAX) {
            let keys: Vec<String> = some.iter().map(|batch| batch.request_id.to_string()).collect();
            let all = some.iter().zip(&keys).map(|(b, key)| commands::submit(&leader, b.envelope.clone(), key));
            try_join_all(all).await?;
        }
        if funded {
            let code = self.asset().code;
            let issue = |signer: &Signer| Verb::Issue { code, to: signer.agent_id(), amount: FUNDS };
            self.operate(signers.iter().map(issue).collect()).await?;
        }
        Ok(signers)
    }

    fn known(&self) -> KnownDomain<'_> {
        let policy = first_policy().digest();
        KnownDomain { keys: &self.keys, nickname: self.name, policy, roster: &self.roster }
    }

    /// Trusts a peer with a large cap.
    pub(super) async fn trust(&self, peer: &BenchDomain) -> Result<(), BenchError> {
        let treaty = self.known().treaty_with(&peer.known(), CAP);
        let treaty = treaty.map_err(|e| BenchError::new("naming a peer", e.to_string()))?;
        self.operate(vec![treaty]).await
    }

    async fn operate(&self, verbs: Vec<Verb>) -> Result<(), BenchError> {
        let leader = self.leader()?;
        let operator = Signer::operator(self.keys.operator.clone(), self.keys.domain());
        for some in verbs.chunks(COMMANDS_PER_BATCH_MAX) {
            let all = some.iter().map(|verb| Command { request_id: fresh_id(), verb: verb.clone() }).collect();
            let batch = operator.sign_all(all, comity_runtime::wall_ms());
            let done = commands::submit(&leader, batch.envelope, &batch.request_id.to_string()).await?;
            refuse_failures(&done)?;
        }
        Ok(())
    }

    /// Stops its nodes; the directory goes with the value.
    pub(super) async fn stop(self) {
        for node in &self.nodes {
            node.stop().await;
        }
    }
}

async fn start_node(home: Home, one_way: Duration) -> Result<Arc<Node>, BenchError> {
    if one_way.is_zero() {
        return Ok(Node::start(home).await?);
    }
    let far = |error: &dyn std::fmt::Display| BenchError::new("making a long way", error.to_string());
    let keypair = crate::mesh::peer::libp2p_keypair(&home.node.seed()).map_err(|error| far(&error))?;
    let transport = crate::mesh::tcp_transport_through(&keypair, move |line| super::far::Far::new(line, one_way))
        .map_err(|error| far(&error))?;
    Ok(Node::start_over(home, transport).await?)
}

/// All commands of a batch must have done what they should.
pub(super) fn refuse_failures(done: &commands::Submitted) -> Result<(), BenchError> {
    match done.results.iter().find(|(_, outcome)| !commands::is_success(*outcome)) {
        Some((_, outcome)) => Err(BenchError::new("submitting", format!("the ledger refused: {outcome}"))),
        None => Ok(()),
    }
}
