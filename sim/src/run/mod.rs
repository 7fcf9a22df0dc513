//! One universe from its beginning to its verdict.

mod director;
mod waiting;
mod watch;

pub use director::{Listener, Progress, run};
