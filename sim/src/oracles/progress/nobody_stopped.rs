//! Nobody gives up.

use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks { name: "nobody-stopped", claim: "no replica gives up while its disk does what it is asked", look })
}

/// How long a node that has stopped still says so, virtual ms.
const LAST_WORDS_MS: u64 = 10_000;

fn look(view: &View<'_>) -> Result<(), String> {
    let now_ms = view.now / 1_000_000;
    let refused = |host| {
        view.plan.faults.iter().any(|planned| {
            let until = planned.at_ms + planned.for_ms + LAST_WORDS_MS;
            let lasts = planned.at_ms <= now_ms && (now_ms <= until || planned.when.is_some());
            lasts && planned.fault.fails_disk_of() == Some(host)
        })
    };
    for (host, node) in view.hosts.nodes() {
        let blameless = |_: &String| view.keeps_its_disk(host) && !refused(host);
        if let Some(why) = node.replica().failure().filter(blameless) {
            return Err(format!("host {host} stopped: {why}"));
        }
    }
    Ok(())
}
