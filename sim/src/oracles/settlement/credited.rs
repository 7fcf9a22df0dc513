//! What arrives is what was sent, less the fee.

use comity_ledger::{AccountKind, Leg};
use comity_proto::ids::DomainId;

use super::named;
use crate::{
    observe::{Begun, Deal},
    oracles::{Looks, Oracle, View},
};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "credited-exactly",
        claim: "a committed transfer credits its recipient with exactly the amount less the floored fee; others nothing",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    let bps = u128::from(crate::hosts::policy().transfer_fee_bps);
    for (key, deal) in view.seen.deals.touched() {
        let Some(begun) = deal.begun.first() else { continue };
        let payee = begun.what.recipient.domain;
        let Some(finished) = deal.finished.iter().find(|step| step.by == payee) else { continue };
        let fee = (u128::from(begun.what.amount) * bps / 10_000) as u64;
        let expected = if finished.what.0 { i128::from(begun.what.amount - fee) } else { 0 };
        let credited = credited(&finished.legs, &begun.what);
        if credited != (expected, 0) || (finished.what.0 && finished.what.1 != fee) || !fee_stands(deal, payee, fee) {
            return Err(format!(
                "{} of {} credited its recipient with {}, other agents with {}, at a fee of {}; {expected} was due",
                named(view, key),
                begun.what.amount,
                credited.0,
                credited.1,
                finished.what.1,
            ));
        }
    }
    Ok(())
}

/// An issuer that only moves reserve takes none.
fn fee_stands(deal: &Deal, payee: DomainId, fee: u64) -> bool {
    deal.voted.iter().all(|step| step.what.is_err() || step.what == Ok(if step.by == payee { fee } else { 0 }))
}

/// To the recipient, and to any other agent.
fn credited(legs: &[Leg], begun: &Begun) -> (i128, i128) {
    let mut sums = (0, 0);
    for leg in legs {
        match leg.account.kind {
            AccountKind::Agent(agent) if agent == begun.recipient.agent => sums.0 += leg.delta,
            AccountKind::Agent(_) => sums.1 += leg.delta.abs(),
            _ => {}
        }
    }
    sums
}
