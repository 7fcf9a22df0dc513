//! The node and its domain: status, identity, members, sessions, replicas.

use super::{
    books::name_of,
    error::{Kind, ServiceError},
    keys::{NotSeenView, RootForkView, not_seen, root_forks},
    shape,
};
use crate::{node::Node, service::commands::of_reject};
use bytes::Bytes;
use comity_proto::{
    amount::{AssetCode, parse_amount},
    envelope::Signed as _,
    ids::{AgentId, DomainId, PublicKey},
    limits::SECOND_MS,
    session::SessionRequest,
};
use comity_replica::{MembershipError, Role};
use data_encoding::BASE64;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Parts that this program does not have yet: told, never passed over.
pub const NOT_BUILT: &[&str] = &["trust scores", "scrubbing"];

/// How long a session request is accepted after it was signed.
const SESSION_FRESH_MS: u64 = 60 * SECOND_MS;

/// The domain as its clients need it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DomainView {
    /// Its id.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// Its root key.
    #[schema(value_type = shape::KeyText)]
    pub key: PublicKey,
    /// Display only.
    pub nickname: String,
    /// Code of its own first asset.
    #[schema(value_type = shape::AssetCodeText)]
    pub asset: AssetCode,
    /// Decimals of it.
    pub scale: u8,
    /// The node that answers.
    #[schema(value_type = shape::KeyText)]
    pub node: PublicKey,
    /// The roster in force: its envelope, base64.
    pub roster: String,
    /// Domains with a treaty.
    pub peers: Vec<PeerName>,
}

/// A peer's nickname on this side.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PeerName {
    /// Its id.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// Display only.
    pub nickname: String,
}

/// The domain.
///
/// # Errors
/// `not_initialized` before the genesis.
pub fn domain(node: &Node) -> Result<DomainView, ServiceError> {
    let view = node.replica().read_stale(|ledger, _| {
        let own = ledger.domain()?;
        let asset = ledger.asset(ledger.native_asset())?;
        let peers =
            ledger.treaties().map(|treaty| PeerName { domain: treaty.peer, nickname: treaty.nickname.to_string() });
        Some(DomainView {
            domain: own.id,
            key: own.key,
            nickname: own.nickname.to_string(),
            asset: asset.id.code,
            scale: asset.scale.unwrap_or_default(),
            node: node.key().public(),
            roster: BASE64.encode(&own.roster),
            peers: peers.collect(),
        })
    });
    view.ok_or_else(|| super::commands::of_outcome(comity_ledger::Outcome::NotInitialized))
}

/// An amount as people write it, in minor units of the domain's own asset.
///
/// # Errors
/// `bad_amount`.
pub fn amount(node: &Node, text: &str) -> Result<u64, ServiceError> {
    parse_amount(text, domain(node)?.scale)
        .map_err(|error| ServiceError::bad_input("bad_amount", format!("`{text}`: {error}")))
}

/// `comity status`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatusView {
    /// Whose node.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// Display only.
    pub nickname: String,
    /// Which node.
    #[schema(value_type = shape::KeyText)]
    pub node: PublicKey,
    /// leader, follower, candidate, learner, stopped.
    pub role: &'static str,
    /// Raft term.
    pub term: u64,
    /// The leader's key, if one is known.
    #[schema(value_type = Option<shape::KeyText>)]
    pub leader: Option<PublicKey>,
    /// Last entry applied here.
    pub applied_index: u64,
    /// Last entry in the log here.
    pub last_index: u64,
    /// Number of voters.
    pub voters: usize,
    /// Number of learners.
    pub learners: usize,
    /// Ledger time, ms.
    pub stamp_ms: u64,
    /// Whether the genesis is applied.
    pub founded: bool,
    /// The domain's root key on this node: plain, sealed, open (sealed, and opened in this process) or absent.
    pub root_key: &'static str,
    /// Transfers that are not finished here.
    pub in_doubt: usize,
    /// Raised by each restore.
    pub incarnation: u64,
    /// Restored, and not agreed with every peer yet: nothing is debited, begun or decided.
    pub fenced: bool,
    /// Partners that are not heard for a while: what they said changed nothing, again and again.
    pub not_heard: Vec<NotHeard>,
    /// Peers that have not yet acknowledged another key of the operator or of the nodes.
    pub keys_not_seen: Vec<NotSeenView>,
    /// Domains of which another root key was shown to this node than the one that is known to follow.
    pub root_forks: Vec<RootForkView>,
    /// Payment requests that did not hold, since this node started.
    pub payment_requests_refused: u64,
    /// Connected nodes.
    pub neighbours: usize,
    /// Agent cards known.
    pub cards: usize,
    /// Why the replica stopped, if it did.
    pub failed: Option<String>,
    /// Parts that this program does not have yet.
    pub not_built: &'static [&'static str],
}

/// A partner that is not heard.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NotHeard {
    /// Which.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// For so long, ms.
    pub for_ms: u64,
}

/// What this node knows now, without asking anybody.
pub fn status(node: &Node) -> StatusView {
    let raft = node.replica().status();
    let (stamp_ms, incarnation, in_doubt, fenced, keys_not_seen) = node.replica().read_stale(|ledger, _| {
        let incarnation = ledger.domain().map(|domain| domain.incarnation);
        (ledger.stamp_ms(), incarnation, ledger.in_doubt().len(), ledger.is_fenced(), not_seen(ledger))
    });
    StatusView {
        domain: node.domain(),
        nickname: node.home().config.domain.clone(),
        node: node.key().public(),
        role: role_name(raft.role),
        term: raft.term,
        leader: raft.leader.map(|leader| node.key_at(&leader.key)),
        applied_index: raft.applied,
        last_index: raft.last_log,
        voters: raft.voters.len(),
        learners: raft.learners.len(),
        stamp_ms,
        founded: incarnation.is_some(),
        root_key: node.home().root_state(),
        in_doubt,
        incarnation: incarnation.unwrap_or(0),
        fenced,
        not_heard: node
            .not_heard()
            .into_iter()
            .map(|(domain, left)| NotHeard { domain, for_ms: left.as_millis() as u64 })
            .collect(),
        keys_not_seen,
        root_forks: root_forks(node),
        payment_requests_refused: node.desk().refused_demands().count(),
        neighbours: node.mesh().neighbours().len(),
        cards: node.mesh().agent_card_count(),
        failed: raft.failed,
        not_built: NOT_BUILT,
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Leader => "leader",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Learner => "learner",
        Role::Stopped => "stopped",
    }
}

/// A node of the mesh.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MemberView {
    /// Its key.
    #[schema(value_type = shape::KeyText)]
    pub node: PublicKey,
    /// Its domain as it says.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// That domain as this one calls it.
    pub domain_name: String,
    /// alive, suspect, left, failed.
    pub state: &'static str,
    /// Time in this state, ms.
    pub since_ms: u64,
    /// Nodes that could not reach it, while nothing refutes them.
    #[schema(value_type = Vec<shape::KeyText>)]
    pub suspected_by: Vec<PublicKey>,
    /// Of its newest heartbeat; a higher one refutes every suspicion.
    pub sequence: u64,
    /// What its certificate makes it to us.
    pub standing: &'static str,
    /// Since its last sign of life, ms.
    pub last_heard_ms: u64,
    /// Where it says it listens.
    pub address: Option<String>,
}

/// Nodes of the mesh, those that left or failed among them.
pub fn members(node: &Node) -> Vec<MemberView> {
    // A connection is judged again whenever trust changes, a heartbeat only when it brings another certificate.
    let connected: BTreeMap<PublicKey, &'static str> =
        node.mesh().neighbours().into_iter().map(|neighbour| (neighbour.node, neighbour.standing.name())).collect();
    let view = |member: crate::mesh::Member| MemberView {
        node: member.node,
        domain: member.domain,
        domain_name: node.replica().read_stale(|ledger, _| name_of(ledger, &member.domain)),
        state: member.state.name(),
        since_ms: member.since_ms,
        suspected_by: member.suspected_by,
        sequence: member.sequence,
        standing: connected.get(&member.node).copied().unwrap_or(member.standing.name()),
        last_heard_ms: member.quiet_ms,
        address: member.addresses.first().cloned(),
    };
    node.mesh().members().into_iter().map(view).collect()
}

/// Opens a session for an agent at home here.
///
/// # Errors
/// `bad_signature`, `session_request_stale`, `wrong_node`, `unknown_agent`.
pub async fn open_session(node: &Node, envelope: Bytes) -> Result<(AgentId, String, u64), ServiceError> {
    let request = SessionRequest::open(&envelope).map_err(|reject| of_reject(&reject))?;
    let said = request.get();
    let now_ms = comity_runtime::wall_ms();
    if said.node != node.key().public() {
        return Err(ServiceError::bad_input("wrong_node", "this request for a session is addressed to another node"));
    }
    if said.issued_at_ms.abs_diff(now_ms) > SESSION_FRESH_MS {
        let detail = "this request for a session was signed over a minute ago, or by a clock that differs by as much";
        return Err(ServiceError::bad_input("session_request_stale", detail));
    }
    let agent = said.agent;
    let key = super::books::read(node, |ledger| ledger.agent(&agent).map(|agent| agent.key)).await?;
    let key = key.ok_or_else(|| ServiceError::not_found("agent", agent))?;
    if key != *request.key() {
        let detail = format!("not signed by the current key of {agent}");
        return Err(ServiceError::new(Kind::Forbidden, "bad_signature", detail, "sign with the agent's current key"));
    }
    let (token, ends_ms) = node.tokens().open_session(agent, now_ms);
    Ok((agent, token, ends_ms))
}

/// One replica.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReplicaView {
    /// Its key.
    #[schema(value_type = shape::KeyText)]
    pub node: PublicKey,
    /// voter or learner, and leader.
    pub role: &'static str,
    /// Entries that it lacks, as the leader knows; null elsewhere.
    pub lag: Option<u64>,
    /// Where it listens.
    pub address: Option<String>,
}

/// Voters and learners.
pub fn replicas(node: &Node) -> Vec<ReplicaView> {
    let status = node.replica().status();
    let leader = status.leader_id;
    let view = |member: &comity_replica::Member, role| ReplicaView {
        node: node.key_at(&member.info.key),
        role: if Some(member.id) == leader { "leader" } else { role },
        lag: member.lag,
        address: member.info.addresses.first().cloned(),
    };
    let voters = status.voters.iter().map(|member| view(member, "voter"));
    voters.chain(status.learners.iter().map(|member| view(member, "learner"))).collect()
}

/// Makes a learner a voter.
///
/// # Errors
/// `unknown_replica`, `not_leader`, and what consensus refuses.
pub async fn add_voter(node: &Node, text: &str) -> Result<(), ServiceError> {
    node.replica().promote(find(node, text)?).await.map_err(of_membership)
}

/// Takes a replica out.
///
/// # Errors
/// As [`add_voter`].
pub async fn remove_replica(node: &Node, text: &str) -> Result<(), ServiceError> {
    node.replica().remove(find(node, text)?).await.map_err(of_membership)
}

fn find(node: &Node, text: &str) -> Result<u64, ServiceError> {
    let status = node.replica().status();
    let all = status.voters.iter().chain(&status.learners);
    let hits: BTreeSet<u64> =
        all.filter(|member| node.key_at(&member.info.key).to_string().contains(text)).map(|member| member.id).collect();
    match (hits.len(), hits.first()) {
        (1, Some(id)) => Ok(*id),
        _ => Err(ServiceError::not_found("replica", text)),
    }
}

fn of_membership(error: MembershipError) -> ServiceError {
    let detail = error.to_string();
    match error {
        MembershipError::NotLeader(_) => {
            ServiceError::new(Kind::Conflict, "not_leader", detail, "ask the leader: comity raft list names it")
        }
        MembershipError::Refused(_) => {
            ServiceError::new(Kind::Refused, "membership_refused", detail, "see comity raft list")
        }
        _ => ServiceError::new(Kind::Unknown, "membership_unknown", detail, "see comity raft list, then try again"),
    }
}
