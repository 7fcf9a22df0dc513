//! Deadlines of transfers.

use super::named;
use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "decided-in-time",
        claim: "a commit is decided before the transfer's deadline, and an abort without a no only after it",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (key, deal) in view.seen.deals.touched() {
        let (Some(begun), Some(decided)) = (deal.begun.first(), deal.decided.first()) else { continue };
        // A restored log repeats what it had decided in time.
        let lost = view.seen.lost.get(key);
        if lost.is_some_and(|lost| lost.decided.iter().any(|step| step.what == decided.what)) {
            continue;
        }
        let (by, at) = (begun.what.decide_by_ms, decided.stamp_ms);
        if decided.what.commit && at >= by {
            return Err(format!("{} was committed {} ms after its deadline", named(view, key), at - by));
        }
        if !decided.what.commit && decided.what.reason.is_none() && at < by {
            return Err(format!("{} was aborted {} ms before its deadline", named(view, key), by - at));
        }
    }
    Ok(())
}
