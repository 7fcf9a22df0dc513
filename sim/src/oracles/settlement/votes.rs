//! No commit without a yes.

use super::named;
use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "no-commit-without-yes",
        claim: "an origin commits only what the log of every participant had promised before",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (key, deal) in view.seen.deals.touched() {
        let Some(decided) = deal.decided.first().filter(|step| step.what.commit) else { continue };
        let lost = view.seen.lost.get(key).map(|lost| lost.voted.as_slice()).unwrap_or_default();
        let promised = |by| {
            let yes = deal.voted.iter().chain(lost).filter(|step| step.by == by && step.what.is_ok());
            yes.into_iter().any(|step| step.at <= decided.at)
        };
        let Some(begun) = deal.begun.first() else { continue };
        if !begun.what.participants(begun.by).all(promised) {
            return Err(format!("{} was committed; a participant's log promised nothing", named(view, key)));
        }
    }
    Ok(())
}
