//! Starts the six nodes and does what their two operators would do by hand.

use super::{
    plan::{DomainPlan, NodePlan, Plan},
    processes::{Process, pause},
};
use crate::{
    cli::{client::Client, context},
    service::error::{Kind, ServiceError},
    signer::Signer,
};
use comity_proto::{
    command::Verb,
    ids::AgentId,
    keys::SecretKey,
    text::{Nickname, ReferralCode},
};
use serde_json::Value;
use std::{path::Path, time::Duration};

/// How long the federation has to become ready.
const READY_WITHIN: Duration = Duration::from_secs(90);
/// How much of the other's paper each domain accepts, minor units.
const CAP: u64 = 10_000_000_000;

/// A node with its process and its operator's door.
pub(super) struct Running {
    pub(super) plan: NodePlan,
    pub(super) process: Process,
    pub(super) api: Client,
}

impl Running {
    /// Starts the node's process.
    pub(super) fn start(plan: NodePlan) -> Result<Running, ServiceError> {
        let process = start_process(&plan)?;
        let api = Client::new(format!("http://{}", plan.http), plan.operator_token.clone());
        Ok(Running { plan, process, api })
    }

    /// Starts a new process on the same disk.
    pub(super) fn restart(&mut self) -> Result<(), ServiceError> {
        self.process = start_process(&self.plan)?;
        Ok(())
    }

    /// Its own view, if it answers.
    pub(super) fn status(&self) -> Option<Value> {
        self.api.get("/api/v1/status").ok()
    }

    /// Whether it leads its domain.
    pub(super) fn leads(&self) -> bool {
        self.status().is_some_and(|status| status["role"] == "leader")
    }
}

fn start_process(plan: &NodePlan) -> Result<Process, ServiceError> {
    let dir = plan.dir.display().to_string();
    Process::start(&plan.name, &["up", "--data", &dir], &plan.dir.join("node.log"))
}

/// One domain with its processes.
pub(super) struct Domain {
    pub(super) plan: DomainPlan,
    pub(super) nodes: Vec<Running>,
}

impl Domain {
    /// Its operator.
    pub(super) fn operator(&self) -> Signer {
        Signer::operator(self.plan.keys.operator.clone(), self.plan.id())
    }

    /// A node that answers, the leader if one says so.
    pub(super) fn api(&self) -> &Client {
        let leader = self.nodes.iter().find(|node| node.leads());
        let any = || self.nodes.iter().find(|node| node.status().is_some());
        // Three nodes were planned; with none answering the first one's refusal tells.
        leader.or_else(any).map_or(&self.nodes[0].api, |node| &node.api)
    }
}

/// Starts all six processes.
pub(super) fn start(plan: Plan) -> Result<[Domain; 2], ServiceError> {
    let mut domains = Vec::new();
    for mut domain in plan.domains {
        let nodes: Result<Vec<Running>, _> = domain.nodes.drain(..).map(Running::start).collect();
        domains.push(Domain { plan: domain, nodes: nodes? });
    }
    domains.try_into().map_err(|_| ServiceError::bad_input("bad_plan", "two domains are planned"))
}

/// Waits until every node knows a leader and has applied the genesis.
pub(super) fn wait_until_ready(domains: &mut [Domain; 2]) -> Result<(), ServiceError> {
    let begun = comity_runtime::now();
    loop {
        let ready = |node: &Running| {
            node.status().is_some_and(|status| status["founded"] == true && !status["leader"].is_null())
        };
        if domains.iter().flat_map(|domain| &domain.nodes).all(ready) {
            return Ok(());
        }
        for node in domains.iter_mut().flat_map(|domain| &mut domain.nodes) {
            if node.process.ended() {
                let detail = format!("{} ended:\n{}", node.process.name(), node.process.last_words());
                return Err(ServiceError::new(Kind::Internal, "node_ended", detail, "see its log"));
            }
        }
        if begun.elapsed() > READY_WITHIN {
            let next = "see node.log in each data directory; keep them with --dir DIR";
            return Err(ServiceError::new(Kind::Unavailable, "not_ready", "no leader in time", next));
        }
        pause(Duration::from_millis(20));
    }
}

/// A treaty on both sides, and leave to hire each other; a new domain has filled its faucet by itself.
pub(super) fn operate(domains: &[Domain; 2]) -> Result<(), ServiceError> {
    let [alpha, beta] = domains;
    for (own, peer) in [(alpha, beta), (beta, alpha)] {
        let verb = own.plan.known().treaty_with(&peer.plan.known(), CAP).map_err(|_| bad_text())?;
        let admits = own.plan.known().admits(&peer.plan.known()).map_err(|_| bad_text())?;
        for verb in [verb, admits] {
            let batch = own.operator().sign(verb, comity_runtime::wall_ms());
            context::submit(own.api(), &batch)?;
        }
    }
    Ok(())
}

fn bad_text() -> ServiceError {
    ServiceError::bad_input("bad_text", "a name of the plan")
}

/// Registers the agent that will have referred the orchestrator; gives its id.
pub(super) fn scout(alpha: &Domain) -> Result<AgentId, ServiceError> {
    let key: SecretKey = crate::founding::fresh_key();
    let signer = Signer::first_key(key, alpha.plan.id());
    let verb = Verb::RegisterAgent {
        nickname: Nickname::new("scout").map_err(|_| bad_text())?,
        group: None,
        referred_by: None,
        own_code: Some(ReferralCode::new("SCOUT").map_err(|_| bad_text())?),
        admission: None,
        custodial: false,
    };
    context::submit(alpha.api(), &signer.sign(verb, comity_runtime::wall_ms()))?;
    signer.agent_id().ok_or_else(bad_text)
}

/// An agent program with its log.
pub(super) fn start_agent(role: &str, dir: &Path, config: &super::agents::AgentConfig) -> Result<Agent, ServiceError> {
    use crate::storage::files::{self, Access};
    let path = dir.join(format!("{role}.json"));
    let text = serde_json::to_vec_pretty(config)
        .map_err(|error| ServiceError::new(Kind::Internal, "not_json", error.to_string(), "this is a defect"))?;
    files::write(&path, &text, Access::Secret)
        .map_err(|error| ServiceError::new(Kind::Internal, "cannot_write", error.to_string(), "free some space"))?;
    let log = dir.join(format!("{role}.log"));
    let process = Process::start(role, &["dev-agent", role, &path.display().to_string()], &log)?;
    Ok(Agent { process, log })
}

/// A running agent program: what it told, in order.
pub(super) struct Agent {
    pub(super) process: Process,
    log: std::path::PathBuf,
}

impl Agent {
    /// The facts of a step, once it was told.
    pub(super) fn next_of(&mut self, step: &str) -> Option<Value> {
        let bytes = crate::storage::files::read_up_to(&self.log, 64 << 20).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        // A line without its end is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let told = whole.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        told.into_iter().find(|facts| facts["step"] == step)
    }
}
