//! A world in virtual time on one thread: the next task is drawn from a seed, time moves when nobody can run.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use comity_runtime::{Abort, BoxFuture, BoxTimer, World, enter};

/// Wall clock at virtual time 0, ms since the Unix epoch.
const EPOCH_MS: u64 = 1_800_000_000_000;
/// Polls without time moving on: nobody may spin for longer.
const POLLS_PER_INSTANT: u64 = 1_000_000;

#[derive(Default)]
struct State {
    now_ns: u64,
    chance: u64,
    next: u64,
    timers: BTreeMap<(u64, u64), Waker>,
    tasks: BTreeMap<u64, (u32, Option<BoxFuture>)>,
    trace: u64,
}

impl State {
    fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.chance;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn note(&mut self, value: u64) {
        self.trace = (self.trace ^ value).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(17);
    }
}

/// The whole world. Clones are the same world.
#[derive(Clone)]
pub struct Sim {
    state: Arc<Mutex<State>>,
    ready: Arc<Mutex<BTreeSet<u64>>>,
}

struct Host {
    sim: Sim,
    host: u32,
}

struct Ready {
    ready: Arc<Mutex<BTreeSet<u64>>>,
    task: u64,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap().insert(self.task);
    }
}

struct Ender {
    sim: Sim,
    task: u64,
}

impl Abort for Ender {
    fn abort(&self) {
        let ended = self.sim.state.lock().unwrap().tasks.remove(&self.task);
        drop(ended);
    }
}

struct Timer {
    sim: Sim,
    key: (u64, u64),
}

impl Future for Timer {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.sim.state.lock().unwrap();
        if state.now_ns >= self.key.0 {
            return Poll::Ready(());
        }
        state.timers.insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.sim.state.lock().unwrap().timers.remove(&self.key);
    }
}

impl World for Host {
    fn now_ns(&self) -> u64 {
        self.sim.state.lock().unwrap().now_ns
    }

    fn wall_ms(&self) -> u64 {
        EPOCH_MS + self.now_ns() / 1_000_000
    }

    fn sleep_until(&self, at_ns: u64) -> BoxTimer {
        let mut state = self.sim.state.lock().unwrap();
        state.next += 1;
        let key = (at_ns, state.next);
        Box::pin(Timer { sim: self.sim.clone(), key })
    }

    fn spawn(&self, task: BoxFuture) -> Box<dyn Abort> {
        let id = self.sim.add(self.host, task);
        Box::new(Ender { sim: self.sim.clone(), task: id })
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }

    fn entropy(&self, buffer: &mut [u8]) {
        let mut state = self.sim.state.lock().unwrap();
        for chunk in buffer.chunks_mut(8) {
            let drawn = state.draw().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }

    fn parallelism(&self) -> usize {
        1
    }
}

impl Sim {
    pub fn new(seed: u64) -> Sim {
        let state = State { chance: seed, ..State::default() };
        Sim { state: Arc::new(Mutex::new(state)), ready: Arc::default() }
    }

    pub fn world(&self, host: u32) -> Arc<dyn World> {
        Arc::new(Host { sim: self.clone(), host })
    }

    /// Folds a value of the test into the trace.
    pub fn note(&self, value: u64) {
        self.state.lock().unwrap().note(value);
    }

    /// A number below `bound`.
    pub fn draw(&self, bound: u64) -> u64 {
        self.state.lock().unwrap().draw() % bound
    }

    /// Digest over every poll: which task, when.
    pub fn trace(&self) -> u64 {
        self.state.lock().unwrap().trace
    }

    fn add(&self, host: u32, task: BoxFuture) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.next += 1;
        let id = state.next;
        state.tasks.insert(id, (host, Some(task)));
        self.ready.lock().unwrap().insert(id);
        id
    }

    /// Ends all tasks of a host, as a power cut does.
    pub fn kill(&self, host: u32) {
        let _inside = enter(self.world(host));
        let mut state = self.state.lock().unwrap();
        let (gone, kept) = std::mem::take(&mut state.tasks).into_iter().partition(|(_, (h, _))| *h == host);
        state.tasks = kept;
        drop(state);
        let gone: BTreeMap<u64, (u32, Option<BoxFuture>)> = gone;
        drop(gone);
    }

    /// Runs the world until `future`, a task of `host`, has ended.
    pub fn run<T: Send + 'static>(&self, host: u32, future: impl Future<Output = T> + Send + 'static) -> T {
        let slot = Arc::new(Mutex::new(None));
        let filled = slot.clone();
        self.add(
            host,
            Box::pin(async move {
                let value = future.await;
                *filled.lock().unwrap() = Some(value);
            }),
        );
        let mut polls = 0;
        loop {
            if let Some(value) = slot.lock().unwrap().take() {
                return value;
            }
            polls = if self.poll_one() { polls + 1 } else { 0 };
            assert!(polls < POLLS_PER_INSTANT, "somebody spins without time moving on");
        }
    }

    /// Polls one drawn task, or moves time to the next timer. True when a task was polled.
    fn poll_one(&self) -> bool {
        let ready: Vec<u64> = self.ready.lock().unwrap().iter().copied().collect();
        if ready.is_empty() {
            self.advance();
            return false;
        }
        let (id, host, future) = {
            let mut state = self.state.lock().unwrap();
            let drawn = state.draw() as usize % ready.len();
            let id = ready[drawn];
            self.ready.lock().unwrap().remove(&id);
            let now = state.now_ns;
            let Some((host, future)) = state.tasks.get_mut(&id) else { return true };
            let (host, future) = (*host, future.take());
            state.note(id);
            state.note(now);
            (id, host, future)
        };
        let Some(mut future) = future else { return true };
        let _inside = enter(self.world(host));
        let waker = Waker::from(Arc::new(Ready { ready: self.ready.clone(), task: id }));
        let ended = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        let mut state = self.state.lock().unwrap();
        match state.tasks.get_mut(&id) {
            Some((_, slot)) if !ended => *slot = Some(future),
            _ => {
                state.tasks.remove(&id);
                drop(state);
                drop(future);
            }
        }
        true
    }

    fn advance(&self) {
        let mut state = self.state.lock().unwrap();
        let Some((&(at, _), _)) = state.timers.first_key_value() else { panic!("nobody can ever run again") };
        state.now_ns = state.now_ns.max(at);
        let later = state.timers.split_off(&(at, u64::MAX));
        let due = std::mem::replace(&mut state.timers, later);
        drop(state);
        for waker in due.into_values() {
            waker.wake();
        }
    }
}
