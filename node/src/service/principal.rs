//! Who is asking: bearer tokens of the operator, of newcomers, and of agents that proved their key.
//!
//! A token opens a door of this node, never an account: money moves by signature only. Tokens are compared by their
//! SHA-256, so the time a comparison takes says nothing about the secret.

use super::error::{Kind, ServiceError};
use comity_proto::ids::AgentId;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How long an agent's session lasts.
pub const SESSION_MS: u64 = 24 * 60 * 60 * 1000;
/// Sessions kept at once; the one that ends first makes room.
pub const SESSIONS_MAX: usize = 10_000;
/// Characters of a token: 32 random bytes in hex.
pub const TOKEN_CHARS: usize = 64;

/// Who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Principal {
    /// Runs this node.
    Operator,
    /// May register and read.
    Newcomer,
    /// Proved the key of this agent.
    Agent(AgentId),
}

impl Principal {
    /// Only the operator may pass.
    ///
    /// # Errors
    /// `operator_only`.
    pub fn require_operator(self) -> Result<(), ServiceError> {
        match self {
            Principal::Operator => Ok(()),
            _ => Err(ServiceError::new(
                Kind::Forbidden,
                "operator_only",
                "this needs the operator's token",
                "use the token in the node's data directory (api.token)",
            )),
        }
    }

    /// Only the agent itself may pass.
    ///
    /// # Errors
    /// `not_this_agent`.
    pub fn require_agent(self, agent: AgentId) -> Result<(), ServiceError> {
        match self {
            Principal::Agent(own) if own == agent => Ok(()),
            _ => Err(ServiceError::new(
                Kind::Forbidden,
                "not_this_agent",
                format!("this needs a session of agent {agent}"),
                "open one with POST /api/v1/sessions, signed by that agent's key",
            )),
        }
    }
}

struct Session {
    agent: AgentId,
    ends_ms: u64,
}

/// The tokens that this node accepts.
pub struct Tokens {
    operator: [u8; 32],
    admission: [u8; 32],
    sessions: Mutex<BTreeMap<[u8; 32], Session>>,
    /// Of custodial accounts; they last until the account is claimed.
    custodial: Mutex<BTreeMap<[u8; 32], AgentId>>,
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A fresh token of [`TOKEN_CHARS`] characters.
pub fn fresh_token() -> String {
    let mut bytes = [0; TOKEN_CHARS / 2];
    comity_runtime::entropy(&mut bytes);
    HEXLOWER.encode(&bytes)
}

impl Tokens {
    /// Keeps digests only.
    pub fn new(operator: &str, admission: &str) -> Tokens {
        let (operator, admission) = (digest(operator), digest(admission));
        Tokens { operator, admission, sessions: Mutex::default(), custodial: Mutex::default() }
    }

    /// Takes in the digests of custodial accounts that were opened before this start.
    pub fn keep_all(&self, accounts: Vec<([u8; 32], AgentId)>) {
        self.custodial.lock().extend(accounts);
    }

    /// The token of a custodial account, from now on.
    pub fn keep(&self, token: &str, agent: AgentId) {
        self.custodial.lock().insert(digest(token), agent);
    }

    /// The token of a custodial account that is no more.
    pub fn forget(&self, token: &str) {
        self.custodial.lock().remove(&digest(token));
    }

    /// SHA-256 of the admission token, as it stands in registrations.
    pub fn admission_hash(&self) -> [u8; 32] {
        self.admission
    }

    /// Who presents `token`.
    ///
    /// # Errors
    /// `bad_token`: unknown, or its session has ended.
    pub fn identify(&self, token: &str, now_ms: u64) -> Result<Principal, ServiceError> {
        let presented = digest(token);
        if presented == self.operator {
            return Ok(Principal::Operator);
        }
        if presented == self.admission {
            return Ok(Principal::Newcomer);
        }
        if let Some(agent) = self.custodial.lock().get(&presented) {
            return Ok(Principal::Agent(*agent));
        }
        match self.sessions.lock().get(&presented) {
            Some(session) if session.ends_ms > now_ms => Ok(Principal::Agent(session.agent)),
            _ => Err(bad_token("the token is unknown here or its session has ended")),
        }
    }

    /// Opens a session for an agent whose signature was checked; gives the token and its end.
    pub fn open_session(&self, agent: AgentId, now_ms: u64) -> (String, u64) {
        let token = fresh_token();
        let ends_ms = now_ms.saturating_add(SESSION_MS);
        let mut sessions = self.sessions.lock();
        sessions.retain(|_, session| session.ends_ms > now_ms);
        if sessions.len() >= SESSIONS_MAX {
            let first = sessions.iter().min_by_key(|(_, session)| session.ends_ms).map(|(key, _)| *key);
            first.and_then(|key| sessions.remove(&key));
        }
        sessions.insert(digest(&token), Session { agent, ends_ms });
        (token, ends_ms)
    }
}

/// The refusal of a missing or wrong token.
pub fn bad_token(detail: &str) -> ServiceError {
    ServiceError::new(
        Kind::Unauthenticated,
        "bad_token",
        detail,
        "send `Authorization: Bearer TOKEN`; the operator's token is in the node's data directory (api.token)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_token_names_its_agent_until_it_ends() {
        crate::runtime::tests_world();
        let tokens = Tokens::new("operator", "admission");
        let agent = AgentId([7; 32]);
        let (token, ends) = tokens.open_session(agent, 1000);
        assert_eq!(token.len(), TOKEN_CHARS);
        assert_eq!(tokens.identify(&token, ends - 1).unwrap(), Principal::Agent(agent));
        assert_eq!(tokens.identify(&token, ends).unwrap_err().code, "bad_token");
    }

    #[test]
    fn an_unknown_token_is_refused() {
        let tokens = Tokens::new("operator", "admission");
        assert_eq!(tokens.identify("operator", 0).unwrap(), Principal::Operator);
        assert_eq!(tokens.identify("admission", 0).unwrap(), Principal::Newcomer);
        assert_eq!(tokens.identify("Operator", 0).unwrap_err().code, "bad_token");
        assert_eq!(tokens.identify("", 0).unwrap_err().code, "bad_token");
    }
}
