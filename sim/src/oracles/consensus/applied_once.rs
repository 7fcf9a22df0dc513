//! State-machine safety, at the ledger.

use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "same-effects",
        claim: "an entry has the same time, answers, events and postings on every replica, however often it is applied",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (domain, story) in view.seen.stories.iter().enumerate() {
        if let Some((index, first, other)) = story.differing().first() {
            return Err(format!("domain {domain}: hosts {first} and {other} made different things of entry {index}"));
        }
    }
    Ok(())
}
