//! Leader completeness.

use std::collections::BTreeMap;

use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
    world::HostId,
};

/// The vote under which each host led last.
#[derive(Default)]
pub(super) struct LeaderComplete {
    led: BTreeMap<HostId, (u64, u64)>,
}

impl Oracle for LeaderComplete {
    fn name(&self) -> &'static str {
        "leader-complete"
    }

    fn claim(&self) -> &'static str {
        "a new leader's log holds every entry that any replica had applied before"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for change in view.seen.fresh.changes.iter().filter(|change| change.sight.leads) {
            if self.led.insert(change.host, change.sight.vote) == Some(change.sight.vote) {
                continue;
            }
            let Some(log) = view.seen.logs.get(&change.host) else { continue };
            for (index, line) in view.seen.committed[change.domain].lines() {
                let is_behind_purge = *index <= log.sight.purged;
                // Entries of this leader itself, or of a later one, are no debt of its election.
                if !is_behind_purge && line.leader < change.sight.vote && log.lines.get(index) != Some(line) {
                    return Err(format!(
                        "domain {}: host {} leads in term {} without entry {index} of term {}",
                        change.domain, change.host, change.sight.vote.0, line.leader.0
                    ));
                }
            }
        }
        Ok(())
    }

    fn restored(&mut self, view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.led.retain(|host, _| view.hosts.with(*host, |machine| machine.domain) != restore.domain);
        Ok(())
    }
}
