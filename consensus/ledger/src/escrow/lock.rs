//! Lock: terms become an escrow, money leaves the payer.

use super::{Escrow, Part, PartState, Rules};
use crate::{
    account::{AccountKey, AssetIndex, Leg},
    apply::{Answer, Out},
    event::EventKind,
    outcome::Outcome,
    referral::Referrer,
    state::Ledger,
};
use alloc::{sync::Arc, vec, vec::Vec};
use comity_proto::{
    amount,
    command::Party,
    escrow::{EscrowTerms, Silence},
    export::Direction,
    ids::{AgentId, EscrowId},
    limits as l,
    planted::{Plant, planted},
    policy::Policy,
};

/// Locks `terms.amount` of `payer` under a new id.
pub(crate) fn lock(ledger: &mut Ledger, out: &mut Out, payer: AgentId, id: EscrowId, terms: EscrowTerms) -> Answer {
    if let Some(known) = ledger.escrows.get(&id) {
        let same = *known.terms == terms;
        return if same { Ok(Outcome::Exists) } else { Err(Outcome::ExistsWithDifferentTerms) };
    }
    if terms.payer != payer {
        return Err(Outcome::NotAuthorised);
    }
    let asset = ledger.asset_index(&terms.asset).ok_or(Outcome::AssetUnknown)?;
    check_parties(ledger, &terms)?;
    check_amounts(&terms)?;
    check_times(ledger.head.stamp_ms, &terms)?;
    let referrers = referrers(ledger, &terms)?;
    if ledger.usage_of(&payer).escrows as usize >= l::OPEN_ESCROWS_PER_PAYER_MAX {
        return Err(Outcome::LimitExceededOpenEscrows);
    }
    let remote = terms.payees.iter().any(|payee| !ledger.is_home(&payee.party.domain));
    if remote {
        ledger.check_stays_home(&payer, asset, terms.amount)?;
    }
    let rules = rules(ledger.policy()?);
    let terms = Arc::new(terms);
    let legs = vec![
        Leg::debit(AccountKey::agent(payer, asset), terms.amount),
        Leg::credit(AccountKey::escrow(id, asset), terms.amount),
    ];
    ledger.transact(out, EventKind::EscrowLocked { escrow: id, terms: terms.clone() }, legs)?;
    let escrow = new_escrow(ledger, terms, asset, rules, referrers);
    ledger.put_escrow(id, escrow);
    Ok(Outcome::Created)
}

fn new_escrow(
    ledger: &Ledger,
    terms: Arc<EscrowTerms>,
    asset: AssetIndex,
    rules: Rules,
    referrers: [Option<Referrer>; 2],
) -> Escrow {
    let whole = [terms.amount];
    let amounts: &[u64] = if terms.milestones.is_empty() { &whole } else { &terms.milestones };
    let parts = amounts.iter().map(|amount| Part { amount: *amount, state: PartState::Open }).collect();
    let early = if planted(Plant::RefundEarly) { 1_000 } else { 0 };
    let deliver_by = terms
        .deliver_by_ms
        .saturating_add(terms.delivery_grace_ms)
        .saturating_sub(ledger.head.stalled_ms)
        .saturating_sub(early);
    Escrow {
        terms,
        asset,
        locked_ms: ledger.head.stamp_ms,
        rules,
        referrers,
        accepted: false,
        ruled: false,
        parts,
        deliver_by,
        dispute: None,
        waived: 0,
        paid: 0,
        fee_taken: 0,
        owed_shares: 0,
        ended_ms: None,
    }
}

const fn rules(policy: &Policy) -> Rules {
    Rules {
        escrow_fee_bps: policy.escrow_fee_bps,
        referral_level1_bps: policy.referral_level1_bps,
        referral_level2_bps: policy.referral_level2_bps,
        dispute_bond: policy.dispute_bond,
    }
}

/// Everybody named exists, as far as this ledger can know, and nobody is named twice.
fn check_parties(ledger: &Ledger, terms: &EscrowTerms) -> Result<(), Outcome> {
    if terms.payees.is_empty() {
        return Err(Outcome::TermsInvalid);
    }
    if terms.payees.len() > l::PAYEES_MAX || terms.milestones.len() > l::MILESTONES_MAX {
        return Err(Outcome::LimitExceededTerms);
    }
    let arbiter = terms.arbiter.iter().map(|arbiter| arbiter.party);
    let parties: Vec<Party> = terms.payees.iter().map(|payee| payee.party).chain(arbiter).collect();
    for (position, party) in parties.iter().enumerate() {
        if party.agent == terms.payer {
            return Err(Outcome::SelfDealing);
        }
        if parties.iter().take(position).any(|earlier| earlier.agent == party.agent) {
            let is_arbiter = position == terms.payees.len();
            return Err(if is_arbiter { Outcome::SelfDealing } else { Outcome::TermsInvalid });
        }
        check_party(ledger, &terms.payer, party)?;
    }
    Ok(())
}

fn check_party(ledger: &Ledger, payer: &AgentId, party: &Party) -> Result<(), Outcome> {
    if ledger.is_home(&party.domain) {
        let agent = ledger.agents.get(&party.agent).ok_or(Outcome::UnknownAgent)?;
        return if agent.retired { Err(Outcome::AgentRetired) } else { Ok(()) };
    }
    ledger.may_hire(&party.domain, Direction::Out, payer, None)
}

/// Amounts, shares and milestones add up.
fn check_amounts(terms: &EscrowTerms) -> Result<(), Outcome> {
    if terms.amount == 0 || terms.milestones.contains(&0) {
        return Err(Outcome::AmountZero);
    }
    let milestones = amount::sum(terms.milestones.iter().copied()).ok_or(Outcome::AmountOverflow)?;
    if !terms.milestones.is_empty() && milestones != terms.amount {
        return Err(Outcome::TermsInvalid);
    }
    let shares = amount::sum(terms.payees.iter().map(|payee| u64::from(payee.share_bps)));
    let whole = u64::from(l::BPS_WHOLE);
    let split_fits = |silence: Silence| !matches!(silence, Silence::Split { payee_bps } if payee_bps > l::BPS_WHOLE);
    let nobody_empty = terms.payees.iter().all(|payee| payee.share_bps > 0);
    if shares == Some(whole) && nobody_empty && split_fits(terms.on_silence) && split_fits(terms.on_no_ruling) {
        Ok(())
    } else {
        Err(Outcome::TermsInvalid)
    }
}

/// The delivery date lies ahead and every window inside its bounds.
fn check_times(stamp_ms: u64, terms: &EscrowTerms) -> Result<(), Outcome> {
    let ahead = terms.deliver_by_ms.checked_sub(stamp_ms).filter(|ahead| *ahead > 0).ok_or(Outcome::DeadlineInPast)?;
    let review = l::REVIEW_WINDOW_MIN_MS..=l::REVIEW_WINDOW_MAX_MS;
    let ruling = l::RULING_WINDOW_MIN_MS..=l::RULING_WINDOW_MAX_MS;
    let fits = ahead <= l::DELIVER_WITHIN_MAX_MS
        && terms.delivery_grace_ms <= l::DELIVERY_GRACE_MAX_MS
        && review.contains(&terms.review_window_ms)
        && ruling.contains(&terms.ruling_window_ms);
    if fits { Ok(()) } else { Err(Outcome::LimitExceededTerms) }
}

/// The payer's referrer and the one behind it; else the one named in the terms and the one behind that, for this escrow
/// only. Whoever is named in the terms never is the payer, nor a payee.
fn referrers(ledger: &Ledger, terms: &EscrowTerms) -> Result<[Option<Referrer>; 2], Outcome> {
    let named = terms.referred_by.as_ref().map(|referral| ledger.referrer_named(referral)).transpose()?;
    if let Some(level1) = ledger.referrer_of(&terms.payer) {
        let level2 = ledger.referrer_behind(&level1);
        return Ok([Some(level1), level2]);
    }
    let is_party = |referrer: &Referrer| {
        let agent = referrer.agent();
        agent == terms.payer || terms.payees.iter().any(|payee| payee.party.agent == agent)
    };
    let level1 = named.filter(|referrer| !is_party(referrer));
    let level2 = level1.as_ref().and_then(|first| ledger.referrer_behind(first)).filter(|second| !is_party(second));
    Ok([level1, level2])
}
