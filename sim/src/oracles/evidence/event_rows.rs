//! No event is missing in any store.

use crate::oracles::{Looks, Oracle, Phase, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "every-event-is-kept",
        claim: "at the end every replica's store holds every event of its ledger, byte for byte",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    for (host, node) in view.hosts.nodes() {
        let domain = view.hosts.with(host, |machine| machine.domain);
        let store = node.replica().events();
        let count = node.replica().read_stale(|ledger, _| ledger.event_count());
        let gap = store.gap().map_err(|error| format!("host {host}: {error}"))?;
        if let Some((from, to)) = gap {
            return Err(format!("host {host} still lacks the events from {from} to before {to}"));
        }
        for (leaf, event) in view.seen.stories[domain].events().iter().enumerate().take(count as usize) {
            let stored = store.leaf(leaf as u64).map_err(|error| format!("host {host}: {error}"))?;
            let Some(stored) = stored else { return Err(format!("host {host} lacks event {leaf} of {count}")) };
            if stored.leaf != leaf as u64 || stored.bytes != event.to_bytes() {
                return Err(format!("host {host} holds another event {leaf}"));
            }
        }
    }
    Ok(())
}
