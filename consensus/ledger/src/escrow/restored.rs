//! After a restore: what a payee of another domain has proved to be paid was settled by the lost log.
//!
//! The proof names a milestone, a payee and its share, signed by this domain. Of the payment only its gross amount is not
//! known, and the share tells it: what the terms foresee is tried first, then each ruling that an arbiter may give.

use super::{
    EVERYTHING, Escrow, PartState,
    pay::{Payment, pay, settle_bond, share_in, split},
};
use crate::{
    event::Cause,
    outcome::Outcome,
    settlement::{Effects, PayoutKey},
    state::Ledger,
};
use comity_proto::{escrow::Silence, limits::BPS_WHOLE};

/// Settles what a share of `amount` was paid from, as the lost log had done. `wrong_state` when no payment out of this
/// escrow would make such a share; nothing is changed then.
pub(crate) fn paid_before(
    ledger: &mut Ledger,
    effects: &mut Effects,
    key: &PayoutKey,
    amount: u64,
) -> Result<(), Outcome> {
    let PayoutKey { escrow: id, milestone, payee } = *key;
    let mut escrow = ledger.escrows.get(&id).cloned().ok_or(Outcome::WrongState)?;
    let of = |gross| share_in(&escrow, gross, payee) == Some(amount);
    let (open, ways) = if milestone == EVERYTHING {
        let open = escrow.open();
        let ruling = Silence::Split { payee_bps: first_ruling(&escrow, open, payee, amount) };
        (open, [escrow.terms.on_no_ruling, ruling])
    } else {
        let part = escrow.parts.get(usize::from(milestone)).filter(|part| part.state != PartState::Settled);
        let open = part.filter(|_| escrow.dispute.is_none()).map_or(0, |part| part.amount);
        (open, [Silence::Release, escrow.terms.on_silence])
    };
    let (gross, returned) =
        ways.into_iter().map(|way| split(open, way)).find(|(gross, _)| of(*gross)).ok_or(Outcome::WrongState)?;
    if milestone == EVERYTHING {
        let bond_back = escrow.dispute.is_none_or(|dispute| {
            let (theirs, mine) = if dispute.by_payer { (gross, returned) } else { (returned, gross) };
            mine >= theirs
        });
        escrow.ruled |= (gross, returned) != split(open, escrow.terms.on_no_ruling);
        settle_bond(ledger, effects, id, &mut escrow, bond_back)?;
        escrow.parts.iter_mut().for_each(|part| part.state = PartState::Settled);
    } else if let Some(part) = escrow.parts.get_mut(usize::from(milestone)) {
        part.state = PartState::Settled;
    }
    pay(ledger, effects, id, escrow, &Payment { milestone, gross, returned, cause: Cause::Restored })
}

/// The lowest ruling that gives the payee at least this share. Shares grow with the ruling, but for what flooring leaves
/// to the last of several payees.
fn first_ruling(escrow: &Escrow, open: u64, payee: u16, amount: u64) -> u16 {
    let (mut low, mut high) = (0, BPS_WHOLE);
    while low < high {
        let middle = low.midpoint(high);
        let (gross, _) = split(open, Silence::Split { payee_bps: middle });
        if share_in(escrow, gross, payee).is_some_and(|share| share >= amount) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    low
}
