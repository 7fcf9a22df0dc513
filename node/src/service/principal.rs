//! Who is asking: bearer tokens of the operator, of newcomers, and of agents that proved their key.
//!
//! A token opens a door of this node, never an account: money moves by signature only. Tokens are compared by their
//! SHA-256, so the time a comparison takes says nothing about the secret.

use super::error::{Kind, ServiceError};
use comity_proto::ids::AgentId;
use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

/// How long an agent's session lasts.
pub const SESSION_MS: u64 = 24 * 60 * 60 * 1000;
/// Sessions kept at once; the one that ends first makes room.
pub const SESSIONS_MAX: usize = 10_000;
/// Characters of a token: 32 random bytes in hex.
pub const TOKEN_CHARS: usize = 64;
/// Signed requests remembered at once: over a thousand each second, for as long as one counts.
const SIGNED_MAX: usize = 200_000;

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
    /// Signed requests that came, each until it is too old to count.
    signed: Mutex<BTreeSet<(u64, AgentId, String)>>,
    /// Reads the metrics, and nothing else.
    watcher: OnceLock<[u8; 32]>,
    /// Since when they are remembered.
    since_ms: u64,
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
    /// Keeps digests only. What was signed before it is `now_ms` may have come to the process before this one.
    pub fn new(operator: &str, admission: &str, now_ms: u64) -> Tokens {
        let (operator, admission) = (digest(operator), digest(admission));
        Tokens {
            operator,
            admission,
            sessions: Mutex::default(),
            custodial: Mutex::default(),
            signed: Mutex::default(),
            watcher: OnceLock::new(),
            since_ms: now_ms,
        }
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

    /// Whoever has this token reads the metrics from now on. The first one stays.
    pub fn let_watch(&self, token: &str) {
        self.watcher.get_or_init(|| digest(token));
    }

    /// Whether this is that token. To every other door it is an unknown one.
    pub fn watches(&self, token: &str) -> bool {
        self.watcher.get().is_some_and(|watcher| *watcher == digest(token))
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

    /// Whether a request of that second can be told from one that came before.
    pub fn remembers(&self, created_ms: u64) -> bool {
        created_ms > self.since_ms
    }

    /// Remembers a signed request, which would count until then.
    ///
    /// # Errors
    /// `nonce_repeated`: it came before.
    pub fn once(&self, agent: AgentId, nonce: String, now_ms: u64, until_ms: u64) -> Result<(), ServiceError> {
        let mut signed = self.signed.lock();
        while signed.first().is_some_and(|(until_ms, ..)| *until_ms < now_ms) {
            signed.pop_first();
        }
        if signed.len() >= SIGNED_MAX {
            let detail = "this node cannot remember more signed requests now";
            return Err(ServiceError::new(Kind::Unavailable, "too_many_signed", detail, "use a session's token"));
        }
        if signed.insert((until_ms, agent, nonce)) {
            return Ok(());
        }
        let next = "sign each request anew, with a nonce of its own";
        Err(ServiceError::new(Kind::Unauthenticated, "nonce_repeated", "this signed request came before", next))
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
        let tokens = Tokens::new("operator", "admission", 0);
        let agent = AgentId([7; 32]);
        let (token, ends) = tokens.open_session(agent, 1000);
        assert_eq!(token.len(), TOKEN_CHARS);
        assert_eq!(tokens.identify(&token, ends - 1).unwrap(), Principal::Agent(agent));
        assert_eq!(tokens.identify(&token, ends).unwrap_err().code, "bad_token");
    }

    #[test]
    fn a_signed_request_counts_once_and_is_forgotten_when_it_is_too_old_to_count() {
        let tokens = Tokens::new("operator", "admission", 5_000);
        let (agent, other) = (AgentId([7; 32]), AgentId([8; 32]));
        let once = |agent, nonce: &str, now_ms| tokens.once(agent, nonce.to_owned(), now_ms, 9_000);
        once(agent, "a", 6_000).unwrap();
        assert_eq!(once(agent, "a", 9_000).unwrap_err().code, "nonce_repeated");
        once(agent, "b", 6_000).unwrap();
        once(other, "a", 6_000).unwrap();
        tokens.once(agent, "c".to_owned(), 9_001, 12_000).unwrap();
        assert_eq!(tokens.signed.lock().len(), 1);
        // What an earlier process may have taken is not remembered by this one.
        assert!(tokens.remembers(5_001) && !tokens.remembers(5_000));
    }

    #[test]
    fn the_token_of_a_watcher_opens_no_other_door() {
        let tokens = Tokens::new("operator", "admission", 0);
        assert!(!tokens.watches("watcher"));
        tokens.let_watch("watcher");
        tokens.let_watch("another");
        assert!(tokens.watches("watcher") && !tokens.watches("another") && !tokens.watches("operator"));
        assert_eq!(tokens.identify("watcher", 0).unwrap_err().code, "bad_token");
    }

    #[test]
    fn an_unknown_token_is_refused() {
        let tokens = Tokens::new("operator", "admission", 0);
        assert_eq!(tokens.identify("operator", 0).unwrap(), Principal::Operator);
        assert_eq!(tokens.identify("admission", 0).unwrap(), Principal::Newcomer);
        assert_eq!(tokens.identify("Operator", 0).unwrap_err().code, "bad_token");
        assert_eq!(tokens.identify("", 0).unwrap_err().code, "bad_token");
    }
}
