//! An agent of a test: a key, and what it can sign.

use super::{now_ms, world};
use comity_node::{
    cli::{client::Client, context},
    founding::fresh_key,
    service::error::ServiceError,
    signer::{SignedBatch, Signer, fresh_transfer_id},
};
use comity_proto::{
    amount::AssetId,
    command::{Party, Verb},
    escrow::{EscrowTerms, Payee, Silence},
    ids::{AgentId, DomainId, Hash, TransferId},
    limits::{BPS_WHOLE, HOUR_MS},
    text::{Condition, Memo, Nickname},
};
use serde_json::Value;

/// An agent.
#[derive(Clone)]
pub struct Agent {
    /// Signs towards its home.
    pub signer: Signer,
    /// Its id.
    pub id: AgentId,
}

impl Agent {
    /// With a fresh key, not registered anywhere.
    pub fn fresh(home: DomainId) -> Agent {
        world();
        let key = fresh_key();
        let id = AgentId::of_key(&key.public());
        Agent { signer: Signer::first_key(key, home), id }
    }

    /// Registered through this node.
    ///
    /// # Panics
    /// When the node refuses.
    pub fn registered(api: &Client, home: DomainId, nickname: &str) -> Agent {
        let agent = Agent::fresh(home);
        let verb = Verb::register(Nickname::new(nickname).expect("a nickname"));
        agent.must(api, verb);
        agent
    }

    /// Registered, with the faucet's grant.
    ///
    /// # Panics
    /// When the node refuses.
    pub fn funded(api: &Client, home: DomainId, nickname: &str) -> Agent {
        let agent = Agent::registered(api, home, nickname);
        agent.must(api, Verb::ClaimFaucet);
        agent
    }

    /// Where it is at home, and who it is.
    pub fn party(&self) -> Party {
        Party { domain: self.signer.home(), agent: self.id }
    }

    /// Signs one command now.
    pub fn sign(&self, verb: Verb) -> SignedBatch {
        self.signer.sign(verb, now_ms())
    }

    /// Signs and sends until there is an answer.
    ///
    /// # Errors
    /// The refusal.
    pub fn submit(&self, api: &Client, verb: Verb) -> Result<Value, ServiceError> {
        context::submit(api, &self.sign(verb))
    }

    /// Signs and sends; it must succeed.
    ///
    /// # Panics
    /// When it is refused.
    pub fn must(&self, api: &Client, verb: Verb) -> Value {
        self.submit(api, verb).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Money in the asset of its home, to anybody.
    pub fn pay(&self, to: Party, asset: AssetId, amount: u64) -> (TransferId, Verb) {
        let transfer_id = fresh_transfer_id();
        (transfer_id, Verb::Transfer { transfer_id, to, asset, amount, memo: Memo::new("").expect("an empty memo") })
    }

    /// Plain terms: one payee, an hour to deliver, an hour to answer, silence refunds.
    pub fn terms(&self, payee: &Agent, asset: AssetId, amount: u64) -> EscrowTerms {
        EscrowTerms {
            payer: self.id,
            payees: vec![Payee { party: payee.party(), key: payee.signer.key().public(), share_bps: BPS_WHOLE }],
            asset,
            amount,
            task_hash: Hash::of(b"a task"),
            condition: Condition::new("it is done").expect("a condition"),
            deliver_by_ms: now_ms() + HOUR_MS,
            delivery_grace_ms: 0,
            review_window_ms: HOUR_MS,
            on_silence: Silence::Refund,
            arbiter: None,
            ruling_window_ms: HOUR_MS,
            on_no_ruling: Silence::Refund,
            referred_by: None,
            milestones: Vec::new(),
        }
    }

    /// What it holds of an asset, minor units.
    ///
    /// # Errors
    /// The refusal.
    pub fn balance(&self, api: &Client, asset: &AssetId) -> Result<u64, ServiceError> {
        let account: Value = api.get(&format!("/api/v1/accounts/{}", self.id))?;
        let issuer = asset.issuer.to_string();
        let line = account["balances"].as_array().into_iter().flatten().find(|line| line["issuer"] == issuer.as_str());
        Ok(line.and_then(|line| line["available"].as_str()).map_or(0, |text| text.parse().expect("minor units")))
    }
}
