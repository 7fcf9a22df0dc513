//! Doubt ends.

use super::named;
use crate::oracles::{Looks, Oracle, Phase, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "doubt-ends",
        claim: "once everything is healed every transfer that began is closed in both domains",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    let open = view.seen.deals.all().filter(|(_, deal)| !deal.begun.is_empty() && !deal.is_closed()).count();
    for (key, deal) in view.seen.deals.all() {
        let promised = deal.voted.iter().any(|step| step.what.is_ok());
        if !deal.begun.is_empty() && !deal.is_closed() {
            let steps = deal.steps();
            return Err(format!("{} and {} others are still {}: {steps}", named(view, key), open - 1, deal.state()));
        }
        if promised && deal.finished.is_empty() {
            return Err(format!("{} is still in doubt in the domain that promised to take it", named(view, key)));
        }
    }
    Ok(())
}
