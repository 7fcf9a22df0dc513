//! Which of the tasks that could run runs next.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Wake,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{Chance, HostId};

/// How the next task is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Any task that is ready, drawn evenly.
    #[default]
    Random,
    /// In the order of wake-ups, as a real runtime mostly does.
    Fifo,
    /// Probabilistic concurrency testing (Burckhardt et al., ASPLOS 2010): every task has a drawn priority, the highest
    /// runs, and now and then the one that runs falls to the bottom. Finds orderings that even draws seldom reach.
    Pct,
    /// Even draws, but one host's tasks run only when nobody else can.
    Starve(HostId),
}

/// One in so many polls changes a priority under [`Policy::Pct`].
const PCT_CHANGE: u64 = 512;

/// What the executor and a task's wakers share.
pub(super) struct Wakeup {
    pub(super) slot: usize,
    pub(super) host: HostId,
    /// For [`Policy::Pct`]; higher runs first.
    priority: Mutex<u64>,
    queued: AtomicBool,
    ended: AtomicBool,
    ready: Arc<Mutex<Ready>>,
}

/// The tasks that could run.
#[derive(Default)]
pub(super) struct Ready(VecDeque<Arc<Wakeup>>);

impl Wakeup {
    pub(super) fn new(slot: usize, host: HostId, priority: u64, ready: Arc<Mutex<Ready>>) -> Arc<Wakeup> {
        let (queued, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Wakeup { slot, host, priority: Mutex::new(priority), queued, ended, ready })
    }

    /// Puts the task among the ready ones, once.
    pub(super) fn queue(self: &Arc<Self>) {
        if !self.ended.load(Ordering::Relaxed) && !self.queued.swap(true, Ordering::Relaxed) {
            self.ready.lock().0.push_back(self.clone());
        }
    }

    /// The task is gone: later wake-ups mean nothing.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.queue();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue();
    }
}

impl Ready {
    /// Takes the next task out; `None` when nobody could run.
    pub(super) fn take(&mut self, policy: Policy, chance: &mut Chance) -> Option<Arc<Wakeup>> {
        let at = match policy {
            Policy::Fifo => 0,
            Policy::Random => chance.below(self.0.len() as u64) as usize,
            Policy::Pct => self.highest(chance),
            Policy::Starve(host) => self.not_of(host, chance),
        };
        let taken = if at == 0 { self.0.pop_front() } else { self.0.swap_remove_back(at) }?;
        taken.queued.store(false, Ordering::Relaxed);
        Some(taken)
    }

    fn highest(&self, chance: &mut Chance) -> usize {
        let highest = (0..self.0.len()).max_by_key(|at| *self.0[*at].priority.lock()).unwrap_or(0);
        if let Some(wakeup) = self.0.get(highest)
            && chance.below(PCT_CHANGE) == 0
        {
            // Below all drawn priorities, and apart from others that fell.
            *wakeup.priority.lock() = chance.below(1 << 20);
        }
        highest
    }

    fn not_of(&self, host: HostId, chance: &mut Chance) -> usize {
        let from = chance.below(self.0.len() as u64) as usize;
        let around = (0..self.0.len()).map(|step| (from + step) % self.0.len());
        around.into_iter().find(|at| self.0[*at].host != host).unwrap_or(from)
    }
}
