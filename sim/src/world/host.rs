//! The world as one host sees it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use comity_runtime::{Abort, BoxFuture, BoxTimer, World};

use super::{Alarm, HostId, Universe, schedule::Wakeup};

/// One host's face of a universe.
pub(super) struct Host {
    pub(super) universe: Universe,
    pub(super) host: HostId,
}

impl World for Host {
    fn now_ns(&self) -> u64 {
        self.universe.with_host(self.host, |now, state| state.clock.mono(now))
    }

    fn wall_ms(&self) -> u64 {
        self.universe.with_host(self.host, |now, state| state.clock.wall_ms(now))
    }

    fn sleep_until(&self, at_ns: u64) -> BoxTimer {
        Box::pin(Timer { universe: self.universe.clone(), host: self.host, at_ns, alarm: None })
    }

    fn spawn(&self, task: BoxFuture) -> Box<dyn Abort> {
        let wakeup = self.universe.add(self.host, task);
        Box::new(Ender { universe: self.universe.clone(), wakeup })
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        // A thread of a pool begins later, after whatever else can run; never in the middle of its caller.
        self.universe.add(self.host, Box::pin(async move { work() }));
    }

    fn entropy(&self, buffer: &mut [u8]) {
        self.universe.with_host(self.host, |_, state| state.entropy.fill(buffer));
    }

    fn parallelism(&self) -> usize {
        1
    }
}

struct Ender {
    universe: Universe,
    wakeup: Arc<Wakeup>,
}

impl Abort for Ender {
    fn abort(&self) {
        self.universe.end(&self.wakeup);
    }
}

/// A timer on a host's monotonic clock.
struct Timer {
    universe: Universe,
    host: HostId,
    at_ns: u64,
    alarm: Option<Alarm>,
}

impl Future for Timer {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at_ns = self.at_ns;
        let due = self.universe.with_host(self.host, |now, state| {
            let is_due = state.clock.mono(now) >= at_ns;
            // The clock's speed may have changed since the alarm was set: it is asked again each time.
            (!is_due).then(|| state.clock.due(at_ns).saturating_add(state.timer_lag))
        });
        let Some(due) = due else {
            self.alarm = None;
            return Poll::Ready(());
        };
        let still_set = self.alarm.as_ref().is_some_and(|alarm| self.universe.realarm(alarm, cx.waker()));
        if !still_set {
            self.alarm = Some(self.universe.alarm(due, cx.waker()));
        }
        Poll::Pending
    }
}
