//! Shares that an escrow owes to agents of other domains.
//!
//! Each attempt is a transfer of its own, named by escrow, milestone, payee, attempt, and the incarnation of the log that
//! begins it: what a lost log began is another transfer. An abort puts the money back into the escrow's account and the
//! next attempt is owed: a payout never falls back to the payer.

use super::{
    Effects,
    dues::{Fronted, PAYOUT_RETRY_FIRST_MS, PAYOUT_RETRY_MAX_MS, Payout, PayoutKey},
    origin::Begin,
};
use crate::{
    account::{AccountKey, AssetIndex, Leg},
    escrow::EVERYTHING,
    event::EventKind,
    outcome::Outcome,
    state::Ledger,
};
use alloc::vec::Vec;
use comity_proto::{
    command::Party,
    ids::{DomainId, Hash, TransferId},
    limits::FRONTED_SHARES_MAX,
    planted::{Plant, planted},
    settlement::Source,
};

/// The transfer of one attempt by one incarnation.
#[must_use]
pub fn payout_transfer(key: &PayoutKey, attempt: u32, incarnation: u64) -> TransferId {
    let (milestone, payee) = (key.milestone.to_be_bytes(), key.payee.to_be_bytes());
    let parts: [&[u8]; 5] =
        [key.escrow.as_bytes(), &milestone, &payee, &attempt.to_be_bytes(), &incarnation.to_be_bytes()];
    TransferId(Hash::of_parts("comity/v1/id/payout", &parts).first_16())
}

/// Pause after an attempt that failed: 1, 2, 4 … seconds, at most ten minutes.
fn pause_ms(attempt: u32) -> u64 {
    let doubled = 1_u64.checked_shl(attempt.min(32)).unwrap_or(u64::MAX);
    PAYOUT_RETRY_FIRST_MS.saturating_mul(doubled).min(PAYOUT_RETRY_MAX_MS)
}

impl Ledger {
    /// Owes a share of an escrow to an agent of another domain and begins the first attempt. The amount must stand in
    /// the escrow's account; it stays there until an attempt begins. Owing the same share again changes nothing. What the
    /// treasury has fronted goes to it.
    pub(crate) fn owe_payout(
        &mut self,
        now_ms: u64,
        key: PayoutKey,
        recipient: Party,
        asset: AssetIndex,
        amount: u64,
        effects: &mut Effects,
    ) {
        if amount == 0 || self.settlement.payouts.contains_key(&key) {
            return;
        }
        let payout = Payout { recipient, asset, amount, attempt: 0, retry_at_ms: Some(now_ms) };
        self.settlement.put_payout(key, payout);
        self.repay_fronted(&key, effects);
        self.attempt_payout(now_ms, &key, effects);
    }

    /// What the treasury has paid of this share comes out of it first. A ruling on everything and the parts one by one are
    /// two ways to pay for the same.
    fn repay_fronted(&mut self, key: &PayoutKey, effects: &mut Effects) {
        let first = (PayoutKey { milestone: 0, payee: 0, ..*key }, DomainId([0; 32]));
        let of_escrow = self.head.fronted.range(first..).take_while(|((fronted, _), _)| fronted.escrow == key.escrow);
        let covers = |fronted: &PayoutKey| {
            let same = fronted.milestone == key.milestone || [fronted.milestone, key.milestone].contains(&EVERYTHING);
            same && fronted.payee == key.payee
        };
        let covering: Vec<((PayoutKey, DomainId), Fronted)> =
            of_escrow.filter(|((fronted, _), _)| covers(fronted)).map(|(key, share)| (*key, *share)).collect();
        for (fronted, share) in covering {
            match self.repay_treasury(key, &share, effects) {
                0 => drop(self.head.fronted.remove(&fronted)),
                amount => drop(self.head.fronted.insert(fronted, Fronted { amount, ..share })),
            }
        }
    }

    /// The treasury has paid this share when books were settled: what waits for it in the escrow's account is the
    /// treasury's. What is not owed yet is remembered until it is.
    pub(super) fn front_payout(&mut self, now_ms: u64, key: PayoutKey, share: Fronted, effects: &mut Effects) {
        if planted(Plant::PaidAgain) {
            return;
        }
        self.end_other_attempt(now_ms, &key, effects);
        let amount = self.repay_treasury(&key, &share, effects);
        let domain = share.recipient.domain;
        let known = self.head.fronted.keys().filter(|(_, of)| *of == domain).count();
        if amount > 0 && known < FRONTED_SHARES_MAX {
            self.head.fronted.insert((key, domain), Fronted { amount, ..share });
        }
    }

    /// Gives the treasury what it has paid of a share that waits. Says how much of that is left.
    fn repay_treasury(&mut self, key: &PayoutKey, share: &Fronted, effects: &mut Effects) -> u64 {
        let waits = |payout: &&Payout| payout.retry_at_ms.is_some() && payout.recipient == share.recipient;
        let Some(payout) = self.settlement.payouts.get(key).filter(waits).cloned() else { return share.amount };
        if self.asset(payout.asset).map(|asset| asset.id) != Some(share.asset) {
            return share.amount;
        }
        let amount = payout.amount.min(share.amount);
        let (escrow, treasury) = (AccountKey::escrow(key.escrow, payout.asset), AccountKey::treasury(payout.asset));
        let legs = [Leg::debit(escrow, amount), Leg::credit(treasury, amount)];
        self.post_certain(&legs);
        let PayoutKey { escrow, milestone, payee } = *key;
        effects.event(EventKind::EscrowShareFronted { escrow, milestone, payee }, &legs);
        if payout.amount > amount {
            let amount = payout.amount.saturating_sub(amount);
            self.settlement.put_payout(*key, Payout { amount, ..payout });
        } else {
            self.settlement.remove_payout(key);
            effects.payouts_done.push(*key);
        }
        share.amount.saturating_sub(amount)
    }

    /// Begins the next attempt; if that is refused now (no active treaty, too many open), tries again later.
    pub(super) fn attempt_payout(&mut self, now_ms: u64, key: &PayoutKey, effects: &mut Effects) {
        let Some(mut payout) = self.settlement.payouts.get(key).cloned() else { return };
        let Some(asset) = self.asset(payout.asset).map(|asset| asset.id) else { return };
        let Some(incarnation) = self.head.domain.as_ref().map(|domain| domain.incarnation) else { return };
        let PayoutKey { escrow, milestone, payee } = *key;
        let source = Source::Escrow { escrow, milestone, payee, attempt: payout.attempt };
        let transfer = payout_transfer(key, payout.attempt, incarnation);
        let begin = Begin { transfer, source, recipient: payout.recipient, asset, amount: payout.amount };
        match self.begin_transfer(now_ms, &begin, effects) {
            Outcome::Begun => payout.retry_at_ms = None,
            refusal => {
                payout.retry_at_ms = Some(now_ms.saturating_add(pause_ms(payout.attempt)));
                // Somebody used this id for a payment of its own: the next attempt has another id.
                if matches!(refusal, Outcome::Exists | Outcome::ExistsWithDifferentTransfer) {
                    payout.attempt = payout.attempt.saturating_add(1);
                }
            }
        }
        self.settlement.put_payout(*key, payout);
    }

    /// An attempt was decided: paid for good, or back in the escrow's account and owed again.
    pub(super) fn payout_ended(&mut self, now_ms: u64, source: &Source, commit: bool, effects: &mut Effects) {
        let Source::Escrow { escrow, milestone, payee, attempt } = *source else { return };
        let key = PayoutKey { escrow, milestone, payee };
        let Some(mut payout) = self.settlement.payouts.get(&key).cloned() else { return };
        if payout.attempt != attempt {
            return;
        }
        if commit {
            self.settlement.remove_payout(&key);
            effects.payouts_done.push(key);
            return;
        }
        payout.retry_at_ms = Some(now_ms.saturating_add(pause_ms(attempt)));
        payout.attempt = attempt.saturating_add(1);
        self.settlement.put_payout(key, payout);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::ids::EscrowId;

    #[test]
    fn every_attempt_of_every_share_has_its_own_id() {
        let mut seen = alloc::collections::BTreeSet::new();
        let shares = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (256, 0, 0), (0, 256, 0)];
        for ((milestone, payee, attempt), incarnation) in shares.into_iter().flat_map(|share| [(share, 1), (share, 2)])
        {
            let key = PayoutKey { escrow: EscrowId([7; 16]), milestone, payee };
            let transfer = payout_transfer(&key, attempt, incarnation);
            assert!(seen.insert(transfer), "{milestone} {payee} {attempt} of {incarnation}");
        }
    }

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        assert_eq!(
            [0, 1, 2, 3, 9, 10, 99, u32::MAX].map(pause_ms),
            [1_000, 2_000, 4_000, 8_000, 512_000, 600_000, 600_000, 600_000]
        );
    }
}
