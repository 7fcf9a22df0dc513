//! Stands in for the crate `web-time` 1, through which libp2p and yamux read every clock.
//!
//! Natively the original is `std::time`. Here both clocks are those of `comity_runtime`: the operating system's in a
//! real node, those of the current host in the simulator. Wall time has a resolution of one millisecond.
//!
//! Deliberately absent: conversions from and to `std::time`, which would let a real clock in.

#![forbid(unsafe_code)]

mod instant;
mod system;

pub use instant::Instant;
pub use std::time::Duration;
pub use system::{SystemTime, SystemTimeError, UNIX_EPOCH};
