//! Proofs hold.

use comity_ledger::merkle::{leaf_hash, verify_consistency, verify_inclusion};

use crate::oracles::{Looks, Oracle, Phase, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "proofs-hold",
        claim: "every replica can prove that an event is in its log, and that its log extends every earlier one",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    for (host, node) in view.hosts.nodes() {
        let domain = view.hosts.with(host, |machine| machine.domain);
        let events = view.seen.stories[domain].events();
        let Some(now) = node.replica().read_stale(|ledger, _| ledger.checkpoint()) else { continue };
        if now.size < 2 || now.size as usize != events.len() {
            continue;
        }
        let store = node.replica().events();
        // One event and one earlier size in eight, never the same for two sizes.
        for leaf in (0..now.size).step_by((now.size / 8).max(1) as usize) {
            let proof = store.inclusion(leaf, now.size).map_err(|error| format!("host {host}: {error}"))?;
            let hash = leaf_hash(&events[leaf as usize].to_bytes());
            verify_inclusion(&hash, leaf, now.size, &proof, &now.root)
                .map_err(|error| format!("host {host}: the proof of event {leaf} fails: {error:?}"))?;
            let older = leaf + 1;
            let mut tree = comity_ledger::merkle::CompactRange::new();
            events[..older as usize].iter().for_each(|event| drop(tree.append(event.leaf())));
            let proof = store.consistency(older, now.size).map_err(|error| format!("host {host}: {error}"))?;
            verify_consistency(older, now.size, &tree.root(), &now.root, &proof)
                .map_err(|error| format!("host {host}: its log of {older} is no part of its log now: {error:?}"))?;
        }
    }
    Ok(())
}
