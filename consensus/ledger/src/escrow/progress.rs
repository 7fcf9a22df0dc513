//! What people do with an escrow: accept, submit, release, dispute, rule, cancel.
//!
//! Every verb first lets time decide what is due; a command that came too late then finds the wrong state.

use super::{
    Dispute, Escrow, EscrowState, Part, PartState,
    timeout::{settle_all, settle_part, time_out},
};
use crate::{
    account::{AccountKey, AccountKind, Leg},
    apply::{Answer, Out},
    event::{Cause, EventKind},
    outcome::Outcome,
    state::Ledger,
};
use alloc::{vec, vec::Vec};
use comity_proto::{
    command::Party,
    escrow::Silence,
    ids::{EscrowId, Hash},
    limits::BPS_WHOLE,
    planted::{Plant, planted},
};

/// The record, unless time had to decide about it first.
fn current(ledger: &mut Ledger, out: &mut Out, id: EscrowId) -> Result<Escrow, Outcome> {
    let escrow = ledger.escrows.get(&id).cloned().ok_or(Outcome::UnknownEscrow)?;
    if ledger.escrow_is_due(&escrow) {
        time_out(ledger, out, id)?;
        return Err(Outcome::WrongState);
    }
    Ok(escrow)
}

/// Index of a part: a number is needed exactly when the terms have milestones.
fn part_index(escrow: &Escrow, milestone: Option<u16>) -> Result<usize, Outcome> {
    match (milestone, escrow.terms.milestones.is_empty()) {
        (None, true) => Ok(0),
        (Some(index), false) if usize::from(index) < escrow.parts.len() => Ok(usize::from(index)),
        _ => Err(Outcome::UnknownMilestone),
    }
}

fn part(escrow: &Escrow, index: usize) -> Result<Part, Outcome> {
    escrow.parts.get(index).copied().ok_or(Outcome::UnknownMilestone)
}

/// A payee agrees.
pub(crate) fn accept(ledger: &mut Ledger, out: &mut Out, who: &Party, id: EscrowId) -> Answer {
    let mut escrow = current(ledger, out, id)?;
    escrow.payee(who).ok_or(Outcome::NotAuthorised)?;
    match escrow.state() {
        EscrowState::Accepted => Ok(Outcome::Exists),
        EscrowState::Locked => {
            escrow.accepted = true;
            ledger.put_escrow(id, escrow);
            ledger.emit(out, EventKind::EscrowAccepted { escrow: id, payee: who.agent }, Vec::new());
            Ok(Outcome::Applied)
        }
        _ => Err(Outcome::WrongState),
    }
}

/// A payee delivers one part.
pub(crate) fn submit(
    ledger: &mut Ledger,
    out: &mut Out,
    who: &Party,
    id: EscrowId,
    milestone: Option<u16>,
    result_hash: Hash,
) -> Answer {
    let mut escrow = current(ledger, out, id)?;
    escrow.payee(who).ok_or(Outcome::NotAuthorised)?;
    let index = part_index(&escrow, milestone)?;
    let review_by = ledger.worked_ms().saturating_add(escrow.terms.review_window_ms);
    let disputed = escrow.dispute.is_some();
    let part = escrow.parts.get_mut(index).ok_or(Outcome::UnknownMilestone)?;
    match part.state {
        PartState::Submitted { result_hash: before, .. } if before == result_hash => return Ok(Outcome::Exists),
        PartState::Open if !disputed => part.state = PartState::Submitted { result_hash, review_by },
        _ => return Err(Outcome::WrongState),
    }
    ledger.put_escrow(id, escrow);
    let milestone = milestone.unwrap_or(0);
    ledger.emit(out, EventKind::EscrowSubmitted { escrow: id, milestone, result_hash }, Vec::new());
    Ok(Outcome::Applied)
}

/// The payer pays one part, delivered or not.
pub(crate) fn release(
    ledger: &mut Ledger,
    out: &mut Out,
    who: &Party,
    id: EscrowId,
    milestone: Option<u16>,
    verified: Option<Hash>,
) -> Answer {
    let escrow = current(ledger, out, id)?;
    check_payer(ledger, &escrow, who)?;
    let index = part_index(&escrow, milestone)?;
    if escrow.dispute.is_some() && !planted(Plant::ReleaseInDispute) {
        return Err(Outcome::WrongState);
    }
    match (part(&escrow, index)?.state, verified) {
        (PartState::Settled, _) | (PartState::Open, Some(_)) => return Err(Outcome::WrongState),
        (PartState::Submitted { result_hash, .. }, Some(verified))
            if verified != result_hash && !planted(Plant::AnyHash) =>
        {
            return Err(Outcome::HashMismatch);
        }
        _ => (),
    }
    settle_part(ledger, out, id, index, Silence::Release, Cause::Release)?;
    Ok(Outcome::Applied)
}

fn check_payer(ledger: &Ledger, escrow: &Escrow, who: &Party) -> Result<(), Outcome> {
    let is_payer = who.agent == escrow.terms.payer && ledger.is_home(&who.domain);
    if is_payer { Ok(()) } else { Err(Outcome::NotAuthorised) }
}

/// Either side, while something is under review. Whoever is at home here places the bond; another domain's agent has no
/// account here to take one from.
pub(crate) fn dispute(ledger: &mut Ledger, out: &mut Out, who: &Party, id: EscrowId, evidence_hash: Hash) -> Answer {
    let mut escrow = current(ledger, out, id)?;
    let by_payer = check_payer(ledger, &escrow, who).is_ok();
    if !by_payer && escrow.payee(who).is_none() {
        return Err(Outcome::NotAuthorised);
    }
    if escrow.state() != EscrowState::Submitted {
        return Err(Outcome::WrongState);
    }
    let bond = if ledger.is_home(&who.domain) { escrow.rules.dispute_bond } else { 0 };
    let legs = if bond == 0 {
        Vec::new()
    } else {
        let bonds = AccountKey::new(AccountKind::Bonds, escrow.asset);
        vec![Leg::debit(AccountKey::agent(who.agent, escrow.asset), bond), Leg::credit(bonds, bond)]
    };
    ledger.transact(out, EventKind::EscrowDisputed { escrow: id, by: who.agent, evidence_hash }, legs)?;
    let rule_by = ledger.worked_ms().saturating_add(escrow.terms.ruling_window_ms);
    escrow.dispute = Some(Dispute { by: who.agent, by_payer, evidence_hash, rule_by, bond });
    ledger.put_escrow(id, escrow);
    Ok(Outcome::Applied)
}

/// The arbiter splits what is open. The bond goes back if its owner got at least half of it, else to the treasury.
pub(crate) fn rule(ledger: &mut Ledger, out: &mut Out, who: &Party, id: EscrowId, payee_bps: u16) -> Answer {
    let mut escrow = current(ledger, out, id)?;
    if escrow.terms.arbiter.is_none_or(|arbiter| arbiter.party != *who) {
        return Err(Outcome::NotAuthorised);
    }
    let Some(dispute) = escrow.dispute else { return Err(Outcome::WrongState) };
    if payee_bps > BPS_WHOLE {
        return Err(Outcome::TermsInvalid);
    }
    let bond_back = dispute.bond_back(payee_bps);
    escrow.ruled = true;
    settle_all(ledger, out, id, escrow, Silence::Split { payee_bps }, Cause::Ruling, bond_back)?;
    Ok(Outcome::Applied)
}

/// A payee gives up its share; when all payees have, everything open goes back to the payer, without a fee.
pub(crate) fn cancel(ledger: &mut Ledger, out: &mut Out, who: &Party, id: EscrowId) -> Answer {
    let mut escrow = current(ledger, out, id)?;
    let index = escrow.payee(who).ok_or(Outcome::NotAuthorised)?;
    if escrow.deadline().is_none() {
        return Err(Outcome::WrongState);
    }
    let bit = u32::try_from(index).ok().and_then(|index| 1u16.checked_shl(index)).ok_or(Outcome::NotAuthorised)?;
    if escrow.waived & bit != 0 {
        return Ok(Outcome::Exists);
    }
    escrow.waived |= bit;
    if escrow.waived.count_ones() as usize == escrow.terms.payees.len() {
        settle_all(ledger, out, id, escrow, Silence::Refund, Cause::Cancel, true)?;
    } else {
        ledger.put_escrow(id, escrow);
        ledger.emit(out, EventKind::EscrowWaived { escrow: id, payee: who.agent }, Vec::new());
    }
    Ok(Outcome::Applied)
}
