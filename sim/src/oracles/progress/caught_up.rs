//! All replicas get to the same point.

use crate::oracles::{Looks, Oracle, Phase, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "caught-up",
        claim: "once everything is healed every node runs and has applied everything that its domain committed",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    for (domain, spec) in view.hosts.domains().iter().enumerate() {
        for host in &spec.hosts {
            let Some(node) = view.hosts.node(*host) else { return Err(format!("host {host} does not run")) };
            let told = view.seen.stories[domain].newest();
            let applied = node.replica().status().applied;
            // The last entry may be on its way at this very moment; what was told a second ago is not.
            let fresh = view.seen.stories[domain].entry(told).is_some_and(|told| told.at + 1_000_000_000 > view.now);
            if applied < told && !fresh {
                return Err(format!("host {host} has applied {applied} of {told} entries of {}", spec.name));
            }
        }
    }
    Ok(())
}
