//! One universe from its beginning to its verdict.

mod director;
mod watch;

pub use director::{Progress, run};
