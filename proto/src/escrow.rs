//! The terms of an escrow: signed by the payer, shown to the payee, never changed.

use crate::{
    amount::AssetId,
    command::{Party, Referral},
    ids::{AgentId, Hash, PublicKey},
    limits::BPS_WHOLE,
    reject::Reject,
    text::Condition,
};
use alloc::vec::Vec;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// Signed terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscrowTerms {
    /// Equals the signer.
    pub payer: AgentId,
    /// 1 to [`crate::limits::PAYEES_MAX`]; shares sum to 10 000 basis points.
    pub payees: Vec<Payee>,
    /// What is locked.
    pub asset: AssetId,
    /// Minor units; equals the sum of the milestones when there are any.
    pub amount: u64,
    /// SHA-256 of the task's bytes.
    pub task_hash: Hash,
    /// When the payer will release, in words.
    pub condition: Condition,
    /// Ledger time, ms since the Unix epoch.
    pub deliver_by_ms: u64,
    /// Added to `deliver_by_ms` before a refund: a remote submission may be on its way.
    pub delivery_grace_ms: u64,
    /// Time for the payer to answer a submission.
    pub review_window_ms: u64,
    /// What a submission becomes when the payer stays silent.
    pub on_silence: Silence,
    /// Who rules a dispute; without one a dispute ends as `on_no_ruling` says.
    pub arbiter: Option<Arbiter>,
    /// Time for the arbiter.
    pub ruling_window_ms: u64,
    /// What a dispute becomes without a ruling.
    pub on_no_ruling: Silence,
    /// Counts only if the payer has no referrer of its own.
    pub referred_by: Option<Referral>,
    /// Amounts, released one by one; empty for one payment.
    pub milestones: Vec<u64>,
}

/// One of those who share a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payee {
    /// Who, and where at home.
    pub party: Party,
    /// Judges this payee's signatures when it is at home elsewhere; taken from its verified card.
    pub key: PublicKey,
    /// Basis points of every release.
    pub share_bps: u16,
}

/// One who rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arbiter {
    /// Who, and where at home.
    pub party: Party,
    /// Judges its signatures when it is at home elsewhere.
    pub key: PublicKey,
}

/// What silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Silence {
    /// Everything to the payees.
    Release,
    /// Everything to the payer.
    Refund,
    /// The payees' share in basis points, the rest to the payer.
    Split {
        /// 0 to 10 000.
        payee_bps: u16,
    },
}

/// `release`, `refund`, or the payees' share in basis points, 0 to 10000.
impl FromStr for Silence {
    type Err = Reject;
    fn from_str(text: &str) -> Result<Silence, Reject> {
        match text {
            "release" => Ok(Silence::Release),
            "refund" => Ok(Silence::Refund),
            other => match other.parse() {
                Ok(payee_bps) if payee_bps <= BPS_WHOLE => Ok(Silence::Split { payee_bps }),
                _ => Err(Reject::BadText { field: "silence" }),
            },
        }
    }
}
