//! Doubt ends.

use super::named;
use crate::oracles::{Looks, Oracle, Phase, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "doubt-ends",
        claim: "once everything is healed every transfer that began is closed in all its domains",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    let open = view.seen.deals.all().filter(|(_, deal)| !deal.begun.is_empty() && !deal.is_closed()).count();
    for (key, deal) in view.seen.deals.all() {
        let mut promised = deal.voted.iter().filter(|step| step.what.is_ok()).map(|step| step.by);
        if !deal.begun.is_empty() && !deal.is_closed() {
            let steps = deal.steps();
            return Err(format!("{} and {} others are still {}: {steps}", named(view, key), open - 1, deal.state()));
        }
        if promised.any(|by| deal.finished.iter().all(|step| step.by != by)) {
            return Err(format!("{} is still in doubt in a domain that promised to take it", named(view, key)));
        }
    }
    Ok(())
}
