//! One thread, many hosts: polls a drawn task, or lets time pass when nobody can run.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::Arc,
    task::{Context, Waker},
};

use comity_runtime::{BoxFuture, World, enter};
use parking_lot::Mutex;

use super::{
    Chance, HostClock, HostId, Kind, Policy, TimeNs, Trace,
    host::Host,
    schedule::{Ready, Wakeup},
    timers::{Alarm, Timers},
};

/// Polls without time passing after which somebody spins.
const POLLS_PER_INSTANT: u64 = 2_000_000;

/// Why a universe cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stuck {
    /// Nothing is ready and nothing is due.
    Deadlock,
    /// Tasks keep each other running at one instant: universe time in ns.
    Livelock(TimeNs),
}

impl std::fmt::Display for Stuck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stuck::Deadlock => f.write_str("nobody can ever run again: no task is ready and no timer is set"),
            Stuck::Livelock(at) => {
                write!(f, "{POLLS_PER_INSTANT} polls at {} ms without time passing: somebody spins", at / 1_000_000)
            }
        }
    }
}

/// A universe. Clones are the same one.
#[derive(Clone)]
pub struct Universe {
    seed: u64,
    state: Arc<Mutex<State>>,
    ready: Arc<Mutex<Ready>>,
    timers: Arc<Mutex<Timers>>,
}

struct State {
    now: TimeNs,
    policy: Policy,
    schedule: Chance,
    tasks: Vec<Option<Task>>,
    free: Vec<usize>,
    hosts: BTreeMap<HostId, HostState>,
    polls_at_now: u64,
    trace: Trace,
}

struct Task {
    wakeup: Arc<Wakeup>,
    /// Absent while it is polled.
    future: Option<BoxFuture>,
    waker: Waker,
}

/// What the universe knows of a host.
pub(super) struct HostState {
    pub(super) clock: HostClock,
    pub(super) entropy: Chance,
    pub(super) world: Arc<dyn World>,
    /// Its tasks wait until then: paused, or its core is busy.
    stopped_until: TimeNs,
    /// Its tasks wait until somebody has looked at it.
    is_frozen: bool,
    /// Tasks that were woken meanwhile.
    waiting: Vec<Arc<Wakeup>>,
    /// Universe time that one poll takes on this host.
    poll_cost: TimeNs,
    /// Added to every timer.
    pub(super) timer_lag: TimeNs,
    resume: Option<(TimeNs, u64)>,
}

impl Universe {
    /// An empty universe.
    pub fn new(seed: u64, policy: Policy) -> Universe {
        let state = State {
            now: 0,
            policy,
            schedule: Chance::stream(seed, "schedule"),
            tasks: Vec::new(),
            free: Vec::new(),
            hosts: BTreeMap::new(),
            polls_at_now: 0,
            trace: Trace::default(),
        };
        Universe { seed, state: Arc::new(Mutex::new(state)), ready: Arc::default(), timers: Arc::default() }
    }

    /// Its seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A stream of chance of this universe.
    pub fn chance(&self, label: &str) -> Chance {
        Chance::stream(self.seed, label)
    }

    /// Universe time.
    pub fn now(&self) -> TimeNs {
        self.state.lock().now
    }

    /// The fingerprint so far.
    pub fn trace(&self) -> Trace {
        self.state.lock().trace.clone()
    }

    /// Digest of everything so far.
    pub fn digest(&self) -> u64 {
        self.state.lock().trace.digest()
    }

    /// Folds an event into the fingerprint.
    pub fn note(&self, kind: Kind, a: u64, b: u64) {
        self.state.lock().trace.note(kind, a, b);
    }

    /// How the next task is chosen.
    pub fn policy(&self) -> Policy {
        self.state.lock().policy
    }

    /// Changes how the next task is chosen.
    pub fn set_policy(&self, policy: Policy) {
        self.state.lock().policy = policy;
    }

    /// The world as seen from `host`, which comes into being if it is new.
    pub fn world(&self, host: HostId) -> Arc<dyn World> {
        let mut state = self.state.lock();
        if let Some(known) = state.hosts.get(&host) {
            return known.world.clone();
        }
        let world: Arc<dyn World> = Arc::new(Host { universe: self.clone(), host });
        let fresh = HostState {
            clock: HostClock::default(),
            entropy: self.chance(&format!("entropy of host {host}")),
            world: world.clone(),
            stopped_until: 0,
            is_frozen: false,
            waiting: Vec::new(),
            poll_cost: 0,
            timer_lag: 0,
            resume: None,
        };
        state.hosts.insert(host, fresh);
        world
    }

    pub(super) fn with_host<T>(&self, host: HostId, ask: impl FnOnce(TimeNs, &mut HostState) -> T) -> T {
        let mut state = self.state.lock();
        let now = state.now;
        ask(now, state.hosts.get_mut(&host).expect("a host that asks was made by `world`"))
    }

    /// Changes a host's clocks.
    pub fn set_clock(&self, host: HostId, change: impl FnOnce(TimeNs, &mut HostClock)) {
        let _made = self.world(host);
        self.with_host(host, |now, state| change(now, &mut state.clock));
    }

    /// Every timer of the host fires so much later (universe time); timers already set keep their time.
    pub fn set_timer_lag(&self, host: HostId, lag: TimeNs) {
        let _made = self.world(host);
        self.with_host(host, |_, state| state.timer_lag = lag);
    }

    /// Every poll of the host's tasks takes so much universe time: a slow core.
    pub fn set_poll_cost(&self, host: HostId, cost: TimeNs) {
        let _made = self.world(host);
        self.with_host(host, |_, state| state.poll_cost = cost);
    }

    /// The host's tasks do not run before `until` (universe time): a stopped process, a collector's pause, a closed lid.
    /// Its clocks go on. An earlier time ends a pause.
    pub fn pause(&self, host: HostId, until: TimeNs) {
        let _made = self.world(host);
        let mut state = self.state.lock();
        let now = state.now;
        let Some(known) = state.hosts.get_mut(&host) else { return };
        known.stopped_until = until;
        if until <= now {
            let waiting = std::mem::take(&mut known.waiting);
            drop(state);
            waiting.iter().for_each(Wakeup::queue);
        }
    }

    /// Keeps the host's tasks from running, from this very instant: the one that is polled now is the last. Not a fault
    /// but an observer's tool, for the moment that a look takes; a pause that lasts is [`Universe::pause`].
    pub fn freeze(&self, host: HostId, is_frozen: bool) {
        let mut state = self.state.lock();
        let Some(known) = state.hosts.get_mut(&host) else { return };
        known.is_frozen = is_frozen;
        let waiting = if is_frozen { Vec::new() } else { std::mem::take(&mut known.waiting) };
        drop(state);
        waiting.iter().for_each(Wakeup::queue);
    }

    /// Starts a task on a host.
    pub fn spawn_on(&self, host: HostId, future: impl Future<Output = ()> + Send + 'static) {
        let _made = self.world(host);
        self.add(host, Box::pin(future));
    }

    pub(super) fn add(&self, host: HostId, future: BoxFuture) -> Arc<Wakeup> {
        let mut state = self.state.lock();
        let slot = state.free.pop().unwrap_or(state.tasks.len());
        let priority = state.schedule.any() | 1 << 32;
        let wakeup = Wakeup::new(slot, host, priority, self.ready.clone());
        let waker = Waker::from(wakeup.clone());
        let task = Task { wakeup: wakeup.clone(), future: Some(future), waker };
        match state.tasks.get_mut(slot) {
            Some(place) => *place = Some(task),
            None => state.tasks.push(Some(task)),
        }
        drop(state);
        wakeup.queue();
        wakeup
    }

    /// Ends a task: at once, or when its present poll is over.
    pub(super) fn end(&self, wakeup: &Wakeup) {
        if wakeup.has_ended() {
            return;
        }
        wakeup.end();
        let mut state = self.state.lock();
        let is_polled = state.tasks[wakeup.slot].as_ref().is_some_and(|task| task.future.is_none());
        if is_polled {
            return;
        }
        let task = state.tasks[wakeup.slot].take();
        state.free.push(wakeup.slot);
        drop(state);
        self.drop_on(wakeup.host, task);
    }

    /// Drops something that belongs to a host, with that host as the current one: destructors ask for the time.
    fn drop_on<T>(&self, host: HostId, value: T) {
        let _inside = enter(self.world(host));
        drop(value);
    }

    /// Ends all tasks of a host, as a power cut does.
    pub fn kill(&self, host: HostId) {
        let gone: Vec<Arc<Wakeup>> = {
            let mut state = self.state.lock();
            if let Some(known) = state.hosts.get_mut(&host) {
                known.waiting.clear();
                known.stopped_until = 0;
                known.is_frozen = false;
            }
            state.tasks.iter().flatten().map(|task| task.wakeup.clone()).filter(|wakeup| wakeup.host == host).collect()
        };
        gone.iter().for_each(|wakeup| self.end(wakeup));
    }

    /// How many tasks a host has.
    pub fn tasks_of(&self, host: HostId) -> usize {
        self.state.lock().tasks.iter().flatten().filter(|task| task.wakeup.host == host).count()
    }

    /// Rings at `at` (universe time).
    pub fn alarm(&self, at: TimeNs, waker: &Waker) -> Alarm {
        let key = self.timers.lock().set(at, waker.clone());
        Alarm { timers: self.timers.clone(), key }
    }

    /// Lets an alarm that has not rung wake somebody else; false if it has rung.
    pub fn realarm(&self, alarm: &Alarm, waker: &Waker) -> bool {
        self.timers.lock().rewake(alarm.key, waker)
    }

    /// Runs until `future`, a task of `host`, has ended.
    ///
    /// # Errors
    /// When the universe cannot go on before that.
    pub fn run<T: Send + 'static>(
        &self,
        host: HostId,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Stuck> {
        let slot = Arc::new(Mutex::new(None));
        let filled = slot.clone();
        self.spawn_on(host, async move {
            let value = future.await;
            *filled.lock() = Some(value);
        });
        loop {
            if let Some(value) = slot.lock().take() {
                return Ok(value);
            }
            self.step()?;
        }
    }

    /// Polls one task, or lets time pass to the next deadline.
    fn step(&self) -> Result<(), Stuck> {
        let mut state = self.state.lock();
        let policy = state.policy;
        let taken = self.ready.lock().take(policy, &mut state.schedule);
        match taken {
            Some(wakeup) => self.poll(state, &wakeup),
            None => self.advance(state),
        }
    }

    fn poll(&self, mut state: parking_lot::MutexGuard<'_, State>, wakeup: &Arc<Wakeup>) -> Result<(), Stuck> {
        let now = state.now;
        state.polls_at_now += 1;
        if state.polls_at_now > POLLS_PER_INSTANT {
            return Err(Stuck::Livelock(now));
        }
        let Some(host) = state.hosts.get_mut(&wakeup.host) else { return Ok(()) };
        if host.is_frozen {
            host.waiting.push(wakeup.clone());
            return Ok(());
        }
        if host.stopped_until > now {
            self.postpone(host, wakeup);
            return Ok(());
        }
        if host.poll_cost > 0 {
            host.stopped_until = now + host.poll_cost;
        }
        let world = host.world.clone();
        let Some(task) = state.tasks[wakeup.slot].as_mut().filter(|task| Arc::ptr_eq(&task.wakeup, wakeup)) else {
            return Ok(());
        };
        let Some(mut future) = task.future.take() else { return Ok(()) };
        let waker = task.waker.clone();
        state.trace.note(Kind::Poll, wakeup.slot as u64, u64::from(wakeup.host));
        drop(state);
        let _inside = enter(world);
        let ended = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        let mut state = self.state.lock();
        if ended || wakeup.has_ended() {
            wakeup.end();
            let task = state.tasks[wakeup.slot].take();
            state.free.push(wakeup.slot);
            drop(state);
            drop((task, future));
        } else if let Some(task) = state.tasks[wakeup.slot].as_mut() {
            task.future = Some(future);
        }
        Ok(())
    }

    /// Keeps a wake-up of a host that is stopped until it goes on.
    fn postpone(&self, host: &mut HostState, wakeup: &Arc<Wakeup>) {
        host.waiting.push(wakeup.clone());
        let until = host.stopped_until;
        if until < TimeNs::MAX && host.resume.is_none_or(|(at, _)| at != until) {
            let waker = Waker::from(Arc::new(Resume { universe: self.clone(), host: wakeup.host }));
            host.resume = Some(self.timers.lock().set(until, waker));
        }
    }

    fn resume(&self, host: HostId) {
        let mut state = self.state.lock();
        let Some(known) = state.hosts.get_mut(&host) else { return };
        known.resume = None;
        let waiting = std::mem::take(&mut known.waiting);
        drop(state);
        // Those of a pause that was made longer meanwhile are postponed again.
        waiting.iter().for_each(Wakeup::queue);
    }

    fn advance(&self, mut state: parking_lot::MutexGuard<'_, State>) -> Result<(), Stuck> {
        let mut timers = self.timers.lock();
        let Some(at) = timers.earliest() else { return Err(Stuck::Deadlock) };
        if at > state.now {
            state.now = at;
            state.polls_at_now = 0;
            state.trace.note(Kind::Time, at, 0);
        }
        let due = timers.take_due(state.now);
        drop(timers);
        drop(state);
        due.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

/// Wakes what a stopped host missed.
struct Resume {
    universe: Universe,
    host: HostId,
}

impl std::task::Wake for Resume {
    fn wake(self: Arc<Self>) {
        self.universe.resume(self.host);
    }
}
