//! A promise is kept.

use super::named;
use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "promise-kept",
        claim: "after a yes vote only the origin's decision ends a transfer: no time-out, no second thought",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (key, deal) in view.seen.deals.touched() {
        let lost = view.seen.lost.get(key).map(|lost| lost.decided.as_slice()).unwrap_or_default();
        let early = |at| deal.decided.iter().chain(lost).all(|step| step.at > at);
        if let Some(finished) = deal.finished.iter().find(|step| early(step.at)) {
            let how = if finished.what.0 { "posted" } else { "given up" };
            return Err(format!("{} was {how} by the other domain before its origin decided", named(view, key)));
        }
    }
    Ok(())
}
