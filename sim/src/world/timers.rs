//! What is due when, in universe time.

use std::{collections::BTreeMap, sync::Arc, task::Waker};

use parking_lot::Mutex;

use super::TimeNs;

/// All timers. Equal deadlines stand in the order in which they were set.
#[derive(Default)]
pub(super) struct Timers {
    next: u64,
    due: BTreeMap<(TimeNs, u64), Waker>,
}

impl Timers {
    /// Wakes `waker` at `at`.
    pub(super) fn set(&mut self, at: TimeNs, waker: Waker) -> (TimeNs, u64) {
        self.next += 1;
        let key = (at, self.next);
        self.due.insert(key, waker);
        key
    }

    /// Replaces the waker of a timer that has not fired; false if it has.
    pub(super) fn rewake(&mut self, key: (TimeNs, u64), waker: &Waker) -> bool {
        match self.due.get_mut(&key) {
            Some(old) => {
                old.clone_from(waker);
                true
            }
            None => false,
        }
    }

    pub(super) fn forget(&mut self, key: (TimeNs, u64)) -> Option<Waker> {
        self.due.remove(&key)
    }

    /// The earliest deadline.
    pub(super) fn earliest(&self) -> Option<TimeNs> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out everything due at or before `at`.
    pub(super) fn take_due(&mut self, at: TimeNs) -> Vec<Waker> {
        let mut due = Vec::new();
        while self.earliest().is_some_and(|earliest| earliest <= at) {
            due.extend(self.due.pop_first().map(|(_, waker)| waker));
        }
        due
    }
}

/// A wake-up call in universe time, forgotten when dropped. For networks and disks, which belong to no host's clock.
pub struct Alarm {
    pub(super) timers: Arc<Mutex<Timers>>,
    pub(super) key: (TimeNs, u64),
}

impl Alarm {
    /// When it rings.
    pub fn at(&self) -> TimeNs {
        self.key.0
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // The waker may be the last owner of a task: it is dropped outside the lock.
        let forgotten = self.timers.lock().forget(self.key);
        drop(forgotten);
    }
}
