//! What may be asked of a ledger without changing it.

use crate::{
    account::{AccountKey, AssetIndex},
    checkpoint::Checkpoint,
    escrow::Escrow,
    state::{Agent, Asset, Domain, Ledger, NameRecord, OPERATOR, Remembered},
};
use comity_proto::{
    amount::AssetId,
    command::Actor,
    ids::{AgentId, DomainId, EscrowId, RequestId},
    policy::Policy,
    text::{Name, ReferralCode},
};

/// How much a ledger holds. Each figure is at hand: nothing is walked through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Agents at home here.
    pub agents: usize,
    /// Names that somebody owns.
    pub names: usize,
    /// Balances that are not zero.
    pub accounts: usize,
    /// Answers that are remembered by request id.
    pub requests: usize,
    /// Escrows that wait for somebody, or for a deadline.
    pub escrows_open: usize,
    /// Escrows that are settled here, of which a share has not arrived in another domain yet.
    pub escrows_paying: usize,
    /// Escrows that have ended and are not forgotten yet.
    pub escrows_ended: usize,
    /// Transfers that this domain began and has not forgotten.
    pub outgoing: usize,
    /// Transfers that other domains began and that are not forgotten here.
    pub incoming: usize,
    /// Shares that escrows still owe to agents of other domains.
    pub payouts: usize,
}

impl Ledger {
    /// How much it holds.
    pub const fn sizes(&self) -> Sizes {
        let (open, ended) = (self.escrow_queue.len(), self.forget_queue.len());
        Sizes {
            agents: self.agents.len(),
            names: self.names.len(),
            accounts: self.accounts.len(),
            requests: self.remembered.len(),
            escrows_open: open,
            escrows_paying: self.escrows.len().saturating_sub(open.saturating_add(ended)),
            escrows_ended: ended,
            outgoing: self.settlement.outgoing.len(),
            incoming: self.settlement.incoming.len(),
            payouts: self.settlement.payouts.len(),
        }
    }

    /// Who this ledger belongs to; `None` before the genesis.
    pub const fn domain(&self) -> Option<&Domain> {
        self.head.domain.as_ref()
    }

    pub(crate) fn domain_id(&self) -> Option<DomainId> {
        self.domain().map(|domain| domain.id)
    }

    /// Whether this is the domain's own id.
    pub fn is_home(&self, domain: &DomainId) -> bool {
        self.domain().is_some_and(|own| own.id == *domain)
    }

    /// Raft log index of the last applied entry.
    pub const fn log_index(&self) -> u64 {
        self.head.log_index
    }

    /// Ledger time: stamp of the last applied entry, ms since the Unix epoch.
    pub const fn stamp_ms(&self) -> u64 {
        self.head.stamp_ms
    }

    /// Sum of the stalls that moved escrow deadlines, ms: added to a deadline in worked time it gives ledger time.
    pub const fn stalled_ms(&self) -> u64 {
        self.head.stalled_ms
    }

    /// An agent at home here.
    pub fn agent(&self, id: &AgentId) -> Option<&Agent> {
        self.agents.get(id)
    }

    /// Whether an operator keeps the key of this agent and can spend with it: said at registration, and true for as long
    /// as the first key counts.
    pub fn is_custodial(&self, id: &AgentId) -> bool {
        self.agents.get(id).is_some_and(|agent| agent.profile.custodial && AgentId::of_key(&agent.key) == *id)
    }

    /// All agents at home here, by id.
    pub fn agents(&self) -> impl Iterator<Item = (&AgentId, &Agent)> {
        self.agents.iter()
    }

    /// Who owns a name now; one whose time is over counts as free.
    pub fn resolve(&self, name: &Name) -> Option<&NameRecord> {
        self.names.get(name).filter(|record| record.expires_ms > self.head.stamp_ms)
    }

    /// Names in order, with those whose time is over but not yet applied.
    pub fn names(&self) -> impl Iterator<Item = (&Name, &NameRecord)> {
        self.names.iter()
    }

    /// Who hands out a referral code.
    pub fn referrer(&self, code: &ReferralCode) -> Option<&AgentId> {
        self.codes.get(code)
    }

    /// Available to an agent, minor units; zero also for an agent that does not exist.
    pub fn balance(&self, agent: &AgentId, asset: &AssetId) -> u64 {
        self.asset_index(asset).map_or(0, |asset| self.balance_of(&AccountKey::agent(*agent, asset)))
    }

    /// Magnitude of any account, minor units; of an issuance it is the supply.
    pub fn balance_of(&self, account: &AccountKey) -> u64 {
        self.accounts.get(account).copied().unwrap_or(0)
    }

    /// All accounts that are not empty, in order, as magnitudes.
    pub fn accounts(&self) -> impl Iterator<Item = (&AccountKey, u64)> {
        self.accounts.iter().map(|(account, balance)| (account, *balance))
    }

    /// Known assets with their index.
    pub fn assets(&self) -> impl Iterator<Item = (AssetIndex, &Asset)> {
        (0u32..).map(AssetIndex).zip(&self.head.assets)
    }

    /// One escrow.
    pub fn escrow(&self, id: &EscrowId) -> Option<&Escrow> {
        self.escrows.get(id)
    }

    /// All escrows, by id.
    pub fn escrows(&self) -> impl Iterator<Item = (&EscrowId, &Escrow)> {
        self.escrows.iter()
    }

    /// The policy in force and those announced, with the ledger time from which they count.
    pub fn policies(&self) -> &[(u64, Policy)] {
        &self.head.policies
    }

    /// The answer to a request id, while it is remembered.
    pub fn remembered(&self, actor: &Actor, request: &RequestId) -> Option<&Remembered> {
        let signer = match actor {
            Actor::Agent(agent) => *agent,
            Actor::Operator => OPERATOR,
        };
        self.remembered.get(&(signer, *request)).filter(|known| known.valid_until_ms >= self.head.stamp_ms)
    }

    /// The event log as it stands; what a node signs.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let events = &self.head.events;
        Some(Checkpoint {
            domain: self.domain_id()?,
            size: events.size(),
            root: events.root(),
            stamp_ms: self.head.stamp_ms,
            log_index: self.head.log_index,
        })
    }
}
