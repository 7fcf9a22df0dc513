//! What an escrow owes abroad is paid once.

use std::collections::BTreeMap;

use comity_proto::{
    ids::{DomainId, EscrowId, TransferId},
    settlement::Source,
};

use crate::oracles::{Looks, Oracle, Phase, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "shares-once",
        claim: "each share of an escrow is paid at most once to an agent of another domain, also where the log that paid it \
                was lost",
        look,
    })
}

/// Escrow of a domain, milestone, payee.
type Share = (DomainId, EscrowId, u16, u16);

fn look(view: &View<'_>) -> Result<(), String> {
    // A whole history at a time: when the faults are over, and at the end.
    if view.phase < Phase::Audit {
        return Ok(());
    }
    let mut paid: BTreeMap<Share, TransferId> = BTreeMap::new();
    for (key, deal) in view.seen.deals.all() {
        let lost = view.seen.lost.get(key);
        let Some(begun) = deal.begun.first().or_else(|| lost.and_then(|lost| lost.begun.first())) else { continue };
        let Source::Escrow { escrow, milestone, payee, .. } = begun.what.source else { continue };
        let posts = |by: &DomainId| *by == begun.what.recipient.domain;
        if !deal.finished.iter().any(|step| step.what.0 && posts(&step.by)) {
            continue;
        }
        if let Some(other) = paid.insert((key.0, escrow, milestone, payee), key.1) {
            return Err(format!(
                "share {payee} of milestone {milestone} of escrow {escrow} was paid by {other} and by {}",
                key.1
            ));
        }
    }
    Ok(())
}
