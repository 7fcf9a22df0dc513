//! Builds and signs command batches for one agent or for the operator: the client's half of every verb.

use bytes::Bytes;
use comity_proto::{
    command::{Actor, Command, CommandBatch, Verb},
    envelope::Signed as _,
    ids::{AgentId, DomainId, EscrowId, RequestId, TransferId},
    keys::SecretKey,
    limits::SECOND_MS,
};

/// How long a signed command stays valid unless told otherwise: long enough for every retry of one sitting.
pub const VALID_FOR_MS: u64 = 600 * SECOND_MS;

/// A key and whom it speaks for.
#[derive(Clone)]
pub struct Signer {
    key: SecretKey,
    actor: Actor,
    home: DomainId,
}

/// A signed batch, ready to be sent and sent again.
#[derive(Clone, Debug)]
pub struct SignedBatch {
    /// Id of the first command; also the `Idempotency-Key`.
    pub request_id: RequestId,
    /// The exact bytes.
    pub envelope: Bytes,
}

impl Signer {
    /// Speaks for the agent whose first key this is.
    pub fn first_key(key: SecretKey, home: DomainId) -> Signer {
        let actor = Actor::Agent(AgentId::of_key(&key.public()));
        Signer { key, actor, home }
    }

    /// Speaks for an agent with its current key.
    pub fn agent(key: SecretKey, agent: AgentId, home: DomainId) -> Signer {
        Signer { key, actor: Actor::Agent(agent), home }
    }

    /// Speaks for the operator of `home`.
    pub fn operator(key: SecretKey, home: DomainId) -> Signer {
        Signer { key, actor: Actor::Operator, home }
    }

    /// The agent, if it is one.
    pub fn agent_id(&self) -> Option<AgentId> {
        match self.actor {
            Actor::Agent(agent) => Some(agent),
            Actor::Operator => None,
        }
    }

    /// The domain whose ledger is addressed.
    pub fn home(&self) -> DomainId {
        self.home
    }

    /// The same signer addressing another domain's ledger: a payee acting on a foreign escrow.
    pub fn towards(&self, home: DomainId) -> Signer {
        Signer { home, ..self.clone() }
    }

    /// The key, for signing other documents than commands.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Signs one command with a fresh request id.
    pub fn sign(&self, verb: Verb, now_ms: u64) -> SignedBatch {
        self.sign_as(fresh_id(), verb, now_ms)
    }

    /// Signs one command with the given request id.
    pub fn sign_as(&self, request_id: RequestId, verb: Verb, now_ms: u64) -> SignedBatch {
        self.sign_all(vec![Command { request_id, verb }], now_ms)
    }

    /// Signs several commands under one signature. The first one's id names the batch.
    pub fn sign_all(&self, commands: Vec<Command>, now_ms: u64) -> SignedBatch {
        let request_id = commands.first().map_or(RequestId([0; 16]), |command| command.request_id);
        let batch = CommandBatch {
            home: self.home,
            actor: self.actor,
            valid_until_ms: now_ms.saturating_add(VALID_FOR_MS),
            commands,
        };
        SignedBatch { request_id, envelope: batch.seal(&self.key) }
    }
}

fn random_16() -> [u8; 16] {
    let mut bytes = [0; 16];
    comity_runtime::entropy(&mut bytes);
    bytes
}

/// A fresh request id.
pub fn fresh_id() -> RequestId {
    RequestId(random_16())
}

/// A fresh escrow id.
pub fn fresh_escrow_id() -> EscrowId {
    EscrowId(random_16())
}

/// A fresh transfer id.
pub fn fresh_transfer_id() -> TransferId {
    TransferId(random_16())
}
