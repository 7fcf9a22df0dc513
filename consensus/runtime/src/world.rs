//! The [`World`] trait and the choice of the one that answers.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A task as a world takes it.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A timer as a world makes it. `Sync` because openraft stores timers in shared structures.
pub type BoxTimer = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// Ends a task that a world runs. Ending a finished task does nothing.
pub trait Abort: Send + Sync {
    /// The task is dropped at its next suspension point at the latest.
    fn abort(&self);
}

/// Everything a host asks of its surroundings. Two bodies exist: the operating system's and the
/// simulator's.
pub trait World: Send + Sync + 'static {
    /// Monotonic nanoseconds since a point that the world chooses. Never runs backwards.
    fn now_ns(&self) -> u64;

    /// Wall clock, milliseconds since the Unix epoch. May jump.
    fn wall_ms(&self) -> u64;

    /// A future that ends when the monotonic clock has reached `at_ns`, never before.
    fn sleep_until(&self, at_ns: u64) -> BoxTimer;

    /// Starts a task. It runs until it ends, is aborted, or its host dies.
    fn spawn(&self, task: BoxFuture) -> Box<dyn Abort>;

    /// Runs work that keeps a core busy or blocks, off the threads that run tasks.
    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>);

    /// Fills the buffer with unpredictable bytes (in a simulator: bytes drawn from the seed).
    fn entropy(&self, buffer: &mut [u8]);

    /// How many cores parallel work may use. A simulator answers 1.
    fn parallelism(&self) -> usize;
}

static PROCESS: OnceLock<Arc<dyn World>> = OnceLock::new();

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn World>>> = const { RefCell::new(None) };
}

/// Makes `world` the one of the whole process. The first call wins; `false` means that one was
/// installed already and nothing changed.
pub fn install(world: Arc<dyn World>) -> bool {
    PROCESS.set(world).is_ok()
}

/// Makes `world` the current one of this thread until the returned guard is dropped. A simulator
/// does this around every poll, and around dropping a host's tasks.
pub fn enter(world: Arc<dyn World>) -> Entered {
    let before = CURRENT.with(|current| current.borrow_mut().replace(world));
    Entered { before, not_send: PhantomData }
}

/// Leaves the entered world when dropped. See [`enter`].
#[must_use = "the world is left as soon as this is dropped"]
pub struct Entered {
    before: Option<Arc<dyn World>>,
    /// The guard belongs to the thread that it was made on.
    not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        // The old world is dropped outside the borrow: its destructor may ask for the time.
        let _left = CURRENT.with(|current| std::mem::replace(&mut *current.borrow_mut(), before));
    }
}

/// The world that answers on this thread.
///
/// # Panics
/// When nothing was entered or installed: a program that forgot its first line.
pub fn world() -> Arc<dyn World> {
    let current = CURRENT.with(|current| current.borrow().clone());
    match current {
        Some(world) => world,
        None => PROCESS.get().expect("a world is installed before the first use").clone(),
    }
}

/// Calls `ask` with the current world, without touching a reference count on the process-wide one.
pub(crate) fn with<T>(ask: impl FnOnce(&dyn World) -> T) -> T {
    let current = CURRENT.with(|current| current.borrow().clone());
    match current {
        Some(world) => ask(&*world),
        None => ask(&**PROCESS.get().expect("a world is installed before the first use")),
    }
}

/// A point on the host's monotonic clock, in nanoseconds. Only differences have a meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The point `ns` nanoseconds after the world's origin.
    pub const fn from_ns(ns: u64) -> Instant {
        Instant(ns)
    }

    /// Nanoseconds since the world's origin.
    pub const fn as_ns(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time from `self` to now.
    pub fn elapsed(self) -> Duration {
        crate::now().since(self)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

/// Durations of over 584 years stop at the end of the clock.
fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(ns(rhs)))
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
        Instant(self.0.saturating_sub(ns(rhs)))
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, rhs: Instant) -> Duration {
        self.since(rhs)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, rhs: Duration) {
        *self = *self - rhs;
    }
}

/// How many cores parallel work may use. See [`World::parallelism`].
pub fn parallelism() -> usize {
    with(|world| world.parallelism()).max(1)
}
