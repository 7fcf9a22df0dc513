//! The false world: hosts, their tasks, their clocks and all chance, on one thread and in virtual time.
//!
//! Deliberately absent: what runs on the hosts, networks and disks.

mod chance;
mod clock;
mod executor;
mod host;
mod schedule;
mod timers;
mod trace;

pub use chance::Chance;
pub use clock::{EPOCH_MS, HostClock};
pub use executor::{Stuck, Universe};
pub use schedule::Policy;
pub use timers::Alarm;
pub use trace::{Kind, Trace};

/// Nanoseconds since a universe began.
pub type TimeNs = u64;

/// A host's number in its universe, from 0.
pub type HostId = u32;
