//! What an escrow owes abroad is paid once.

use std::collections::BTreeMap;

use comity_ledger::EventKind;
use comity_proto::{
    ids::{DomainId, EscrowId, TransferId},
    settlement::Source,
};

use crate::oracles::{Looks, Oracle, Phase, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "shares-once",
        claim: "each share of an escrow is paid at most once to an agent of another domain; what a lost log had paid comes out of \
                whatever the escrow pays after it",
        look,
    })
}

/// Escrow of a domain, milestone, payee.
type Share = (DomainId, EscrowId, u16, u16);

/// Transfers and minor units that have arrived.
#[derive(Default)]
struct Paid {
    /// By a log that its domain still has.
    known: Vec<TransferId>,
    /// By one that was lost, and nobody took over.
    lost: u64,
    /// Given to the treasury out of the escrow.
    back: u64,
}

fn look(view: &View<'_>) -> Result<(), String> {
    // A whole history at a time.
    if view.phase < Phase::Audit {
        return Ok(());
    }
    let mut shares: BTreeMap<Share, Paid> = BTreeMap::new();
    for (key, deal) in view.seen.deals.all() {
        let lost = view.seen.lost.get(key);
        let Some(begun) = deal.begun.first().or_else(|| lost.and_then(|lost| lost.begun.first())) else { continue };
        let Source::Escrow { escrow, milestone, payee, .. } = begun.what.source else { continue };
        if !deal.finished.iter().any(|step| step.what.0 && step.by == begun.what.recipient.domain) {
            continue;
        }
        let paid = shares.entry((key.0, escrow, milestone, payee)).or_default();
        if deal.begun.is_empty() {
            paid.lost += begun.what.amount;
        } else {
            paid.known.push(key.1);
        }
    }
    for (home, story) in view.seen.ids().iter().zip(&view.seen.stories) {
        for event in story.events() {
            if let EventKind::EscrowShareFronted { escrow, milestone, payee } = event.kind {
                let back: i128 = event.legs.iter().map(|leg| leg.delta.max(0)).sum();
                shares.entry((*home, escrow, milestone, payee)).or_default().back += back as u64;
            }
        }
    }
    for ((_, escrow, milestone, payee), Paid { known, lost, back }) in shares {
        let fault =
            |what: String| Err(format!("share {payee} of milestone {milestone} of escrow {escrow} was paid {what}"));
        match known.as_slice() {
            [] => {}
            [one] if back < lost => {
                return fault(format!(
                    "by {one}, and {lost} before by a log that was lost; the treasury got {back} back"
                ));
            }
            [_] => {}
            many => return fault(format!("by {many:?}")),
        }
    }
    Ok(())
}
