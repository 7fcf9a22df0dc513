//! The false disk: a [`MemoryDisk`] whose flushes take time, and that can lie, fail and forget.
//!
//! What is written but not flushed is kept apart below, sector by sector; this module decides when a flush is done and
//! what goes wrong on the way. One arm: flushes of one disk are carried out one after the other, and the synchronous
//! face (the event store, snapshots) keeps it busy for those of the log.
//!
//! Deliberately absent: reads that take time, and a choice of what breaks (see `faults`).

mod file;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    task::{Wake, Waker},
};

use comity_runtime::disk::{
    Disk, DiskError, DiskErrorKind, DiskFile, DiskLock, DiskStats,
    memory::{CrashPlan, MemoryDisk},
};
use futures::channel::oneshot;
use parking_lot::Mutex;

use crate::world::{Alarm, Chance, HostId, Kind, TimeNs, Universe};

/// A flush of a good solid-state disk, microseconds: the shortest, and the mean of what comes on top.
const FLUSH_US: (u64, u64) = (100, 300);

/// The disk of one host. Clones are the same one.
#[derive(Clone)]
pub struct FalseDisk {
    universe: Universe,
    host: HostId,
    state: Arc<Mutex<State>>,
}

struct State {
    /// The sectors in the machine now; they can be exchanged while a fault holds a clone.
    below: MemoryDisk,
    chance: Chance,
    mood: DiskMood,
    /// The arm is busy until then.
    busy_until: TimeNs,
    /// Flushes under way, in their order; a stalled disk keeps them without an alarm.
    under_way: VecDeque<Option<Alarm>>,
    /// Flushes that were answered without being done.
    lies: u64,
    /// Told when the next flush begins.
    awaited: Option<oneshot::Sender<()>>,
}

/// What is wrong with a disk now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskMood {
    /// Mean of what every flush takes on top, microseconds.
    pub slow_us: u64,
    /// No flush ends.
    pub is_stalled: bool,
    /// Flushes are answered without being done: a write cache that lies.
    pub is_lying: bool,
    /// Share of reads that fail.
    pub read_errors: f64,
}

impl FalseDisk {
    /// An empty disk of `host`.
    pub fn new(universe: &Universe, host: HostId) -> FalseDisk {
        let below = MemoryDisk::new();
        below.hold_syncs(true);
        let state = State {
            below,
            chance: universe.chance(&format!("disk of host {host}")),
            mood: DiskMood::default(),
            busy_until: 0,
            under_way: VecDeque::new(),
            lies: 0,
            awaited: None,
        };
        FalseDisk { universe: universe.clone(), host, state: Arc::new(Mutex::new(state)) }
    }

    /// The sectors below: for planting damage, and for looking.
    pub fn below(&self) -> MemoryDisk {
        self.state.lock().below.clone()
    }

    /// What is wrong with it now.
    pub fn mood(&self) -> DiskMood {
        self.state.lock().mood
    }

    /// Changes what is wrong. A stalled disk that is well again goes on with the flushes that waited.
    pub fn set_mood(&self, change: impl FnOnce(&mut DiskMood)) {
        let mut state = self.state.lock();
        change(&mut state.mood);
        if state.mood.is_stalled {
            return;
        }
        for place in 0..state.under_way.len() {
            if state.under_way[place].is_none() {
                let alarm = self.alarm(&mut state);
                state.under_way[place] = Some(alarm);
            }
        }
    }

    /// Flushes that were answered without being done, since the disk was made.
    pub fn lies(&self) -> u64 {
        self.state.lock().lies
    }

    /// The power goes: unflushed sectors survive as planned.
    pub fn crash(&self, plan: CrashPlan<'_>) {
        self.forget_flushes();
        self.below().crash(plan);
    }

    /// The process ends, the machine does not: what was written stays, durable or not.
    pub fn end_process(&self) {
        self.forget_flushes();
        self.below().restart_process();
    }

    /// Puts a copy of another disk's sectors in place of this one's: a restored backup, or an empty new disk. Only while
    /// no process runs on it.
    pub fn replace(&self, sectors: MemoryDisk) {
        self.forget_flushes();
        sectors.hold_syncs(true);
        self.state.lock().below = sectors;
    }

    fn forget_flushes(&self) {
        let gone = std::mem::take(&mut self.state.lock().under_way);
        drop(gone);
    }

    /// How long the next flush takes; the arm is busy with it.
    fn flush_at(&self, state: &mut State) -> TimeNs {
        let (least, mean) = FLUSH_US;
        let slow = if state.mood.slow_us == 0 { 0 } else { state.chance.tail(state.mood.slow_us) };
        let takes = least + state.chance.tail(mean) + slow;
        state.busy_until = state.busy_until.max(self.universe.now()) + takes * 1_000;
        state.busy_until
    }

    fn alarm(&self, state: &mut State) -> Alarm {
        let at = self.flush_at(state);
        let (below, universe) = (state.below.clone(), self.universe.clone());
        let flushed = Flushed { below, host: self.host, universe, state: Arc::downgrade(&self.state) };
        self.universe.alarm(at, &Waker::from(Arc::new(flushed)))
    }

    /// A flush of the asynchronous face begins; it is held below until its time has come.
    fn begin_flush(&self) {
        let mut state = self.state.lock();
        let alarm = if state.mood.is_stalled { None } else { Some(self.alarm(&mut state)) };
        state.under_way.push_back(alarm);
        let awaited = state.awaited.take();
        drop(state);
        // Whoever waited may have gone.
        let _gone = awaited.map(|told| told.send(()));
    }

    /// Ends when the next flush of the log begins; only the last that asked is told.
    pub fn next_flush(&self) -> oneshot::Receiver<()> {
        let (told, waiting) = oneshot::channel();
        self.state.lock().awaited = Some(told);
        waiting
    }

    /// Whether this read fails.
    fn read_fails(&self) -> bool {
        let mut state = self.state.lock();
        let share = state.mood.read_errors;
        share > 0.0 && state.chance.ratio(share)
    }

    /// Whether this flush is only pretended.
    fn lies_now(&self) -> bool {
        let mut state = self.state.lock();
        state.lies += u64::from(state.mood.is_lying);
        state.mood.is_lying
    }

    fn wrap(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(file::FalseFile::new(self.clone(), file))
    }
}

impl std::fmt::Debug for FalseDisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FalseDisk").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The end of a flush, in universe time: no task of the host is needed, so a paused host's disk goes on.
struct Flushed {
    below: MemoryDisk,
    host: HostId,
    universe: Universe,
    state: Weak<Mutex<State>>,
}

impl Wake for Flushed {
    fn wake(self: Arc<Self>) {
        let Some(state) = self.state.upgrade() else { return };
        let done = state.lock().under_way.pop_front();
        self.universe.note(Kind::Flush, u64::from(self.host), self.below.pending_bytes());
        self.below.release_next();
        drop(done);
    }
}

impl Disk for FalseDisk {
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.below().open(name).map(|file| self.wrap(file))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.below().create(name).map(|file| self.wrap(file))
    }

    fn list(&self) -> Result<Vec<String>, DiskError> {
        if self.read_fails() {
            return Err(DiskError::new("the directory", "list", DiskErrorKind::Io, "the device did not answer"));
        }
        self.below().list()
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        self.below().remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.below().rename(from, to)
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        if self.lies_now() {
            return Ok(());
        }
        self.below().sync_dir()
    }

    fn lock(&self, name: &str) -> Result<DiskLock, DiskError> {
        self.below().lock(name)
    }

    fn stats(&self) -> DiskStats {
        self.below().stats()
    }
}
