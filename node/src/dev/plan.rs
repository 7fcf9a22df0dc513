//! The federation that `dev` starts: two domains, three nodes each, keys and homes made before any process runs.

use crate::{
    config::{Config, Founder},
    founding::{DomainKeys, KnownDomain, first_policy, fresh_key},
    home::{Home, voter},
    service::error::{Kind, ServiceError},
};
use comity_proto::{ids::DomainId, keys::SecretKey, policy::Policy};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

/// Voters of each domain.
pub const NODES_PER_DOMAIN: usize = 3;
/// What the faucet of a `dev` domain grants: enough for the story's escrow.
pub const FAUCET_GRANT: u64 = 20_000_000;

/// Both domains.
pub struct Plan {
    /// The payer's and the payee's domain.
    pub domains: [DomainPlan; 2],
}

/// One domain.
pub struct DomainPlan {
    /// Its nickname.
    pub name: &'static str,
    /// Its secrets; `dev` is its operator.
    pub keys: DomainKeys,
    /// The roster that the other domain pins.
    pub roster: bytes::Bytes,
    /// Its nodes; the first one founds.
    pub nodes: Vec<NodePlan>,
}

/// One node.
pub struct NodePlan {
    /// `alpha/1`.
    pub name: String,
    /// Its data directory.
    pub dir: PathBuf,
    /// REST address.
    pub http: SocketAddr,
    /// Mesh address.
    pub mesh: SocketAddr,
    /// Opens its doors for the operator.
    pub operator_token: String,
    /// Lets agents register.
    pub admission_token: String,
    /// Its key in text.
    pub key: String,
}

impl DomainPlan {
    /// Its id.
    pub fn id(&self) -> DomainId {
        self.keys.domain()
    }
}

/// What both domains are founded with.
fn policy() -> Policy {
    Policy { faucet_grant: FAUCET_GRANT, ..first_policy() }
}

impl DomainPlan {
    /// It as the holder of its keys knows it.
    pub fn known(&self) -> KnownDomain<'_> {
        KnownDomain { keys: &self.keys, nickname: self.name, policy: policy().digest(), roster: &self.roster }
    }
}

impl Plan {
    /// Addresses that a plan needs: REST and mesh of every node.
    pub const ADDRESSES: usize = 4 * NODES_PER_DOMAIN;

    /// Makes the homes of all six nodes under `dir`, at these addresses.
    ///
    /// # Errors
    /// `bad_plan` for another number of addresses, or what [`Home::save`] refuses.
    pub fn make(dir: &Path, ports: &[SocketAddr], now_ms: u64, slow_votes_ms: u64) -> Result<Plan, ServiceError> {
        if ports.len() != Plan::ADDRESSES {
            return Err(ServiceError::bad_input("bad_plan", format!("{} addresses are needed", Plan::ADDRESSES)));
        }
        let (alpha_ports, beta_ports) = ports.split_at(2 * NODES_PER_DOMAIN);
        let all_mesh: Vec<String> = ports.chunks_exact(2).map(|pair| pair[1].to_string()).collect();
        let alpha = domain(dir, "alpha", alpha_ports, &all_mesh, now_ms, slow_votes_ms)?;
        let beta = domain(dir, "beta", beta_ports, &all_mesh, now_ms, 0)?;
        Ok(Plan { domains: [alpha, beta] })
    }

    /// All six nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &NodePlan> {
        self.domains.iter().flat_map(|domain| &domain.nodes)
    }
}

fn domain(
    dir: &Path,
    name: &'static str,
    ports: &[SocketAddr],
    all_mesh: &[String],
    now_ms: u64,
    hold_votes_ms: u64,
) -> Result<DomainPlan, ServiceError> {
    let keys = DomainKeys::fresh();
    let nodes: Vec<SecretKey> = (0..NODES_PER_DOMAIN).map(|_| fresh_key()).collect();
    let publics: Vec<_> = nodes.iter().map(SecretKey::public).collect();
    let roster = keys.roster(1, &publics);
    let founders: Vec<Founder> = publics
        .iter()
        .zip(ports.chunks_exact(2))
        .map(|(key, pair)| Founder { key: key.to_string(), mesh: pair[1] })
        .collect();
    let policy = policy();
    let mut plans = Vec::new();
    for (index, (node, pair)) in nodes.into_iter().zip(ports.chunks_exact(2)).enumerate() {
        let node_name = format!("{name}/{}", index + 1);
        let home_dir = dir.join(name).join(format!("{}", index + 1));
        let mut config = Config::alone(name, pair[0], pair[1]);
        config.bootstrap = all_mesh.iter().filter(|mesh| **mesh != pair[1].to_string()).cloned().collect();
        config.founders = founders.clone();
        config.hold_votes_ms = hold_votes_ms;
        let key = node.public().to_string();
        let home = if index == 0 {
            let keys = DomainKeys { root: keys.root.clone(), operator: keys.operator.clone() };
            Home::founder(&home_dir, config, keys, node, &publics, policy.clone(), now_ms)?
        } else {
            let serial = index as u64 + 1;
            let certificate = keys.certify(node.public(), voter(), serial, now_ms);
            Home::member(&home_dir, config, node, certificate, keys.root.public(), roster.clone())
        };
        home.save()?;
        plans.push(NodePlan {
            name: node_name,
            dir: home_dir,
            http: pair[0],
            mesh: pair[1],
            operator_token: home.operator_token.clone(),
            admission_token: home.admission_token.clone(),
            key,
        });
    }
    Ok(DomainPlan { name, keys, roster, nodes: plans })
}

/// Below every system's range of ports for outgoing connections: one of those would be taken while its node is down.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Loopback ports that are free now, held together so that none is given twice. Two programs that look at the same time
/// begin at different places.
///
/// # Errors
/// `no_free_port`.
pub(crate) fn free_ports(count: usize) -> Result<Vec<SocketAddr>, ServiceError> {
    let mut place = [0; 2];
    comity_runtime::entropy(&mut place);
    let place = u16::from_le_bytes(place) % (PORTS.end - PORTS.start);
    let candidates = (PORTS.start + place..PORTS.end).chain(PORTS.start..PORTS.start + place);
    let free = candidates.filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    let held: Vec<TcpListener> = free.take(count).collect();
    let addresses: Vec<SocketAddr> = held.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    if addresses.len() < count {
        let detail = format!("{} of {count} were found between {} and {}", addresses.len(), PORTS.start, PORTS.end);
        return Err(ServiceError::new(Kind::Unavailable, "no_free_port", detail, "free some loopback ports"));
    }
    Ok(addresses)
}
