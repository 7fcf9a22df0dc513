//! The monotonic clock.

use std::{
    ops::{Add, AddAssign, Sub, SubAssign},
    time::Duration,
};

/// A point on the monotonic clock of the current host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(comity_runtime::Instant);

impl Instant {
    /// Now.
    pub fn now() -> Instant {
        Instant(comity_runtime::now())
    }

    /// Time since `earlier`; zero if that is later.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.0.since(earlier.0)
    }

    /// Time since `earlier`; `None` if that is later.
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        (*self >= earlier).then(|| self.duration_since(earlier))
    }

    /// Time since `earlier`; zero if that is later.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }

    /// Time from here to now.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Later by `duration`; `None` beyond the end of the clock.
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        let sum = *self + duration;
        (sum.0 - self.0 == duration).then_some(sum)
    }

    /// Earlier by `duration`; `None` before the clock's origin.
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        let difference = *self - duration;
        (self.0 - difference.0 == duration).then_some(difference)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0 + rhs)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, rhs: Duration) -> Instant {
        Instant(self.0 - rhs)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, rhs: Duration) {
        *self = *self - rhs;
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        self.duration_since(rhs)
    }
}
