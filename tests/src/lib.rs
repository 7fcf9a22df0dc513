//! Helpers of the proofs across crates: real processes, real disks, real sockets.
//!
//! A test starts nodes as anybody would (the binary `comity`, a data directory each), speaks to them through their REST
//! doors and their command line, and signs with keys of its own. Every child process dies with the value that holds it.
//!
//! Deliberately absent: any way into a node other than its doors.

#![forbid(unsafe_code)]

pub mod agent;
pub mod binary;
pub mod cli;
pub mod door;
pub mod exchange;
pub mod federation;
pub mod foreign;
pub mod misread;
pub mod pair;
pub mod process;
pub mod rogue;
pub mod single;
pub mod slowness;
pub mod tls;
pub mod wire;

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// How long a condition may take before a test gives up. It is for a test that would wait for ever on a defect, on a
/// machine that is busy with other things; it is no claim about speed.
pub const PATIENCE: Duration = Duration::from_secs(180);

static WORLD: OnceLock<tokio::runtime::Runtime> = OnceLock::new();

/// Gives this process clocks and randomness, so that keys can be made and commands signed. Calls after the first are free.
pub fn world() {
    WORLD.get_or_init(|| {
        let runtime = comity_node::runtime::build().expect("threads for the test");
        let inside = runtime.enter();
        comity_node::runtime::install_tokio();
        drop(inside);
        runtime
    });
}

/// Runs to its end what a node's library does.
///
/// # Panics
/// When it does.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    world();
    WORLD.get().expect("just made").block_on(work)
}

/// Wall clock, ms since the Unix epoch.
pub fn now_ms() -> u64 {
    world();
    comity_runtime::wall_ms()
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// After `patience`, naming what was waited for.
pub fn wait_for<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < patience, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
