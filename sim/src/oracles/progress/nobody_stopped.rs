//! Nobody gives up.

use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks { name: "nobody-stopped", claim: "no replica gives up while its disk keeps its promises", look })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (host, node) in view.hosts.nodes() {
        if let Some(why) = node.replica().failure().filter(|_| view.keeps_its_disk(host)) {
            return Err(format!("host {host} stopped: {why}"));
        }
    }
    Ok(())
}
