//! After a restore: what a payee of another domain has proved to be paid was settled by the lost log.
//!
//! The proof names a milestone, a payee and its share, signed by this domain. Of the payment only its gross amount is not
//! known. What the terms foresee is tried first. Else an arbiter has ruled, and the share tells the ruling, if it is the
//! only one that makes such a share of the one part that is open.

use super::{
    EVERYTHING, Escrow, PartState,
    pay::{Payment, pay, settle_bond, share_in, split},
};
use crate::{
    account::AssetIndex,
    event::Cause,
    outcome::Outcome,
    settlement::{Effects, PayoutKey},
    state::Ledger,
};
use comity_proto::{command::Party, escrow::Silence, limits::BPS_WHOLE};

/// Settles what a share was paid from, as the lost log had done. `wrong_state` when no payment out of this escrow, or more
/// than one, would make such a share; nothing is changed then.
pub(crate) fn paid_before(
    ledger: &mut Ledger,
    effects: &mut Effects,
    key: &PayoutKey,
    recipient: &Party,
    (asset, amount): (AssetIndex, u64),
) -> Result<(), Outcome> {
    let PayoutKey { escrow: id, milestone, payee } = *key;
    let mut escrow = ledger.escrows.get(&id).cloned().ok_or(Outcome::WrongState)?;
    let named = escrow.terms.payees.get(usize::from(payee)).is_some_and(|payee| payee.party == *recipient);
    if escrow.asset != asset || !named {
        return Err(Outcome::WrongState);
    }
    let told = ledger.head.reconcile.get(&recipient.domain).is_some_and(|state| state.passes > 0);
    let way = if milestone == EVERYTHING {
        end_of_all(&escrow, payee, amount, told)
    } else {
        end_of_part(&escrow, milestone, payee, amount)
    };
    let (part, way) = way.ok_or(Outcome::WrongState)?;
    let (gross, returned) = split(part, way.as_silence());
    if milestone == EVERYTHING {
        let bond_back = match (way, escrow.dispute) {
            (Way::Ruling(payee_bps), Some(dispute)) => dispute.bond_back(payee_bps),
            _ => true,
        };
        escrow.ruled |= matches!(way, Way::Ruling(_));
        settle_bond(ledger, effects, id, &mut escrow, bond_back)?;
        escrow.parts.iter_mut().for_each(|part| part.state = PartState::Settled);
    } else if let Some(part) = escrow.parts.get_mut(usize::from(milestone)) {
        part.state = PartState::Settled;
    }
    pay(ledger, effects, id, escrow, &Payment { milestone, gross, returned, cause: Cause::Restored })
}

/// How a payment came about.
#[derive(Clone, Copy)]
enum Way {
    Terms(Silence),
    Ruling(u16),
}

impl Way {
    const fn as_silence(self) -> Silence {
        match self {
            Way::Terms(silence) => silence,
            Way::Ruling(payee_bps) => Silence::Split { payee_bps },
        }
    }
}

fn share(escrow: &Escrow, open: u64, payee: u16, way: Way) -> Option<u64> {
    let (gross, _) = split(open, way.as_silence());
    share_in(escrow, gross, payee)
}

/// One part: released, or nobody answered a submission.
fn end_of_part(escrow: &Escrow, milestone: u16, payee: u16, amount: u64) -> Option<(u64, Way)> {
    let part = escrow.parts.get(usize::from(milestone)).filter(|part| part.state != PartState::Settled)?;
    let ways = [Silence::Release, escrow.terms.on_silence].map(Way::Terms);
    let fits = |way: &Way| escrow.dispute.is_none() && share(escrow, part.amount, payee, *way) == Some(amount);
    ways.into_iter().find(fits).map(|way| (part.amount, way))
}

/// All that is open: nobody ruled a dispute, or somebody did. Of several open parts the lost log had perhaps paid some
/// before: the payee has a share in each of them, and its domain must have `told` them all.
fn end_of_all(escrow: &Escrow, payee: u16, amount: u64, told: bool) -> Option<(u64, Way)> {
    let open = escrow.open();
    let parts = escrow.parts.iter().filter(|part| part.state != PartState::Settled).count();
    if parts > 1 && !told {
        return None;
    }
    let silence = Way::Terms(escrow.terms.on_no_ruling);
    if share(escrow, open, payee, silence) == Some(amount) {
        return Some((open, silence));
    }
    let first = first_ruling(escrow, open, payee, amount);
    let last = first_ruling(escrow, open, payee, amount.checked_add(1)?).checked_sub(1)?;
    let gross = |payee_bps| split(open, Silence::Split { payee_bps }).0;
    let is_one = parts == 1 && first <= last && gross(first) == gross(last);
    let fits = |way: &Way| is_one && share(escrow, open, payee, *way) == Some(amount);
    Some(Way::Ruling(first)).filter(fits).map(|way| (open, way))
}

/// The lowest ruling that gives the payee at least this share; one above all when none does. Shares grow with the ruling,
/// but for what flooring leaves to the last of several payees.
fn first_ruling(escrow: &Escrow, open: u64, payee: u16, amount: u64) -> u16 {
    let (mut low, mut high) = (0, BPS_WHOLE.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        if share(escrow, open, payee, Way::Ruling(middle)).is_some_and(|share| share >= amount) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    low
}
