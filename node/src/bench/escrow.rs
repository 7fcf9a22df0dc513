//! Escrow locks inside one domain, through the same service function that every door calls.

use super::{
    BenchError,
    domain::{BenchDomain, refuse_failures},
    driver::{Client, DiskCount, Target},
};
use crate::{
    node::Node,
    service::commands,
    signer::{Signer, fresh_escrow_id, fresh_id},
};
use comity_proto::{
    amount::AssetId,
    command::{Command, Party, Verb},
    escrow::{EscrowTerms, Payee, Silence},
    ids::Hash,
    limits::{HOUR_MS, OPEN_ESCROWS_PER_PAYER_MAX},
    text::Condition,
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// After so many locks the next account takes its place: a payer may not have more escrows open.
const LOCKS_PER_PAYER: usize = 100_000;
const _: () = assert!(LOCKS_PER_PAYER + 256 < OPEN_ESCROWS_PER_PAYER_MAX);

/// Locks of signed escrows.
pub(super) struct Escrows<'a> {
    pub(super) domain: &'a BenchDomain,
    /// Commands under one signature.
    pub(super) per_call: usize,
    /// All clients debit the same account.
    pub(super) hot: bool,
}

/// Paying accounts, one after the other.
struct Purse {
    payers: Vec<Signer>,
    taken: AtomicUsize,
}

impl Purse {
    /// The account for the next `locks`.
    fn next(&self, locks: usize) -> &Signer {
        let before = self.taken.fetch_add(locks, Ordering::Relaxed);
        &self.payers[before / LOCKS_PER_PAYER % self.payers.len()]
    }
}

impl Target for Escrows<'_> {
    type Client = Locker;

    async fn clients(&self, count: usize) -> Result<Vec<Locker>, BenchError> {
        let leader = self.domain.leader()?;
        let payee = self.domain.agents(1, false).await?.remove(0);
        // Enough for 1.6 million locks in one run of a hot account or of batches.
        let each = if self.hot || self.per_call > 1 { 16 } else { 2 };
        let purses = if self.hot { 1 } else { count };
        let mut payers = self.domain.agents(purses * each, true).await?;
        let purse = |payers: Vec<Signer>| Arc::new(Purse { payers, taken: AtomicUsize::new(0) });
        let purses: Vec<Arc<Purse>> = (0..purses).map(|_| purse(payers.split_off(payers.len() - each))).collect();
        let terms = terms(&payee, self.domain.asset())?;
        let locker = |index: usize| Locker {
            node: leader.clone(),
            purse: purses[index % purses.len()].clone(),
            terms: terms.clone(),
            per_call: self.per_call,
        };
        Ok((0..count).map(locker).collect())
    }

    async fn disks(&self) -> Option<DiskCount> {
        Some(self.domain.disks())
    }
}

/// Terms without milestones, arbiter or referral; payer and times are filled in at each lock.
pub(super) fn terms(payee: &Signer, asset: AssetId) -> Result<EscrowTerms, BenchError> {
    let agent = payee.agent_id().ok_or_else(|| BenchError::new("making terms", "the payee is no agent"))?;
    let party = Party { domain: payee.home(), agent };
    let condition = Condition::new("none").map_err(|e| BenchError::new("making terms", e.to_string()))?;
    Ok(EscrowTerms {
        payer: agent,
        payees: vec![Payee { party, key: payee.key().public(), share_bps: 10_000 }],
        asset,
        amount: 10,
        task_hash: Hash([7; 32]),
        condition,
        deliver_by_ms: 0,
        delivery_grace_ms: 0,
        review_window_ms: HOUR_MS,
        on_silence: Silence::Release,
        arbiter: None,
        ruling_window_ms: HOUR_MS,
        on_no_ruling: Silence::Refund,
        referred_by: None,
        milestones: Vec::new(),
    })
}

/// One payer's program.
pub(super) struct Locker {
    node: Arc<Node>,
    purse: Arc<Purse>,
    terms: EscrowTerms,
    per_call: usize,
}

impl Client for Locker {
    async fn call(&mut self) -> Result<u64, BenchError> {
        let payer = self.purse.next(self.per_call);
        let now_ms = comity_runtime::wall_ms();
        let agent = payer.agent_id().ok_or_else(|| BenchError::new("locking", "the payer is no agent"))?;
        let terms = EscrowTerms { payer: agent, deliver_by_ms: now_ms + HOUR_MS, ..self.terms.clone() };
        let lock = |_| {
            let verb = Verb::LockEscrow { escrow_id: fresh_escrow_id(), terms: terms.clone() };
            Command { request_id: fresh_id(), verb }
        };
        let batch = payer.sign_all((0..self.per_call).map(lock).collect(), now_ms);
        let done = commands::submit(&self.node, batch.envelope, &batch.request_id.to_string()).await?;
        refuse_failures(&done)?;
        Ok(self.per_call as u64)
    }
}
