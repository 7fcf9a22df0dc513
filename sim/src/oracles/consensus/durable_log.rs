//! What was committed stays in the logs that held it.

use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "durable-log",
        claim: "an entry that some replica has applied never leaves a log that held it, not even by a power cut",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (domain, committed) in view.seen.committed.iter().enumerate() {
        if let Some(lost) = committed.lost.iter().find(|lost| view.keeps_its_disk(lost.host)) {
            let how = if lost.restarted { "in a restart" } else { "while it ran" };
            let (index, term) = (lost.line.index, lost.line.leader.0);
            let (host, sight) = (lost.host, &lost.sight);
            return Err(format!("domain {domain}: host {host} lost entry {index} of term {term} {how}: {sight:?}"));
        }
    }
    Ok(())
}
