//! What each domain's log holds for good: entries that some replica has applied, as its log held them.

use std::collections::BTreeMap;

use comity_replica::{LogLine, RaftSight};

use super::{Change, HostLog};
use crate::world::HostId;

/// An entry that was for good and is not any more.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    /// Whose log.
    pub host: HostId,
    /// The entry.
    pub line: LogLine,
    /// Whether it was lost in a restart.
    pub restarted: bool,
    /// How its host stands since.
    pub sight: RaftSight,
}

/// One domain's log, as far as it is for good.
#[derive(Default)]
pub struct Committed {
    lines: BTreeMap<u64, LogLine>,
    by_host: BTreeMap<HostId, u64>,
    /// Two replicas applied different entries under one index: the first line, whose log differs, its line.
    pub conflicts: Vec<(LogLine, HostId, LogLine)>,
    /// Logs that lost an entry that was for good.
    pub lost: Vec<Lost>,
}

impl Committed {
    pub(super) fn take_in(&mut self, change: &Change, log: &HostLog) {
        for line in &change.log.cut {
            if self.lines.get(&line.index) == Some(line) {
                self.lost.push(Lost {
                    host: change.host,
                    line: *line,
                    restarted: change.log.restarted,
                    sight: change.sight,
                });
            }
        }
        let from = self.by_host.insert(change.host, change.sight.applied).unwrap_or(0);
        // A restarted replica applies again from its snapshot on: told once is enough.
        for line in log.lines.range(from.min(change.sight.applied) + 1..).map(|(_, line)| line) {
            if line.index > change.sight.applied {
                break;
            }
            let known = *self.lines.entry(line.index).or_insert(*line);
            if known != *line {
                self.conflicts.push((known, change.host, *line));
            }
        }
    }

    /// The domain went on from a snapshot of all up to `index`: what stood behind it is for good no more.
    pub(super) fn cut(&mut self, index: u64) {
        self.lines.split_off(&index.saturating_add(1));
        self.by_host.clear();
    }

    /// The entry at an index, if some replica has applied it.
    pub fn line(&self, index: u64) -> Option<&LogLine> {
        self.lines.get(&index)
    }

    /// All of them, by index.
    pub fn lines(&self) -> &BTreeMap<u64, LogLine> {
        &self.lines
    }

    /// Index of the newest.
    pub fn newest(&self) -> u64 {
        self.lines.last_key_value().map_or(0, |(index, _)| *index)
    }
}
