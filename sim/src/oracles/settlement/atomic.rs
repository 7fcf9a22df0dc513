//! Both sides end alike.

use super::named;
use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "atomic",
        claim: "a transfer is never committed in one domain and aborted in another",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (key, deal) in view.seen.deals.touched() {
        let origin = deal.decided.iter().map(|step| step.what.commit);
        let told = deal.closed.iter().map(|step| step.what);
        let there = deal.finished.iter().map(|step| step.what.0);
        let mut ends = origin.chain(told).chain(there);
        let Some(first) = ends.next() else { continue };
        if ends.any(|end| end != first) {
            return Err(format!("{} ended differently in its domains", named(view, key)));
        }
    }
    Ok(())
}
