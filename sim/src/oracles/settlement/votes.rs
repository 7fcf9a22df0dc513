//! No commit without a yes.

use super::named;
use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "no-commit-without-yes",
        claim: "an origin commits only what the other domain's log had promised before",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (key, deal) in view.seen.deals.touched() {
        let Some(decided) = deal.decided.first().filter(|step| step.what.commit) else { continue };
        let promised = deal.voted.iter().any(|step| step.what.is_ok() && step.at <= decided.at);
        if !promised {
            return Err(format!("{} was committed; the other domain's log promised nothing", named(view, key)));
        }
    }
    Ok(())
}
