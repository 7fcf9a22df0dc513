//! What is owed to agents of other domains and waits for a transfer of its own: shares of escrows, and what referrers earn.

use crate::{
    account::AssetIndex,
    cow::{ShardKey, prefix_of_bytes},
};
use comity_proto::{
    amount::AssetId,
    command::Party,
    ids::{EscrowId, Hash, TransferId},
    limits::DAY_MS,
};
use serde::{Deserialize, Serialize};

/// First pause before an escrow's payout is tried again; doubles with each attempt.
pub const PAYOUT_RETRY_FIRST_MS: u64 = 1_000;
/// Longest such pause.
pub const PAYOUT_RETRY_MAX_MS: u64 = 600_000;
/// From the first share that waits for a referrer of another domain to the sweep, and from a sweep that failed to the
/// next. A time and no least amount: a minor unit is worth something else in each asset, and small sums must not wait for
/// ever. A day, because this income is for ever and nobody waits for it: however many fees a referrer earns from, it costs
/// two signed messages each way per asset and day.
pub const SWEEP_EVERY_MS: u64 = DAY_MS;

/// Names one share that an escrow owes to an agent of another domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PayoutKey {
    /// Which escrow.
    pub escrow: EscrowId,
    /// Which milestone (0 when there are none).
    pub milestone: u16,
    /// Index of the payee in the terms.
    pub payee: u16,
}

impl ShardKey for PayoutKey {
    fn prefix(&self) -> u64 {
        prefix_of_bytes(self.escrow.as_bytes())
    }
}

/// An escrow's debt to an agent of another domain: it stays until one attempt commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Who is to be credited.
    pub recipient: Party,
    /// In this ledger.
    pub asset: AssetIndex,
    /// Minor units, before the receiver's fee.
    pub amount: u64,
    /// Counts up each time an attempt aborts.
    pub attempt: u32,
    /// `None` while an attempt is in flight, else the stamp from which the next one may begin.
    pub retry_at_ms: Option<u64>,
}

/// What the treasury has paid of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fronted {
    /// Who has it.
    pub recipient: Party,
    /// What.
    pub asset: AssetId,
    /// Minor units, before the receiver's fee.
    pub amount: u64,
}

/// Names what one referrer of another domain earns in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccrualId(pub [u8; 16]);

impl AccrualId {
    /// Of a referrer and an asset.
    pub fn of(referrer: &Party, asset: AssetIndex) -> AccrualId {
        let parts: [&[u8]; 3] = [referrer.domain.as_bytes(), referrer.agent.as_bytes(), &asset.0.to_be_bytes()];
        AccrualId(Hash::of_parts("comity/v1/id/accrual", &parts).first_16())
    }
}

impl ShardKey for AccrualId {
    fn prefix(&self) -> u64 {
        prefix_of_bytes(&self.0)
    }
}

/// What a referrer of another domain has earned in one asset and has not got; gone once it has everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accrual {
    /// Who.
    pub referrer: Party,
    /// In this ledger.
    pub asset: AssetIndex,
    /// Minor units in `referral/<agent>`.
    pub waiting: u64,
    /// The transfer that carries what waited before, while it is undecided.
    pub sweep: Option<TransferId>,
    /// Stamp from which what waits may be swept; `None` while a sweep is undecided.
    pub sweep_at_ms: Option<u64>,
}
