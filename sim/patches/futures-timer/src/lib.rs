//! Stands in for the crate `futures-timer` 3, from which libp2p takes every timer.
//!
//! The original runs a helper thread on the operating system's clock, which no simulator can hold. Here a timer is one
//! of `comity_runtime`: tokio's in a real node (and one thread less), the virtual clock's in the simulator.
//!
//! Deliberately absent: everything that libp2p does not use (`TimerHandle`, timeouts as extension traits).

#![forbid(unsafe_code)]

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// A future that ends once a duration has passed.
#[must_use = "a timer does nothing unless awaited"]
pub struct Delay(comity_runtime::Sleep);

impl Delay {
    /// Ends `duration` from now.
    pub fn new(duration: Duration) -> Delay {
        Delay(comity_runtime::sleep(duration))
    }

    /// Forgets the old deadline and ends `duration` from now.
    pub fn reset(&mut self, duration: Duration) {
        self.0 = comity_runtime::sleep(duration);
    }
}

impl Future for Delay {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delay")
    }
}
