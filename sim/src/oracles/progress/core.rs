//! A healed majority goes on alone.

use std::collections::BTreeMap;

use crate::{
    oracles::{Oracle, Phase, View},
    world::TimeNs,
};

/// How long a domain has from the healing of its core to its next committed entry.
const WITHIN: TimeNs = 10_000_000_000;

/// By domain: what was committed when the core was healed.
#[derive(Default)]
pub(super) struct Core {
    began: Option<TimeNs>,
    newest: BTreeMap<usize, u64>,
    moved: BTreeMap<usize, bool>,
}

impl Oracle for Core {
    fn name(&self) -> &'static str {
        "core-goes-on"
    }

    fn claim(&self) -> &'static str {
        "a majority of a domain that is up and connected commits again within ten seconds, whatever the others do"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.phase != Phase::Heal || !view.everything_is_healed() {
            return Ok(());
        }
        let began = *self.began.get_or_insert(view.now);
        for (domain, committed) in view.seen.committed.iter().enumerate() {
            let newest = committed.newest();
            let before = *self.newest.entry(domain).or_insert(newest);
            let moved = self.moved.entry(domain).or_default();
            *moved |= newest > before;
            if !*moved && view.now > began + WITHIN && view.plan.scenario.load.agents > 0 {
                let stand = standing(view, domain);
                return Err(format!(
                    "domain {domain} is healed and has committed nothing since entry {before}: {stand}"
                ));
            }
        }
        Ok(())
    }
}

/// How consensus stands at every host of a domain.
fn standing(view: &View<'_>, domain: usize) -> String {
    let hosts = view.hosts.domains().get(domain).map(|domain| domain.hosts.clone()).unwrap_or_default();
    let lines = hosts.iter().map(|host| match view.seen.logs.get(host).filter(|_| view.hosts.node(*host).is_some()) {
        Some(log) => format!("host {host} {:?}", log.sight),
        None => format!("host {host} is down"),
    });
    lines.collect::<Vec<_>>().join("; ")
}
