//! Votes are kept over restarts.

use std::collections::BTreeMap;

use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
    world::HostId,
};

/// The last vote of each host.
#[derive(Default)]
pub(super) struct VotesLast {
    last: BTreeMap<HostId, (u64, u64)>,
}

impl Oracle for VotesLast {
    fn name(&self) -> &'static str {
        "votes-last"
    }

    fn claim(&self) -> &'static str {
        "a replica never takes back a vote, not even over a power cut: its term and vote only rise"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for change in &view.seen.fresh.changes {
            // Before it has told anything a replica shows no vote at all; what it tells next is what its disk said.
            if change.log.restarted && change.sight.vote == (0, 0) {
                continue;
            }
            let last = self.last.insert(change.host, change.sight.vote).unwrap_or_default();
            if change.sight.vote < last && view.keeps_its_disk(change.host) {
                return Err(format!(
                    "host {} had voted in term {} for {:x} and in life {} holds a vote in term {} for {:x}",
                    change.host, last.0, last.1, change.boot, change.sight.vote.0, change.sight.vote.1
                ));
            }
        }
        Ok(())
    }

    fn restored(&mut self, view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.last.retain(|host, _| view.hosts.with(*host, |machine| machine.domain) != restore.domain);
        Ok(())
    }
}
