//! Who signs for a delegation: the key that this node keeps for its owner, opened by the owner's token, or a key in the
//! node's own data directory, which the operator names.
//!
//! A token is never written down. After a restart a delegation of the first kind goes on when its owner shows its token
//! again; until then its escrow runs by its own terms. One of the second kind goes on by itself.

use super::state::Delegation;
use crate::{
    custody::VALID_FOR_MS,
    node::Node,
    service::{
        commands,
        custody::{self, Asked, Bearer, Plan},
        error::ServiceError,
    },
    wallet::Wallet,
};
use bytes::Bytes;
use comity_proto::{
    command::{Actor, Command, CommandBatch},
    envelope::Signed as _,
    ids::{AgentId, Hash, RequestId},
    keys::SecretKey,
    task::TaskRequest,
};

/// One who signs.
pub(super) enum Hand {
    /// Presents the token that opens the seal.
    Custodial(Bearer),
    /// A key of the data directory.
    Wallet(AgentId, SecretKey),
}

impl Hand {
    /// Of a key in the data directory.
    ///
    /// # Errors
    /// `no_such_key`.
    pub(super) fn of_wallet(node: &Node, name: &str) -> Result<Hand, ServiceError> {
        let signer = Wallet::of(&node.home().dir).signer(name, node.domain())?;
        let agent = signer.agent_id().ok_or_else(|| ServiceError::not_found("agent", name))?;
        Ok(Hand::Wallet(agent, signer.key().clone()))
    }

    /// Brings a command of a delegation into its ledger. The same step of the same attempt is the same command.
    ///
    /// # Errors
    /// What the ledger refuses; `spending_limit`.
    pub(super) async fn act(
        &self,
        node: &Node,
        delegation: &Delegation,
        step: &str,
        plan: Plan,
    ) -> Result<(), ServiceError> {
        let name = format!("{}-{}-{step}", delegation.id, delegation.attempts.len());
        match self {
            Hand::Custodial(bearer) => {
                let asked = Asked::new(&format!("delegation-{name}"), "delegation", &[])?;
                custody::act(node, bearer, &asked, async move |_, _| Ok(plan)).await.map(drop)
            }
            Hand::Wallet(agent, key) => {
                let request_id = RequestId(Hash::of_parts("comity/v1/delegation-step", &[name.as_bytes()]).first_16());
                let begun_ms = delegation.attempts.last().map_or(0, |attempt| attempt.begun_ms);
                let batch = CommandBatch {
                    home: plan.home,
                    actor: Actor::Agent(*agent),
                    valid_until_ms: begun_ms.saturating_add(VALID_FOR_MS),
                    commands: vec![Command { request_id, verb: plan.verb }],
                };
                commands::submit(node, batch.seal(key), &request_id.to_string()).await.map(drop)
            }
        }
    }

    /// Signs a task: the same one gives the same bytes.
    ///
    /// # Errors
    /// `own_key`.
    pub(super) async fn sign(&self, node: &Node, task: &TaskRequest) -> Result<Bytes, ServiceError> {
        match self {
            Hand::Custodial(bearer) => Ok(task.seal(&custody::key_of(node, bearer).await?.1)),
            Hand::Wallet(_, key) => Ok(task.seal(key)),
        }
    }
}
