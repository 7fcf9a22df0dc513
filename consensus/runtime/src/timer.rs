//! Sleeping and time limits on the monotonic clock.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::world::{self, BoxTimer, Instant};

/// Ends after `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(crate::now() + duration)
}

/// Ends when the monotonic clock has reached `deadline`.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep(world::with(|world| world.sleep_until(deadline.as_ns())))
}

/// A running timer. Dropping it forgets it.
#[must_use = "a timer does nothing unless awaited"]
pub struct Sleep(BoxTimer);

impl Future for Sleep {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sleep")
    }
}

/// Gives `future` at most `duration`; then drops it and answers [`Elapsed`].
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    timeout_at(crate::now() + duration, future)
}

/// Gives `future` until `deadline`; then drops it and answers [`Elapsed`].
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future: Box::pin(future), sleep: sleep_until(deadline) }
}

/// The time limit passed before the future ended. What the future had begun may have had effects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit passed")
    }
}

impl std::error::Error for Elapsed {}

/// A future under a time limit. The future is asked first, so one that is ready at its deadline wins.
#[must_use = "a time limit does nothing unless awaited"]
pub struct Timeout<F> {
    future: Pin<Box<F>>,
    sleep: Sleep,
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut self.sleep).poll(cx).map(|()| Err(Elapsed))
    }
}
