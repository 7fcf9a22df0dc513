//! State-machine safety, at the log.

use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "one-history",
        claim: "no two replicas of a domain ever apply different entries under the same index",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (domain, committed) in view.seen.committed.iter().enumerate() {
        let trusted = |(_, host, _): &&(_, u32, _)| view.keeps_its_disk(*host);
        if let Some((known, host, line)) = committed.conflicts.iter().find(trusted) {
            return Err(format!(
                "domain {domain}: entry {} is of term {} and host {host} applied one of term {}",
                known.index, known.leader.0, line.leader.0
            ));
        }
    }
    Ok(())
}
