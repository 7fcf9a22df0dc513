//! What was applied here since the process started: counts that no ledger keeps, for whoever watches the node.
//!
//! Entries that stood in the log already when the process started are applied again and not counted again: a restart is no
//! burst of work. Entries that came inside a snapshot were never applied here, and are not counted either.

use std::sync::atomic::{AtomicU64, Ordering};

use comity_ledger::{
    Outcome,
    event::{Event, EventKind},
};

/// One place for each outcome, by its number.
const PLACES: usize = Outcome::ALL[Outcome::ALL.len() - 1].code() as usize + 1;

/// How transfers ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The money arrived.
    pub committed: u64,
    /// It went back.
    pub aborted: u64,
}

/// What was applied here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TallyView {
    /// Entries.
    pub entries: u64,
    /// Commands and messages by their outcome: every outcome, in order of precedence.
    pub outcomes: Vec<(Outcome, u64)>,
    /// Transfers of this domain that every participant has posted.
    pub as_origin: Ends,
    /// Transfers of others whose end was posted here.
    pub as_participant: Ends,
}

#[derive(Debug, Default)]
struct EndsCount {
    committed: AtomicU64,
    aborted: AtomicU64,
}

impl EndsCount {
    fn count(&self, commit: bool) {
        let place = if commit { &self.committed } else { &self.aborted };
        place.fetch_add(1, Ordering::Relaxed);
    }

    fn view(&self) -> Ends {
        Ends { committed: self.committed.load(Ordering::Relaxed), aborted: self.aborted.load(Ordering::Relaxed) }
    }
}

/// The counts. Each is right by itself; two of them may be read an entry apart.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Index of the last entry that stood in the log when the process started.
    behind: AtomicU64,
    entries: AtomicU64,
    outcomes: [AtomicU64; PLACES],
    as_origin: EndsCount,
    as_participant: EndsCount,
}

impl Default for Tally {
    fn default() -> Tally {
        Tally {
            behind: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            outcomes: [const { AtomicU64::new(0) }; PLACES],
            as_origin: EndsCount::default(),
            as_participant: EndsCount::default(),
        }
    }
}

impl Tally {
    /// Counts only entries behind this one.
    pub(crate) fn begin_behind(&self, index: u64) {
        self.behind.store(index, Ordering::Relaxed);
    }

    /// An entry was applied.
    pub(crate) fn count(&self, index: u64, outcomes: &[Outcome], events: &[Event]) {
        if index <= self.behind.load(Ordering::Relaxed) {
            return;
        }
        self.entries.fetch_add(1, Ordering::Relaxed);
        for outcome in outcomes {
            if let Some(place) = self.outcomes.get(usize::from(outcome.code())) {
                place.fetch_add(1, Ordering::Relaxed);
            }
        }
        for event in events {
            match event.kind {
                EventKind::TransferClosed { commit, .. } => self.as_origin.count(commit),
                EventKind::TransferFinished { commit, .. } => self.as_participant.count(commit),
                _ => {}
            }
        }
    }

    pub(crate) fn view(&self) -> TallyView {
        let count = |outcome: &Outcome| {
            self.outcomes.get(usize::from(outcome.code())).map_or(0, |place| place.load(Ordering::Relaxed))
        };
        TallyView {
            entries: self.entries.load(Ordering::Relaxed),
            outcomes: Outcome::ALL.iter().map(|outcome| (*outcome, count(outcome))).collect(),
            as_origin: self.as_origin.view(),
            as_participant: self.as_participant.view(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::ids::TransferId;

    #[test]
    fn what_stood_in_the_log_at_the_start_is_not_counted_again() {
        let tally = Tally::default();
        let closed = |commit| Event {
            log_index: 9,
            n: 0,
            stamp_ms: 1,
            kind: EventKind::TransferClosed { transfer: TransferId([1; 16]), commit },
            legs: Vec::new(),
        };
        tally.begin_behind(7);
        tally.count(7, &[Outcome::Created], &[closed(true)]);
        assert_eq!((tally.view().entries, tally.view().as_origin), (0, Ends::default()));
        tally.count(8, &[Outcome::Created, Outcome::RootKeyForked, Outcome::Created], &[closed(true), closed(false)]);
        let view = tally.view();
        let of = |wanted| view.outcomes.iter().find(|(outcome, _)| *outcome == wanted).map(|(_, count)| *count);
        assert_eq!(
            (of(Outcome::Created), of(Outcome::RootKeyForked), of(Outcome::Expired)),
            (Some(2), Some(1), Some(0))
        );
        assert_eq!((view.entries, view.as_origin), (1, Ends { committed: 1, aborted: 1 }));
        assert_eq!(view.outcomes.len(), Outcome::ALL.len());
    }
}
