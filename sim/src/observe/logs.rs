//! What each host's log held, and how it changed from sight to sight.

use std::collections::BTreeMap;

use comity_replica::{LogLine, Onlooker, RaftSight};

/// How a log changed between two sights.
#[derive(Clone, Debug, Default)]
pub struct LogChange {
    /// Entries that stand there now and did not, or stood there with other content; ascending.
    pub put: Vec<LogLine>,
    /// Entries that stood there, are not purged, and are gone or replaced; ascending.
    pub cut: Vec<LogLine>,
    /// Whether this is the first sight of a life: what is cut was lost in the restart.
    pub restarted: bool,
}

/// The log of one host as it was seen last.
#[derive(Clone, Debug, Default)]
pub struct HostLog {
    /// Which life that was.
    pub boot: u64,
    /// By index; entries behind a purge are forgotten.
    pub lines: BTreeMap<u64, LogLine>,
    /// Consensus as it was then.
    pub sight: RaftSight,
    /// The greatest vote ever seen of this host, over all its lives.
    pub greatest_vote: (u64, u64),
}

impl HostLog {
    /// Takes in how a log stands now.
    pub(super) fn take_in(&mut self, boot: u64, onlooker: &mut Onlooker) -> (RaftSight, LogChange) {
        let sight = onlooker.sight();
        let restarted = boot != self.boot;
        let mut change = LogChange { restarted, ..LogChange::default() };
        let (first, last) = sight.log.unwrap_or((sight.purged + 1, sight.purged));
        self.lines = self.lines.split_off(&first);
        let known_last = self.lines.last_key_value().map(|(index, _)| *index);
        // Back to where both agree. Inside one life only the end can change, so one equal entry ends the search.
        // What stands there and cannot be read just now is what it was: a disk that fails to read lost nothing.
        let unchanged = |at: &u64, known: &LogLine| onlooker.line(*at).is_none_or(|line| line == *known);
        let same = |at: &u64| self.lines.get(at).is_some_and(|known| unchanged(at, known));
        let agreed = known_last.and_then(|known_last| (first..=known_last.min(last)).rev().find(same));
        let changed = agreed.map_or(first, |at| at + 1);
        change.cut.extend(self.lines.split_off(&changed).into_values());
        for index in changed..=last {
            let Some(line) = onlooker.line(index) else { continue };
            self.lines.insert(index, line);
            change.put.push(line);
        }
        (self.boot, self.sight) = (boot, sight);
        self.greatest_vote = self.greatest_vote.max(sight.vote);
        (sight, change)
    }
}
