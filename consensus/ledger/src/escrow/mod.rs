//! One escrow: its record, and what follows from it.
//!
//! The state is never stored: it follows from the parts, the dispute and the shares still owed to other domains, so it
//! cannot disagree with the money. Deadlines are worked time (stamp less stalls), see `2-ledger`, verb `pulse`.
//!
//! ```text
//! Locked -> Accepted -> Submitted -> Released | Disputed -> Ruled      at any time: Refunded
//!                                    Paying in between, while a share owed to another domain has not arrived
//! ```

mod lock;
mod pay;
mod progress;
mod restored;
mod timeout;

pub(crate) use lock::lock;
pub(crate) use pay::payout_done;
pub(crate) use progress::{accept, cancel, dispute, release, rule, submit};
pub(crate) use restored::paid_before;
pub(crate) use timeout::time_out;

use crate::{account::AssetIndex, referral::Referrer, state::Ledger};
use alloc::{sync::Arc, vec::Vec};
use comity_proto::{
    command::Party,
    escrow::EscrowTerms,
    ids::{AgentId, EscrowId, Hash},
    limits::{BPS_WHOLE, ENDED_KEPT_MS},
};
use serde::{Deserialize, Serialize};

/// Stands for all open parts at once, where a milestone is named.
pub const EVERYTHING: u16 = u16::MAX;

/// The record of an escrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escrow {
    /// As signed by the payer.
    pub terms: Arc<EscrowTerms>,
    /// The asset in this ledger.
    pub asset: AssetIndex,
    /// Stamp of the lock, ms.
    pub locked_ms: u64,
    /// Policy at the lock; later changes do not touch this escrow.
    pub rules: Rules,
    /// Who shares the fee: level 1 and level 2.
    pub referrers: [Option<Referrer>; 2],
    /// A payee agreed.
    pub accepted: bool,
    /// An arbiter ruled.
    pub ruled: bool,
    /// The milestones, or the one part of an escrow without any.
    pub parts: Vec<Part>,
    /// Delivery deadline, grace included, in worked ms.
    pub deliver_by: u64,
    /// The open dispute.
    pub dispute: Option<Dispute>,
    /// Bit per payee that gave up; the escrow is cancelled when all have.
    pub waived: u16,
    /// Minor units paid to payees so far, before fees.
    pub paid: u64,
    /// Fee taken so far, minor units.
    pub fee_taken: u64,
    /// Shares owed to agents of other domains that have not arrived; settlement holds the amounts.
    pub owed_shares: u32,
    /// Stamp at which nothing was left to change, ms; some time after it the record is forgotten.
    pub ended_ms: Option<u64>,
}

/// Policy at the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Of every release, basis points.
    pub escrow_fee_bps: u16,
    /// Of the fee, for the payer's referrer.
    pub referral_level1_bps: u16,
    /// Of the fee, for the referrer's referrer.
    pub referral_level2_bps: u16,
    /// Bond of whoever disputes, minor units of the escrow's asset.
    pub dispute_bond: u64,
}

/// One part of the amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Minor units.
    pub amount: u64,
    /// What became of it.
    pub state: PartState,
}

/// What became of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartState {
    /// Nothing yet.
    Open,
    /// Delivered; the payer may answer until then.
    Submitted {
        /// SHA-256 of the result.
        result_hash: Hash,
        /// Worked ms.
        review_by: u64,
    },
    /// Paid, returned or split; no money of it is left but what is owed to other domains.
    Settled,
}

/// An open dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    /// Who disputes.
    pub by: AgentId,
    /// Whether that is the payer.
    pub by_payer: bool,
    /// SHA-256 of the evidence.
    pub evidence_hash: Hash,
    /// The arbiter may rule until then; worked ms.
    pub rule_by: u64,
    /// Minor units held in `bonds`.
    pub bond: u64,
}

impl Dispute {
    /// Whether a ruling gives the bond back to its owner: it got at least half.
    pub(crate) const fn bond_back(&self, payee_bps: u16) -> bool {
        let half = BPS_WHOLE / 2;
        if self.by_payer { payee_bps <= half } else { payee_bps >= half }
    }
}

/// The state as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EscrowState {
    /// Money is locked.
    Locked,
    /// A payee agreed.
    Accepted,
    /// Something is delivered and under review.
    Submitted,
    /// The arbiter has the word.
    Disputed,
    /// Settled here; a share owed to another domain has not arrived yet.
    Paying,
    /// Ended, the payees got something.
    Released,
    /// Ended, all went back to the payer.
    Refunded,
    /// Ended by a ruling.
    Ruled,
}

impl EscrowState {
    /// Stable name in snake_case.
    pub const fn name(self) -> &'static str {
        match self {
            EscrowState::Locked => "locked",
            EscrowState::Accepted => "accepted",
            EscrowState::Submitted => "submitted",
            EscrowState::Disputed => "disputed",
            EscrowState::Paying => "paying",
            EscrowState::Released => "released",
            EscrowState::Refunded => "refunded",
            EscrowState::Ruled => "ruled",
        }
    }
}

impl Part {
    const fn is_settled(&self) -> bool {
        matches!(self.state, PartState::Settled)
    }
}

impl Escrow {
    /// Minor units not yet paid, returned or owed.
    pub fn open(&self) -> u64 {
        // Parts sum to the amount of the terms, which is a u64.
        self.parts.iter().filter(|part| !part.is_settled()).fold(0, |sum, part| sum.saturating_add(part.amount))
    }

    /// The state, derived.
    pub fn state(&self) -> EscrowState {
        let submitted = self.parts.iter().any(|part| matches!(part.state, PartState::Submitted { .. }));
        let open = self.parts.iter().any(|part| !part.is_settled());
        match (open, submitted) {
            (true, _) if self.dispute.is_some() => EscrowState::Disputed,
            (true, true) => EscrowState::Submitted,
            (true, false) if self.accepted => EscrowState::Accepted,
            (true, false) => EscrowState::Locked,
            (false, _) if self.owed_shares > 0 => EscrowState::Paying,
            (false, _) if self.ruled => EscrowState::Ruled,
            (false, _) if self.paid > 0 => EscrowState::Released,
            (false, _) => EscrowState::Refunded,
        }
    }

    /// When time decides next, in worked ms; `None` once every part is settled.
    pub fn deadline(&self) -> Option<u64> {
        let by_part = |part: &Part| match part.state {
            PartState::Open => Some(self.deliver_by),
            PartState::Submitted { review_by, .. } => Some(review_by),
            PartState::Settled => None,
        };
        let earliest = self.parts.iter().filter_map(by_part).min()?;
        Some(self.dispute.as_ref().map_or(earliest, |dispute| dispute.rule_by))
    }

    /// Whether nothing will ever change any more.
    pub fn is_finished(&self) -> bool {
        self.owed_shares == 0 && self.deadline().is_none()
    }

    /// Index of the payee that is this party.
    pub(crate) fn payee(&self, party: &Party) -> Option<usize> {
        self.terms.payees.iter().position(|payee| payee.party == *party)
    }
}

/// When an escrow that ended then is forgotten, in ledger time.
pub(crate) const fn forgotten_at(ended_ms: u64) -> u64 {
    ended_ms.saturating_add(ENDED_KEPT_MS)
}

impl Ledger {
    /// Puts a record in and keeps its deadline, its payer's count and the time of its forgetting in step.
    pub(crate) fn put_escrow(&mut self, id: EscrowId, mut escrow: Escrow) {
        if escrow.ended_ms.is_none() && escrow.is_finished() {
            escrow.ended_ms = Some(self.head.stamp_ms);
            self.forget_queue.insert(forgotten_at(self.head.stamp_ms), id);
        }
        let (payer, next, finished) = (escrow.terms.payer, escrow.deadline(), escrow.is_finished());
        let old = self.escrows.insert(id, escrow);
        let was = old.as_ref().and_then(Escrow::deadline);
        if was != next {
            if let Some(at) = was {
                self.escrow_queue.remove(at, &id);
            }
            if let Some(at) = next {
                self.escrow_queue.insert(at, id);
            }
        }
        let was_finished = old.as_ref().map(Escrow::is_finished);
        match (was_finished, finished) {
            (None, false) => self.count(payer, |usage| usage.escrows = usage.escrows.saturating_add(1)),
            (Some(false), true) => self.count(payer, |usage| usage.escrows = usage.escrows.saturating_sub(1)),
            _ => (),
        }
    }

    /// Forgets at most `max` escrows that ended long enough ago. Their events remain; their ids may be used again.
    pub(crate) fn forget_escrows(&mut self, max: usize) {
        for _ in 0..max {
            let Some((_, id)) = self.forget_queue.pop_due(self.head.stamp_ms) else { return };
            self.escrows.remove(&id);
        }
    }

    /// Whether time must decide about this escrow before anybody else may.
    pub(crate) fn escrow_is_due(&self, escrow: &Escrow) -> bool {
        escrow.deadline().is_some_and(|at| at <= self.worked_ms())
    }
}
