//! What referrers at home elsewhere have earned: it accrues in `referral/<agent>` and is swept by a transfer of its own.
//!
//! A sweep takes everything that has accrued for one referrer in one asset. An abort puts it back into the account; it
//! never falls to anybody else, unless the referrer's home says that the referrer has retired: then it stays with the
//! treasury, as a retired referrer's share does at home. What waits for a home without a treaty, or for a direction that
//! is not offered, goes on waiting.

use super::{
    Effects,
    dues::{Accrual, AccrualId, SWEEP_EVERY_MS},
    origin::Begin,
};
use crate::{
    account::{AccountKey, AssetIndex, Leg},
    event::EventKind,
    outcome::Outcome,
    state::Ledger,
};
use comity_proto::{
    command::Party,
    ids::{Hash, TransferId},
    settlement::{Prepare, Source},
};

/// The transfer that sweeps an accrual at a stamp. An attempt never shares its stamp with another of the same accrual.
#[must_use]
pub fn sweep_transfer(id: &AccrualId, swept_ms: u64) -> TransferId {
    TransferId(Hash::of_parts("comity/v1/id/sweep", &[&id.0, &swept_ms.to_be_bytes()]).first_16())
}

impl Ledger {
    /// Notes a share whose money the caller has put into `referral/<agent>`.
    pub(crate) fn accrue(&mut self, now_ms: u64, referrer: Party, asset: AssetIndex, share: u64) {
        if share == 0 {
            return;
        }
        let id = AccrualId::of(&referrer, asset);
        let known = self.settlement.accruals.get(&id).cloned();
        let mut accrual = known.unwrap_or(Accrual { referrer, asset, waiting: 0, sweep: None, sweep_at_ms: None });
        accrual.waiting = accrual.waiting.saturating_add(share);
        if accrual.sweep.is_none() && accrual.sweep_at_ms.is_none() {
            accrual.sweep_at_ms = Some(now_ms.saturating_add(SWEEP_EVERY_MS));
        }
        self.settlement.put_accrual(id, accrual);
    }

    /// Begins the transfer of what waits; if that is refused now, tries again after the same time.
    pub(super) fn sweep_accrual(&mut self, now_ms: u64, id: &AccrualId, effects: &mut Effects) {
        let Some(mut accrual) = self.settlement.accruals.get(id).cloned() else { return };
        let Some(asset) = self.asset(accrual.asset).map(|asset| asset.id) else { return };
        let source = Source::Referral { agent: accrual.referrer.agent, swept_ms: now_ms };
        let transfer = sweep_transfer(id, now_ms);
        let begin = Begin { transfer, source, recipient: accrual.referrer, asset, amount: accrual.waiting };
        if self.begin_transfer(now_ms, &begin, effects) == Outcome::Begun {
            (accrual.waiting, accrual.sweep, accrual.sweep_at_ms) = (0, Some(transfer), None);
        } else {
            accrual.sweep_at_ms = Some(now_ms.saturating_add(SWEEP_EVERY_MS));
        }
        self.settlement.put_accrual(*id, accrual);
    }

    /// A sweep was decided: gone for good, or back in `referral/<agent>`.
    pub(super) fn sweep_ended(
        &mut self,
        now_ms: u64,
        prepare: &Prepare,
        commit: bool,
        reason: Option<u16>,
        effects: &mut Effects,
    ) {
        let Some(asset) = self.asset_index(&prepare.asset) else { return };
        let id = AccrualId::of(&prepare.recipient, asset);
        let Some(mut accrual) = self.settlement.accruals.get(&id).cloned() else { return };
        if accrual.sweep != Some(prepare.transfer) {
            return;
        }
        accrual.sweep = None;
        if !commit {
            accrual.waiting = accrual.waiting.saturating_add(prepare.amount);
        }
        if !commit && reason == Some(Outcome::AgentRetired.code()) {
            let from = AccountKey::referral(prepare.recipient.agent, asset);
            let legs = [Leg::debit(from, accrual.waiting), Leg::credit(AccountKey::treasury(asset), accrual.waiting)];
            self.post_certain(&legs);
            effects.event(EventKind::ReferralForfeited { referrer: prepare.recipient }, &legs);
            accrual.waiting = 0;
        }
        accrual.sweep_at_ms = (accrual.waiting > 0).then(|| now_ms.saturating_add(SWEEP_EVERY_MS));
        self.settlement.put_accrual(id, accrual);
    }
}
