//! What time decides about an escrow.

use super::{
    EVERYTHING, Escrow, Part, PartState,
    pay::{Payment, pay, settle_bond, split},
};
use crate::{apply::Out, event::Cause, outcome::Outcome, state::Ledger};
use comity_proto::{escrow::Silence, ids::EscrowId};

/// Applies everything that is due by now: a dispute nobody ruled, submissions nobody answered, parts nobody delivered.
pub(crate) fn time_out(ledger: &mut Ledger, out: &mut Out, id: EscrowId) -> Result<(), Outcome> {
    let Some(escrow) = ledger.escrows.get(&id).cloned() else { return Ok(()) };
    if !ledger.escrow_is_due(&escrow) {
        return Ok(());
    }
    if escrow.dispute.is_some() {
        let silence = escrow.terms.on_no_ruling;
        return settle_all(ledger, out, id, escrow, silence, Cause::NoRuling, true);
    }
    let now = ledger.worked_ms();
    let due = |part: &Part| match part.state {
        PartState::Open => (escrow.deliver_by <= now).then_some((Silence::Refund, Cause::NoDelivery)),
        PartState::Submitted { review_by, .. } => {
            (review_by <= now).then_some((escrow.terms.on_silence, Cause::Silence))
        }
        PartState::Settled => None,
    };
    for (index, part) in escrow.parts.iter().enumerate() {
        if let Some((silence, cause)) = due(part) {
            settle_part(ledger, out, id, index, silence, cause)?;
        }
    }
    Ok(())
}

/// Settles one part of a stored escrow.
pub(super) fn settle_part(
    ledger: &mut Ledger,
    out: &mut Out,
    id: EscrowId,
    index: usize,
    silence: Silence,
    cause: Cause,
) -> Result<(), Outcome> {
    let mut escrow = ledger.escrows.get(&id).cloned().ok_or(Outcome::UnknownEscrow)?;
    let part = escrow.parts.get_mut(index).ok_or(Outcome::UnknownMilestone)?;
    part.state = PartState::Settled;
    let (gross, returned) = split(part.amount, silence);
    let milestone = u16::try_from(index).map_err(|_| Outcome::UnknownMilestone)?;
    let payment = Payment { milestone, gross, returned, cause };
    ledger.settle(out, |ledger, effects| pay(ledger, effects, id, escrow, &payment))
}

/// Settles everything open at once and ends a dispute; `bond_back` says where its bond goes.
pub(super) fn settle_all(
    ledger: &mut Ledger,
    out: &mut Out,
    id: EscrowId,
    mut escrow: Escrow,
    silence: Silence,
    cause: Cause,
    bond_back: bool,
) -> Result<(), Outcome> {
    let (gross, returned) = split(escrow.open(), silence);
    let payment = Payment { milestone: EVERYTHING, gross, returned, cause };
    ledger.settle(out, |ledger, effects| {
        settle_bond(ledger, effects, id, &mut escrow, bond_back)?;
        escrow.parts.iter_mut().for_each(|part| part.state = PartState::Settled);
        pay(ledger, effects, id, escrow, &payment)
    })
}
