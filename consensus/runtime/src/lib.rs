//! What node code may ask of the world: time, spawning, randomness and disks.
//!
//! Node code never calls the operating system or an async runtime itself. It calls the free
//! functions of this crate. They forward to the [`World`] of the current host when a simulator
//! entered one on this thread (see [`enter`]), else to the one that the process installed at its
//! start (see [`install`]). So the same source runs in real time and in virtual time.
//!
//! Deliberately absent: any logic, any policy, any async runtime.

#![forbid(unsafe_code)]

pub mod disk;
mod task;
mod timer;
mod world;

pub use task::{JoinError, JoinHandle, run_blocking, spawn};
pub use timer::{Elapsed, Sleep, Timeout, sleep, sleep_until, timeout, timeout_at};
pub use world::{Abort, BoxFuture, BoxTimer, Entered, Instant, World, enter, install, parallelism, world};

/// Nanoseconds of the host's monotonic clock as a point in time. See [`Instant`].
pub fn now() -> Instant {
    Instant::from_ns(world::with(|world| world.now_ns()))
}

/// The host's wall clock in milliseconds since the Unix epoch.
///
/// It may jump in both directions. Nothing that decides about money may read it: the leader turns
/// it into the stamp of a log entry, and everybody uses the stamp.
pub fn wall_ms() -> u64 {
    world::with(|world| world.wall_ms())
}

/// Fills `buffer` with bytes fit for keys.
pub fn entropy(buffer: &mut [u8]) {
    world::with(|world| world.entropy(buffer));
}
