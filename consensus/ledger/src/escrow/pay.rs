//! Money leaves an escrow: fee, referrals, shares, what goes back.

use super::Escrow;
use crate::{
    account::{AccountKey, AccountKind, Leg},
    apply::Out,
    event::{Cause, EventKind},
    outcome::Outcome,
    posting::post,
    referral::Referrer,
    settlement::{Effects, PayoutKey},
    state::Ledger,
};
use alloc::{vec, vec::Vec};
use comity_proto::{
    amount::share_of,
    command::Party,
    escrow::Silence,
    ids::EscrowId,
    planted::{Plant, planted},
};

/// What a part becomes: to the payees before the fee, and back to the payer. The payees' share is floored.
pub(crate) fn split(amount: u64, silence: Silence) -> (u64, u64) {
    let gross = match silence {
        Silence::Release => amount,
        Silence::Refund => 0,
        // More than the whole was refused at lock and at rule.
        Silence::Split { payee_bps } => share_of(amount, payee_bps).unwrap_or(amount),
    };
    (gross, amount.saturating_sub(gross))
}

/// One payment out of an escrow.
pub(crate) struct Payment {
    /// Milestone, 0 without milestones, [`super::EVERYTHING`] for all open parts.
    pub(crate) milestone: u16,
    /// To the payees, before the fee.
    pub(crate) gross: u64,
    /// Back to the payer.
    pub(crate) returned: u64,
    /// Why.
    pub(crate) cause: Cause,
}

/// Pays out of `escrow`, whose parts the caller has already marked as settled, and stores the record.
///
/// Local shares post at once; a share of another domain's agent stays in the escrow's account as owed, and never falls
/// back to the payer.
pub(crate) fn pay(
    ledger: &mut Ledger,
    effects: &mut Effects,
    id: EscrowId,
    mut escrow: Escrow,
    payment: &Payment,
) -> Result<(), Outcome> {
    let Payment { milestone, gross, returned, cause } = *payment;
    let paid = escrow.paid.checked_add(gross).ok_or(Outcome::AmountOverflow)?;
    let fee = fee_of(&escrow, gross).ok_or(Outcome::AmountOverflow)?;
    let net = gross.saturating_sub(fee);

    let (mut legs, accrued) = fee_legs(ledger, &escrow, fee);
    let mut remote = Vec::new();
    for (index, share) in shares(&escrow, net).into_iter().enumerate() {
        let Some(payee) = escrow.terms.payees.get(index) else { continue };
        if ledger.is_home(&payee.party.domain) {
            legs.push(Leg::credit(AccountKey::agent(payee.party.agent, escrow.asset), share));
        } else if share > 0 {
            let payee_index = u16::try_from(index).map_err(|_| Outcome::AmountOverflow)?;
            remote.push((payee_index, payee.party, share));
        }
    }
    legs.push(Leg::credit(AccountKey::agent(escrow.terms.payer, escrow.asset), returned));
    legs.retain(|leg| leg.delta != 0);
    let leaving = legs.iter().try_fold(0i128, |sum, leg| sum.checked_add(leg.delta)).ok_or(Outcome::AmountOverflow)?;
    if leaving > 0 {
        legs.push(Leg { account: AccountKey::escrow(id, escrow.asset), delta: leaving.saturating_neg() });
    }
    post(&mut ledger.accounts, &legs)?;
    effects.event(EventKind::EscrowPaid { escrow: id, milestone, gross, fee, returned, cause }, &legs);

    let (asset, now_ms) = (escrow.asset, ledger.head.stamp_ms);
    escrow.paid = paid;
    escrow.fee_taken = escrow.fee_taken.saturating_add(fee);
    escrow.owed_shares = remote.iter().fold(escrow.owed_shares, |owed, _| owed.saturating_add(1));
    ledger.put_escrow(id, escrow);
    for (referrer, share) in accrued {
        ledger.accrue(now_ms, referrer, asset, share);
    }
    for (payee, party, share) in remote {
        ledger.owe_payout(now_ms, PayoutKey { escrow: id, milestone, payee }, party, asset, share, effects);
    }
    Ok(())
}

/// What the domain takes of a payment: the fee of all payments together, less what it has taken before.
fn fee_of(escrow: &Escrow, gross: u64) -> Option<u64> {
    let in_all = share_of(escrow.paid.checked_add(gross)?, escrow.rules.escrow_fee_bps)?;
    let in_all = if planted(Plant::FeeRoundedUp) { in_all.saturating_add(1) } else { in_all };
    // The fee never falls while the total grows, and grows by at most `gross`: a fee is below the whole.
    Some(in_all.saturating_sub(escrow.fee_taken).min(gross))
}

/// What one payee gets of a payment of `gross`.
pub(super) fn share_in(escrow: &Escrow, gross: u64, payee: u16) -> Option<u64> {
    let net = gross.checked_sub(fee_of(escrow, gross)?)?;
    shares(escrow, net).get(usize::from(payee)).copied()
}

/// Referrers get their floored shares of the fee, the treasury the rest; a retired referrer's share stays with it too.
/// The second list says what accrues for referrers of other domains, out of the same legs.
fn fee_legs(ledger: &Ledger, escrow: &Escrow, fee: u64) -> (Vec<Leg>, Vec<(Party, u64)>) {
    let levels = [escrow.rules.referral_level1_bps, escrow.rules.referral_level2_bps];
    let mut rest = fee;
    let (mut legs, mut accrued) = (vec![], vec![]);
    for (referrer, bps) in escrow.referrers.iter().zip(levels) {
        let share = share_of(fee, bps).unwrap_or(0).min(rest);
        let account = match referrer {
            Some(Referrer::Home(agent)) if ledger.agents.get(agent).is_some_and(|agent| !agent.retired) => {
                AccountKey::agent(*agent, escrow.asset)
            }
            Some(Referrer::Away(party)) => {
                accrued.push((**party, share));
                AccountKey::referral(party.agent, escrow.asset)
            }
            Some(Referrer::Home(_)) | None => continue,
        };
        rest = rest.saturating_sub(share);
        legs.push(Leg::credit(account, share));
    }
    legs.push(Leg::credit(AccountKey::treasury(escrow.asset), rest));
    (legs, accrued)
}

/// Each payee's share of `net`, floored; the last listed gets the rest.
fn shares(escrow: &Escrow, net: u64) -> Vec<u64> {
    let mut rest = net;
    let mut shares: Vec<u64> = Vec::with_capacity(escrow.terms.payees.len());
    for payee in &escrow.terms.payees {
        let share = share_of(net, payee.share_bps).unwrap_or(0).min(rest);
        rest = rest.saturating_sub(share);
        shares.push(share);
    }
    if let Some(last) = shares.last_mut() {
        *last = last.saturating_add(rest);
    }
    shares
}

/// Returns a bond to whoever placed it, or gives it to the treasury.
pub(crate) fn settle_bond(
    ledger: &mut Ledger,
    effects: &mut Effects,
    id: EscrowId,
    escrow: &mut Escrow,
    back: bool,
) -> Result<(), Outcome> {
    let Some(dispute) = escrow.dispute.take() else { return Ok(()) };
    if dispute.bond == 0 {
        return Ok(());
    }
    let to = if back { AccountKey::agent(dispute.by, escrow.asset) } else { AccountKey::treasury(escrow.asset) };
    let bonds = AccountKey::new(AccountKind::Bonds, escrow.asset);
    let legs = vec![Leg::debit(bonds, dispute.bond), Leg::credit(to, dispute.bond)];
    post(&mut ledger.accounts, &legs)?;
    effects.event(EventKind::BondSettled { escrow: id, returned: back }, &legs);
    Ok(())
}

/// Settlement tells that a share owed to another domain has arrived there: its amount has left the escrow for good.
pub(crate) fn payout_done(ledger: &mut Ledger, out: &mut Out, key: PayoutKey) {
    let PayoutKey { escrow: id, milestone, payee } = key;
    let Some(mut escrow) = ledger.escrows.get(&id).cloned() else { return };
    debug_assert!(escrow.owed_shares > 0, "only what is owed arrives");
    escrow.owed_shares = escrow.owed_shares.saturating_sub(1);
    ledger.put_escrow(id, escrow);
    ledger.emit(out, EventKind::EscrowPayoutDone { escrow: id, milestone, payee }, Vec::new());
}
