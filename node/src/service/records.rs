//! Escrows as their parties keep books of them: the whole record, for doors that tell more than [`super::trades`] shows.

use super::{
    books::read,
    error::ServiceError,
    principal::Principal,
    trades::{LIST_MAX, concerns, is_side},
};
use crate::node::Node;
use comity_ledger::{
    AccountKey, Ledger,
    escrow::{Dispute, Escrow, EscrowState, PartState},
};
use comity_proto::{
    amount::share_of,
    command::Party,
    escrow::EscrowTerms,
    ids::{AgentId, EscrowId, Hash},
};
use std::sync::Arc;

/// One escrow.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its id.
    pub escrow: EscrowId,
    /// As the payer signed them.
    pub terms: Arc<EscrowTerms>,
    /// Now.
    pub state: EscrowState,
    /// Stamp of the lock, ms.
    pub locked_ms: u64,
    /// Stamp of its end, ms.
    pub ended_ms: Option<u64>,
    /// When time decides next, ledger ms; `None` when it has ended.
    pub deadline_ms: Option<u64>,
    /// Minor units neither paid nor returned.
    pub open: u64,
    /// Paid to the payees so far, before fees.
    pub paid: u64,
    /// Fee taken so far.
    pub fee: u64,
    /// The fee of a release of everything, by the policy at the lock.
    pub fee_in_all: u64,
    /// What whoever disputes puts down.
    pub bond: u64,
    /// The open dispute.
    pub dispute: Option<Dispute>,
    /// SHA-256 of what is under review, and since when, ledger ms.
    pub delivered: Option<(Hash, u64)>,
}

/// What an agent has put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Minor units of the domain's own asset that are free.
    pub available: u64,
    /// In escrows that the agent pays, and in bonds.
    pub held: u64,
}

fn of(ledger: &Ledger, id: EscrowId, escrow: &Escrow) -> Record {
    let stalled = ledger.stalled_ms();
    let delivered = escrow.parts.iter().find_map(|part| match part.state {
        PartState::Submitted { result_hash, review_by } => {
            let at = review_by.saturating_sub(escrow.terms.review_window_ms).saturating_add(stalled);
            Some((result_hash, at))
        }
        PartState::Open | PartState::Settled => None,
    });
    Record {
        escrow: id,
        terms: escrow.terms.clone(),
        state: escrow.state(),
        locked_ms: escrow.locked_ms,
        ended_ms: escrow.ended_ms,
        deadline_ms: escrow.deadline().map(|worked| worked.saturating_add(stalled)),
        open: ledger.balance_of(&AccountKey::escrow(id, escrow.asset)),
        paid: escrow.paid,
        fee: escrow.fee_taken,
        fee_in_all: share_of(escrow.terms.amount, escrow.rules.escrow_fee_bps).unwrap_or_default(),
        bond: escrow.rules.dispute_bond,
        dispute: escrow.dispute,
        delivered,
    }
}

impl Record {
    /// Who is paid, if it is one.
    pub fn payee(&self) -> Option<Party> {
        match self.terms.payees.as_slice() {
            [payee] => Some(payee.party),
            _ => None,
        }
    }
}

/// One escrow by its whole id, for its parties, its arbiter and the operator: to anybody else it is unknown.
///
/// # Errors
/// `unknown_escrow`.
pub async fn record(node: &Node, who: Principal, text: &str) -> Result<Record, ServiceError> {
    let id: EscrowId = text.parse().map_err(|_| ServiceError::not_found("escrow", text))?;
    read(node, |ledger| {
        let escrow = ledger.escrow(&id).filter(|escrow| concerns(escrow, who));
        let escrow = escrow.ok_or_else(|| ServiceError::not_found("escrow", text))?;
        Ok(of(ledger, id, escrow))
    })
    .await?
}

/// Escrows in which an agent is payer or payee, newest first, at most [`LIST_MAX`].
///
/// # Errors
/// No majority.
pub async fn records(node: &Node, agent: AgentId) -> Result<Vec<Record>, ServiceError> {
    read(node, |ledger| {
        let mine = ledger.escrows().filter(|(_, escrow)| is_side(escrow, agent));
        let mut records: Vec<Record> = mine.map(|(id, escrow)| of(ledger, *id, escrow)).collect();
        records.sort_by_key(|record| (std::cmp::Reverse(record.locked_ms), record.escrow));
        records.truncate(LIST_MAX);
        records
    })
    .await
}

/// What an agent has, free and put aside, of the domain's own asset.
///
/// # Errors
/// `unknown_agent`.
pub async fn held(node: &Node, agent: AgentId) -> Result<Held, ServiceError> {
    read(node, |ledger| {
        ledger.agent(&agent).ok_or_else(|| ServiceError::not_found("agent", agent))?;
        let asset = ledger.native_asset();
        let paying = ledger.escrows().filter(|(_, escrow)| escrow.terms.payer == agent && escrow.asset == asset);
        let locked = paying.map(|(id, escrow)| ledger.balance_of(&AccountKey::escrow(*id, escrow.asset)));
        let disputes = ledger.escrows().filter(|(_, escrow)| escrow.asset == asset);
        let bonds = disputes.filter_map(|(_, escrow)| escrow.dispute.filter(|d| d.by == agent).map(|d| d.bond));
        let held = locked.chain(bonds).fold(0, u64::saturating_add);
        Ok(Held { available: ledger.balance_of(&AccountKey::agent(agent, asset)), held })
    })
    .await?
}
