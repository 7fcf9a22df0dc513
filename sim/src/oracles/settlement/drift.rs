//! Nobody who did nothing wrong is said to have drifted.

use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "no-false-drift",
        claim: "treaty partners whose disks kept what was flushed are never said to disagree about each other",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    // A domain whose disks lost what they had flushed may really have forgotten something.
    if !(0..view.hosts.count()).all(|host| view.keeps_its_disk(host)) {
        return Ok(());
    }
    for (host, node) in view.hosts.nodes() {
        for peer in comity_node::service::drift::list(&node) {
            if !peer.drift.is_empty() {
                return Err(format!("host {host} holds {} for drifted: {:?}", peer.nickname, peer.drift));
            }
        }
    }
    Ok(())
}
