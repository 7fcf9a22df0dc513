//! openraft's `AsyncRuntime` over the runtime facade: the same openraft runs in real and in virtual time.
//!
//! Channels stay tokio's: `tokio::sync` needs no runtime and its queues are first in, first out. What draws chance
//! inside openraft is listed in the test `replays_from_its_seed`.

use std::{
    future::Future,
    ops::{Add, AddAssign, Sub, SubAssign},
    time::Duration,
};

use comity_runtime as runtime;
use openraft::{AsyncRuntime, OptionalSend, async_runtime::TokioOneShotSender};
use rand::RngCore;

/// openraft's runtime: time, tasks and chance come from the current world.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RaftRuntime;

/// A point on the host's monotonic clock, as openraft wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RaftInstant(runtime::Instant);

impl openraft::Instant for RaftInstant {
    fn now() -> Self {
        RaftInstant(runtime::now())
    }
}

impl Add<Duration> for RaftInstant {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        RaftInstant(self.0 + rhs)
    }
}

impl AddAssign<Duration> for RaftInstant {
    fn add_assign(&mut self, rhs: Duration) {
        self.0 += rhs;
    }
}

impl Sub<Duration> for RaftInstant {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        RaftInstant(self.0 - rhs)
    }
}

impl Sub for RaftInstant {
    type Output = Duration;
    fn sub(self, rhs: Self) -> Duration {
        self.0 - rhs.0
    }
}

impl SubAssign<Duration> for RaftInstant {
    fn sub_assign(&mut self, rhs: Duration) {
        self.0 -= rhs;
    }
}

/// Randomness of the current world. openraft draws election time-outs from it, a few times per election.
#[derive(Debug, Default)]
pub struct RaftRng;

impl RngCore for RaftRng {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        runtime::entropy(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        runtime::entropy(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        runtime::entropy(dest);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand::Error> {
        runtime::entropy(dest);
        Ok(())
    }
}

impl AsyncRuntime for RaftRuntime {
    type JoinError = runtime::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = runtime::JoinHandle<T>;
    type Sleep = runtime::Sleep;
    type Instant = RaftInstant;
    type TimeoutError = runtime::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = runtime::Timeout<T>;
    type ThreadLocalRng = RaftRng;
    type OneshotSender<T: OptionalSend> = TokioOneShotSender<T>;
    type OneshotReceiverError = tokio::sync::oneshot::error::RecvError;
    type OneshotReceiver<T: OptionalSend> = tokio::sync::oneshot::Receiver<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        runtime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        runtime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        runtime::sleep_until(deadline.0)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Self::Timeout<R, F> {
        runtime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Self::Instant, future: F) -> Self::Timeout<R, F> {
        runtime::timeout_at(deadline.0, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        *join_error == runtime::JoinError::Panicked
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        RaftRng
    }

    fn oneshot<T>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>)
    where
        T: OptionalSend,
    {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        (TokioOneShotSender(sender), receiver)
    }
}
