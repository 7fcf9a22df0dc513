//! Log matching.

use std::collections::BTreeMap;

use comity_proto::ids::Hash;
use comity_replica::LogLine;

use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
    world::HostId,
};

/// An entry's content, its predecessor, and the host that showed it first.
type Known = (Hash, Option<LogLine>, HostId);

/// By domain and (index, term, leader): the content, what stands before it, and whose log said so first.
#[derive(Default)]
pub(super) struct LogMatching {
    known: BTreeMap<(usize, u64, (u64, u64)), Known>,
}

impl Oracle for LogMatching {
    fn name(&self) -> &'static str {
        "log-matching"
    }

    fn claim(&self) -> &'static str {
        "two logs that hold an entry of the same index and leader hold the same bytes there and the same entry before it"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for change in &view.seen.fresh.changes {
            let mut before: Option<LogLine> = None;
            for line in &change.log.put {
                let prior = before.filter(|before| before.index + 1 == line.index);
                before = Some(*line);
                let key = (change.domain, line.index, line.leader);
                let (digest, known, first) = self.known.entry(key).or_insert((line.digest, prior, change.host));
                let other_before = known.zip(prior).is_some_and(|(known, prior)| known != prior);
                if *digest != line.digest || other_before {
                    let (index, term) = (line.index, line.leader.0);
                    return Err(format!(
                        "domain {}: the logs of hosts {first} and {} differ at or before entry {index} of term {term}",
                        change.domain, change.host
                    ));
                }
                *known = known.or(prior);
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.known.retain(|(domain, ..), _| *domain != restore.domain);
        Ok(())
    }
}
