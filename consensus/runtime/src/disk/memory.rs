//! A disk in memory that can be broken: what was written but not flushed is kept apart from what is durable.
//!
//! A crash keeps the durable bytes and whatever part of the rest the [`CrashPlan`] names. Besides, space can run
//! out, flushes and reads can fail, bits can flip, and flushes can be held back so that a simulator completes them
//! at a moment of its choice. Two clones of a [`MemoryDisk`] are the same disk; [`MemoryDisk::fork`] copies it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;
use parking_lot::Mutex;

use super::{Disk, DiskError, DiskErrorKind, DiskFile, DiskLock, DiskStats, Synced, check_name};

mod image;
mod state;

pub use image::SECTOR_BYTES;
use state::{Change, FileState, NameChange, State};

/// The disk of one simulated host. See the module's head.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// What survives a power cut besides the durable bytes.
pub struct CrashPlan<'a> {
    /// Which unflushed writes reached the platter.
    pub writes: Tear<'a>,
    /// How many of the unsynced directory changes survived, oldest first (directories are journalled in order).
    pub directory_changes: usize,
}

impl CrashPlan<'_> {
    /// Nothing that was not flushed survives.
    pub fn lose_all() -> Self {
        CrashPlan { writes: Tear::Lost, directory_changes: 0 }
    }
}

/// Which unflushed writes survive a crash.
pub enum Tear<'a> {
    /// None.
    Lost,
    /// All.
    Kept,
    /// The first so many bytes, in the order they were written, cutting inside a sector if need be.
    Bytes(u64),
    /// Each sector write for which the function answers true; it gets the position in the order of writing.
    Sectors(&'a mut dyn FnMut(usize) -> bool),
}

impl MemoryDisk {
    /// An empty disk without limits or faults.
    pub fn new() -> Self {
        MemoryDisk::default()
    }

    /// An independent copy, unflushed bytes included; held flushes are not copied.
    pub fn fork(&self) -> Self {
        let mut state = self.state.lock().clone();
        state.files.values_mut().for_each(|file| file.handles = 0);
        MemoryDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Cuts the power: open handles die, locks are freed, held flushes fail, unflushed bytes survive as planned.
    pub fn crash(&self, plan: CrashPlan<'_>) {
        let mut state = self.state.lock();
        state.keep_unflushed(plan.writes);
        let changes = std::mem::take(&mut state.name_changes);
        for change in changes.into_iter().take(plan.directory_changes) {
            change.carry_out(&mut state.durable_names);
        }
        state.live = state.durable_names.clone();
        state.end_process();
        state.forget_nameless();
        for file in state.files.values_mut() {
            file.view = file.durable.clone();
        }
    }

    /// Ends the process but not the machine: handles die and locks are freed, while readers of the next process see
    /// everything that was written, durable or not (also what a failed flush dropped).
    pub fn restart_process(&self) {
        self.state.lock().end_process();
    }

    /// Lets only so many more changing operations happen (writes, length changes, flushes, changes of names); all
    /// later ones fail with [`DiskErrorKind::Crashed`] until [`MemoryDisk::crash`] restarts the host.
    pub fn cut_power_after(&self, operations: u64) {
        self.state.lock().power = Some(operations);
    }

    /// Limits the sum of all file lengths; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().capacity = bytes;
    }

    /// Makes the next `count` flushes fail; their bytes are then never durable (as after a failed fsync on Linux).
    pub fn fail_next_syncs(&self, count: u32) {
        self.state.lock().failing_syncs = count;
    }

    /// Makes reads that touch `range` of a file fail, also after a crash.
    pub fn fail_reads(&self, name: &str, range: Range<u64>) {
        self.with_file(name, |file| file.unreadable.push(range));
    }

    /// Refuses every operation on the directory until called with `false`.
    pub fn deny_directory(&self, denied: bool) {
        self.state.lock().directory_denied = denied;
    }

    /// Flips bit `bit` (0..8) of the byte at `offset`, in the durable bytes and in what readers see.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) {
        self.with_file(name, |file| {
            for image in [&mut file.durable, &mut file.view] {
                let mut byte = [0];
                image.read(offset, &mut byte);
                image.write(offset, &[byte[0] ^ (1 << bit)]);
            }
        });
    }

    /// Plants bytes as durable content behind the program's back: a misdirected or a phantom write.
    pub fn plant(&self, name: &str, offset: u64, data: &[u8]) {
        self.with_file(name, |file| {
            file.durable.write(offset, data);
            file.view.write(offset, data);
        });
    }

    /// The bytes of a file as readers see them now.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let file = state.files.get(state.live.get(name)?)?;
        let mut all = vec![0; file.view.len() as usize];
        file.view.read(0, &mut all);
        Some(all)
    }

    /// Unflushed bytes of all files.
    pub fn pending_bytes(&self) -> u64 {
        let size = |change: &Change| if let Change::Write(_, data) = change { data.len() as u64 } else { 0 };
        self.state.lock().pending.iter().map(|(_, change)| size(change)).sum()
    }

    /// Unflushed sector writes and length changes of all files.
    pub fn pending_changes(&self) -> usize {
        self.state.lock().pending.len()
    }

    /// Directory changes that a crash may lose.
    pub fn pending_names(&self) -> usize {
        self.state.lock().name_changes.len()
    }

    /// Holds the flushes of the asynchronous face back until [`MemoryDisk::release_next`] (`true`), or no longer.
    pub fn hold_syncs(&self, holding: bool) {
        self.state.lock().holding = holding;
    }

    /// Requests whose flush is held back.
    pub fn held(&self) -> usize {
        self.state.lock().held.0.len()
    }

    /// Carries out the oldest held flush and completes its request. False if there was none.
    pub fn release_next(&self) -> bool {
        let mut state = self.state.lock();
        let Some((file, reply)) = state.held.0.pop_front() else { return false };
        let result = state.sync_request(file);
        drop(state);
        // The waiter may be gone; the bytes are durable all the same.
        let _ = reply.send(result);
        true
    }

    fn with_file(&self, name: &str, act: impl FnOnce(&mut FileState)) {
        let mut state = self.state.lock();
        let id = *state.live.get(name).expect("fault injection names an existing file");
        act(state.files.get_mut(&id).expect("every live name has a file"));
    }

    fn handle(&self, name: &str, file: u64, state: &mut State) -> Arc<dyn DiskFile> {
        state.files.get_mut(&file).expect("every live name has a file").handles += 1;
        Arc::new(MemoryFile { state: self.state.clone(), name: name.to_owned(), file, life: state.life })
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDisk").finish_non_exhaustive()
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut state = self.state.lock();
        let file = state.find("open", name)?;
        Ok(self.handle(name, file, &mut state))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut state = self.state.lock();
        state.check_directory("create", name)?;
        check_name(name, "create")?;
        if state.live.contains_key(name) {
            return Err(DiskError::new(name, "create", DiskErrorKind::AlreadyExists, "the name is taken"));
        }
        state.spend("create", name)?;
        let id = state.next_file;
        state.next_file += 1;
        state.files.insert(id, FileState { name: name.to_owned(), ..FileState::default() });
        state.change_names(NameChange::Add(name.to_owned(), id));
        Ok(self.handle(name, id, &mut state))
    }

    fn list(&self) -> Result<Vec<String>, DiskError> {
        let state = self.state.lock();
        state.check_directory("list", "the directory")?;
        Ok(state.live.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        state.find("remove", name)?;
        state.spend("remove", name)?;
        state.change_names(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        check_name(to, "rename")?;
        let id = state.find("rename", from)?;
        state.spend("rename", from)?;
        state.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
        state.files.get_mut(&id).expect("every live name has a file").name = to.to_owned();
        Ok(())
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        let mut state = self.state.lock();
        state.check_directory("sync", "the directory")?;
        state.spend("sync", "the directory")?;
        state.name_changes.clear();
        state.durable_names = state.live.clone();
        state.forget_nameless();
        state.stats.directory_syncs += 1;
        Ok(())
    }

    fn lock(&self, name: &str) -> Result<DiskLock, DiskError> {
        let mut state = self.state.lock();
        state.check_directory("lock", name)?;
        check_name(name, "lock")?;
        if state.locks.contains_key(name) {
            let kind = DiskErrorKind::InUse { holder: None };
            return Err(DiskError::new(name, "lock", kind, "stop the other process first"));
        }
        let number = state.next_lock;
        state.next_lock += 1;
        state.locks.insert(name.to_owned(), number);
        Ok(DiskLock::new(MemoryLock { state: self.state.clone(), name: name.to_owned(), number }))
    }

    fn stats(&self) -> DiskStats {
        self.state.lock().stats
    }
}

struct MemoryLock {
    state: Arc<Mutex<State>>,
    name: String,
    number: u64,
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        // After a crash another holder may have the name: only our own lock is ours to free.
        if state.locks.get(&self.name) == Some(&self.number) {
            state.locks.remove(&self.name);
        }
    }
}

struct MemoryFile {
    state: Arc<Mutex<State>>,
    name: String,
    file: u64,
    life: u64,
}

impl MemoryFile {
    fn alive(&self, operation: &'static str) -> Result<parking_lot::MutexGuard<'_, State>, DiskError> {
        let state = self.state.lock();
        if state.life != self.life {
            return Err(DiskError::new(&self.name, operation, DiskErrorKind::Crashed, "open the file again"));
        }
        Ok(state)
    }

    fn submit(&self, writes: Vec<(u64, Bytes)>) -> Result<Option<Reply>, DiskError> {
        let mut state = self.alive("write")?;
        state.check_poison(self.file, "write")?;
        state.spend("write", &self.name)?;
        for (offset, data) in writes {
            if let Err(error) = state.write(self.file, offset, &data) {
                state.files.get_mut(&self.file).expect("an open file exists").poisoned = true;
                return Err(error);
            }
        }
        if !state.holding {
            state.spend("sync", &self.name)?;
            return state.sync_request(self.file).map(|()| None);
        }
        let (reply, waiter) = oneshot::channel();
        state.held.0.push_back((self.file, reply));
        Ok(Some(waiter))
    }
}

type Reply = oneshot::Receiver<Result<(), DiskError>>;

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        // Handles of an earlier life are not counted any more.
        if state.life == self.life
            && let Some(file) = state.files.get_mut(&self.file)
        {
            file.handles -= 1;
        }
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile").field("name", &self.name).finish_non_exhaustive()
    }
}

impl DiskFile for MemoryFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.alive("measure")?.files[&self.file].view.len())
    }

    fn write_and_sync(&self, writes: Vec<(u64, Bytes)>) -> Synced {
        let submitted = self.submit(writes);
        let name = self.name.clone();
        async move {
            let Some(waiter) = submitted? else { return Ok(()) };
            let crashed = |_| DiskError::new(name, "sync", DiskErrorKind::Crashed, "the flush never finished");
            waiter.await.map_err(crashed)?
        }
        .boxed()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let state = self.alive("read")?;
        let file = &state.files[&self.file];
        let end = offset.saturating_add(buffer.len() as u64);
        if end > file.view.len() {
            let detail = format!("the file has {} bytes", file.view.len());
            return Err(DiskError::new(&self.name, "read", DiskErrorKind::OutOfRange, detail).at(offset));
        }
        if let Some(bad) = file.unreadable.iter().find(|bad| bad.start < end && offset < bad.end) {
            return Err(DiskError::new(&self.name, "read", DiskErrorKind::Io, "injected read failure").at(bad.start));
        }
        file.view.read(offset, buffer);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        let mut state = self.alive("write")?;
        state.check_poison(self.file, "write")?;
        state.spend("write", &self.name)?;
        state.write(self.file, offset, data)
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        let mut state = self.alive("resize")?;
        state.check_poison(self.file, "resize")?;
        state.spend("resize", &self.name)?;
        state.set_len(self.file, "resize", len)
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        let mut state = self.alive("allocate")?;
        state.check_poison(self.file, "allocate")?;
        if len <= state.files[&self.file].view.len() {
            return Ok(());
        }
        state.spend("allocate", &self.name)?;
        state.set_len(self.file, "allocate", len)
    }

    fn sync(&self) -> Result<(), DiskError> {
        let mut state = self.alive("sync")?;
        state.spend("sync", &self.name)?;
        state.sync(self.file)
    }
}

#[cfg(test)]
mod tests;
