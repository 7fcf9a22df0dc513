//! The world of a real process: tokio's timers and tasks, the system's clocks and random source.
//!
//! The only place of the node that touches them; everything else asks `comity_runtime`.

use comity_runtime::{Abort, BoxFuture, BoxTimer, World};
use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Runs on the tokio runtime that it was made on.
struct TokioWorld {
    handle: tokio::runtime::Handle,
    origin: Instant,
    cores: usize,
}

struct TokioAbort(tokio::task::AbortHandle);

impl Abort for TokioAbort {
    fn abort(&self) {
        self.0.abort();
    }
}

impl World for TokioWorld {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn wall_ms(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep_until(&self, at_ns: u64) -> BoxTimer {
        let _inside = self.handle.enter();
        let at = self.origin + Duration::from_nanos(at_ns);
        Box::pin(tokio::time::sleep_until(at.into()))
    }

    fn spawn(&self, task: BoxFuture) -> Box<dyn Abort> {
        Box::new(TokioAbort(self.handle.spawn(task).abort_handle()))
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.handle.spawn_blocking(work);
    }

    fn entropy(&self, buffer: &mut [u8]) {
        // Without randomness no key is safe and no node may go on.
        getrandom::fill(buffer).expect("the operating system has a random source");
    }

    fn parallelism(&self) -> usize {
        self.cores
    }
}

/// Makes the current tokio runtime the world of this process. Later calls change nothing.
pub fn install_tokio() {
    comity_runtime::install(world_of(tokio::runtime::Handle::current()));
}

/// The world of one runtime. All of a process read one clock, so that their times can be compared.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
pub(crate) fn world_of(handle: tokio::runtime::Handle) -> Arc<dyn World> {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Arc::new(TokioWorld { handle, origin: *ORIGIN.get_or_init(Instant::now), cores })
}

/// A runtime fit for a node: as many workers as cores, at most four (a node is not a web farm), few blocking threads.
///
/// # Errors
/// When the system gives no threads.
pub fn build() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(2, 4))
        .max_blocking_threads(16)
        .thread_stack_size(1024 * 1024)
        .thread_name("comity")
        .enable_all()
        .build()
}

/// The world of all unit tests of this process, and the one runtime behind it: a world is installed once.
#[cfg(test)]
pub(crate) fn tests_world() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let runtime = build().expect("threads for tests");
        runtime.block_on(async { install_tokio() });
        runtime
    })
}
