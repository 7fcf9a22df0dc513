//! The wall clock.

use std::{
    error::Error,
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

/// Midnight of 1 January 1970, UTC.
pub const UNIX_EPOCH: SystemTime = SystemTime(Duration::ZERO);

/// A point on the wall clock of the current host, which may jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemTime(Duration);

impl SystemTime {
    /// Midnight of 1 January 1970, UTC.
    pub const UNIX_EPOCH: SystemTime = UNIX_EPOCH;

    /// Now.
    pub fn now() -> SystemTime {
        SystemTime(Duration::from_millis(comity_runtime::wall_ms()))
    }

    /// Time since `earlier`.
    ///
    /// # Errors
    /// When `earlier` is later: how much.
    pub fn duration_since(&self, earlier: SystemTime) -> Result<Duration, SystemTimeError> {
        self.0.checked_sub(earlier.0).ok_or_else(|| SystemTimeError(earlier.0.saturating_sub(self.0)))
    }

    /// Time from here to now.
    ///
    /// # Errors
    /// When the clock was set back behind here: how much.
    pub fn elapsed(&self) -> Result<Duration, SystemTimeError> {
        SystemTime::now().duration_since(*self)
    }

    /// Later by `duration`; `None` beyond the end of the clock.
    pub fn checked_add(&self, duration: Duration) -> Option<SystemTime> {
        self.0.checked_add(duration).map(SystemTime)
    }

    /// Earlier by `duration`; `None` before 1970.
    pub fn checked_sub(&self, duration: Duration) -> Option<SystemTime> {
        self.0.checked_sub(duration).map(SystemTime)
    }
}

impl Add<Duration> for SystemTime {
    type Output = SystemTime;
    fn add(self, rhs: Duration) -> SystemTime {
        SystemTime(self.0.saturating_add(rhs))
    }
}

impl Sub<Duration> for SystemTime {
    type Output = SystemTime;
    fn sub(self, rhs: Duration) -> SystemTime {
        SystemTime(self.0.saturating_sub(rhs))
    }
}

/// The other point is later, by so much.
#[derive(Clone, Debug)]
pub struct SystemTimeError(Duration);

impl SystemTimeError {
    /// By how much.
    pub fn duration(&self) -> Duration {
        self.0
    }
}

impl fmt::Display for SystemTimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the other point in time is {:?} later", self.0)
    }
}

impl Error for SystemTimeError {}
