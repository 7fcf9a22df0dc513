//! What both agent programs share: a key, a node's REST API, a session.

use crate::{
    cli::{
        client::Client,
        context::{self, DomainView},
    },
    service::error::{Kind, ServiceError},
    signer::{Signer, fresh_id},
    storage::files,
};
use comity_proto::{
    command::{Referral, Verb},
    envelope::Signed as _,
    ids::{AgentId, Hash},
    keys::SecretKey,
    session::SessionRequest,
    text::{Nickname, ReferralCode},
};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// Everything that an agent may know at its start. Its key is its own; the tokens only open doors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentConfig {
    /// Display only.
    pub nickname: String,
    /// Seed of its key, hex.
    pub seed: String,
    /// REST addresses of its own domain's nodes, the preferred one first.
    pub nodes: Vec<String>,
    /// Lets it register, one per node.
    pub admission: Vec<String>,
    /// Who brought it.
    pub referred_by: Option<String>,
    /// What it asks for, or offers.
    pub capability: String,
    /// Minor units.
    pub price: u64,
    /// The orchestrator's input.
    pub input: Option<std::path::PathBuf>,
    /// How the worker behaves.
    pub mode: String,
    /// Seconds that the orchestrator gives the worker.
    pub deliver_seconds: u64,
}

impl AgentConfig {
    /// From a JSON file.
    ///
    /// # Errors
    /// `bad_agent_config`.
    pub fn load(path: &Path) -> Result<AgentConfig, ServiceError> {
        let bad = |detail: String| ServiceError::bad_input("bad_agent_config", detail);
        let bytes = files::read(path).map_err(|error| bad(error.to_string()))?;
        let bytes = bytes.ok_or_else(|| bad(format!("{} is not there", path.display())))?;
        serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))
    }
}

/// An agent with its node.
pub struct Me {
    /// Signs.
    pub signer: Signer,
    /// Its id.
    pub agent: AgentId,
    /// Its domain.
    pub domain: DomainView,
    /// The node's API with the agent's own session.
    pub api: Client,
    nodes: Vec<(String, String)>,
    at: usize,
}

impl Me {
    /// Registers (once), and opens a session at the first node that answers.
    ///
    /// # Errors
    /// What the node refused.
    pub fn arrive(config: &AgentConfig) -> Result<Me, ServiceError> {
        let bad = || ServiceError::bad_input("bad_agent_config", "the seed is not 64 hex characters");
        let seed: [u8; 32] =
            HEXLOWER.decode(config.seed.as_bytes()).ok().and_then(|seed| seed.try_into().ok()).ok_or_else(bad)?;
        let key = SecretKey::from_seed(&seed);
        let nodes: Vec<(String, String)> = config.nodes.iter().cloned().zip(config.admission.iter().cloned()).collect();
        let (base, admission) = nodes.first().cloned().ok_or_else(bad)?;
        let door = Client::new(base, admission.clone());
        let domain: DomainView = door.get("/api/v1/domain")?;
        let signer = Signer::first_key(key, domain.domain);
        let agent = AgentId::of_key(&signer.key().public());
        let referred_by = config.referred_by.as_deref().map(ReferralCode::new).transpose();
        let verb = Verb::RegisterAgent {
            nickname: Nickname::new(&config.nickname).map_err(|_| bad())?,
            group: None,
            referred_by: referred_by.map_err(|_| bad())?.map(Referral::Code),
            own_code: None,
            admission: Some(Hash::of(admission.as_bytes())),
            custodial: false,
        };
        let batch = signer.sign(verb, comity_runtime::wall_ms());
        context::submit(&door, &batch)?;
        let mut me = Me { signer, agent, domain, api: door, nodes, at: 0 };
        me.open_session()?;
        Ok(me)
    }

    /// Opens a session at the current node, or at the next ones when it does not answer.
    ///
    /// # Errors
    /// The last node's refusal.
    pub fn open_session(&mut self) -> Result<(), ServiceError> {
        let mut last = ServiceError::bad_input("bad_agent_config", "no node is configured");
        for _ in 0..self.nodes.len() {
            match self.open_session_here() {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
            self.at = (self.at + 1) % self.nodes.len();
        }
        Err(last)
    }

    fn open_session_here(&mut self) -> Result<(), ServiceError> {
        let Some((base, admission)) = self.nodes.get(self.at) else { return Ok(()) };
        let door = Client::new(base, admission);
        let node: DomainNode = door.get("/api/v1/domain")?;
        let request = SessionRequest {
            agent: self.agent,
            node: node.node,
            nonce: fresh_id().0,
            issued_at_ms: comity_runtime::wall_ms(),
        };
        let envelope = BASE64.encode(&request.seal(self.signer.key()));
        let answer: Value = door.post("/api/v1/sessions", &json!({ "envelope": envelope }))?;
        let token = answer["token"].as_str().unwrap_or_default();
        self.api = door.with_token(token);
        Ok(())
    }

    /// Signs a verb and brings it into a ledger, whichever node answers.
    ///
    /// # Errors
    /// The ledger's refusal.
    pub fn submit(&mut self, signer: &Signer, verb: Verb) -> Result<Value, ServiceError> {
        let batch = signer.sign(verb, comity_runtime::wall_ms());
        let mut left = self.nodes.len().max(1);
        loop {
            match context::submit(&self.api, &batch) {
                Err(error) if left > 1 && is_nodes_fault(error.kind) => {
                    left -= 1;
                    self.at = (self.at + 1) % self.nodes.len();
                    self.open_session()?;
                }
                answer => return answer,
            }
        }
    }
}

/// Whether another node may do better.
pub fn is_nodes_fault(kind: Kind) -> bool {
    matches!(kind, Kind::Unavailable | Kind::Unknown | Kind::Unauthenticated | Kind::Internal)
}

#[derive(Deserialize)]
struct DomainNode {
    node: comity_proto::ids::PublicKey,
}

/// Tells the narrator one thing, as one line of JSON on standard output.
pub fn tell(step: &str, mut facts: Value) {
    facts["step"] = step.into();
    facts["at_ms"] = comity_runtime::wall_ms().into();
    println!("{facts}");
}
