//! The rules of a domain that its operator may change, with notice.

use serde::{Deserialize, Serialize};

/// Fees and quotas; basis points where named `_bps`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Counts up with each change.
    pub version: u64,
    /// Of every release.
    pub escrow_fee_bps: u16,
    /// Of every transfer that arrives from another domain.
    pub transfer_fee_bps: u16,
    /// Share of the escrow fee for the payer's referrer.
    pub referral_level1_bps: u16,
    /// Share of the escrow fee for the referrer's referrer.
    pub referral_level2_bps: u16,
    /// Minor units per claim.
    pub faucet_grant: u64,
    /// Claims per hour of ledger time.
    pub faucet_claims_per_hour: u32,
    /// Claims per admission token.
    pub faucet_claims_per_token: u32,
    /// Granted units may not leave the domain (default: they may).
    pub faucet_stays_home: bool,
    /// Minor units per name and year.
    pub name_fee_per_year: u64,
    /// Bond of whoever disputes, in the escrow's asset; 0 for none.
    pub dispute_bond: u64,
    /// Time from begin to the abort of an undecided transfer.
    pub decide_within_ms: u64,
}
