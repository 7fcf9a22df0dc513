//! The real disk: one directory of the operating system, one writer thread.
//!
//! Queued requests become one group: all their writes in order, then one fdatasync per file, then all answers. So a
//! request is answered only when everything queued before it is on stable storage too, and a hundred waiting callers
//! cost one flush.
//!
//! Deliberately absent: O_DIRECT and io_uring (the log is one small write per flush; the flush is the cost).

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use bytes::Bytes;
use comity_runtime::disk::{Disk, DiskError, DiskErrorKind, DiskFile, DiskLock, DiskStats, Synced, check_name};
use futures::channel::oneshot;
use parking_lot::Mutex;

/// Most requests that share one flush: a bound on how long the first of them waits for the others' writes.
const GROUP_MAX: usize = 1024;

/// One directory. Dropping it and its files ends the writer thread once its queue is done.
#[derive(Debug)]
pub struct DirDisk {
    path: PathBuf,
    /// Poison marks by file name, shared by all handles: a second handle must not forget a failed flush.
    poison: Mutex<BTreeMap<String, Arc<AtomicBool>>>,
    queue: mpsc::Sender<Request>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    syncs: AtomicU64,
    directory_syncs: AtomicU64,
    bytes_written: AtomicU64,
    requests: AtomicU64,
}

/// What the writer thread does for one caller.
struct Request {
    file: Arc<OpenFile>,
    writes: Vec<(u64, Bytes)>,
    reply: oneshot::Sender<Result<(), DiskError>>,
}

impl DirDisk {
    /// Opens the directory, creating it (readable by its owner only) if it does not exist.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn open(path: impl Into<PathBuf>) -> Result<DirDisk, DiskError> {
        let path = path.into();
        create_private_dir(&path).map_err(|error| directory_error(&path, "create", &error))?;
        // Read it once now: a directory that cannot be listed must be refused at start, not at the first roll.
        fs::read_dir(&path).map_err(|error| directory_error(&path, "read", &error))?;
        let (queue, requests) = mpsc::channel();
        let counters = Arc::new(Counters::default());
        let thread = std::thread::Builder::new().name("comity-disk".to_owned());
        let done = counters.clone();
        thread.spawn(move || write_groups(&requests, &done)).map_err(|e| directory_error(&path, "serve", &e))?;
        Ok(DirDisk { path, poison: Mutex::default(), queue, counters })
    }

    /// The directory's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file_error(&self, name: &str, operation: &'static str, error: &io::Error) -> DiskError {
        described(DiskError::from_io(name, operation, error), &self.path)
    }

    fn open_with(&self, name: &str, operation: &'static str, new: bool) -> Result<Arc<dyn DiskFile>, DiskError> {
        check_name(name, operation)?;
        let mut poison = self.poison.lock();
        let opened = OpenOptions::new().read(true).write(true).create_new(new).open(self.path.join(name));
        let file = opened.map_err(|error| self.file_error(name, operation, &error))?;
        let poisoned = poison.entry(name.to_owned()).or_default().clone();
        let open = OpenFile { name: name.to_owned(), directory: self.path.clone(), file, poisoned };
        let (queue, counters) = (self.queue.clone(), self.counters.clone());
        Ok(Arc::new(DirFile { open: Arc::new(open), queue, counters }))
    }
}

fn create_private_dir(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn directory_error(path: &Path, operation: &'static str, error: &io::Error) -> DiskError {
    described(DiskError::from_io(path.display().to_string(), operation, error), path)
}

/// Adds to a full disk's error how much room there is and what to do.
fn described(mut error: DiskError, directory: &Path) -> DiskError {
    if error.kind == DiskErrorKind::Full
        && let Ok(space) = rustix::fs::statvfs(directory)
    {
        let (free, total) = (space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize);
        let place = directory.display();
        error.detail = format!("{place} has {free} of {total} bytes free; make room there, then start the node again");
    }
    error
}

impl Disk for DirDisk {
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.open_with(name, "open", false)
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        self.open_with(name, "create", true)
    }

    fn list(&self) -> Result<Vec<String>, DiskError> {
        let failed = |error: io::Error| directory_error(&self.path, "list", &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // Foreign files (an editor's, a file manager's) are not ours to judge.
            if let Some(name) = entry.file_name().to_str().filter(|name| check_name(name, "list").is_ok()) {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove(&self, name: &str) -> Result<(), DiskError> {
        check_name(name, "remove")?;
        let mut poison = self.poison.lock();
        fs::remove_file(self.path.join(name)).map_err(|error| self.file_error(name, "remove", &error))?;
        poison.remove(name);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        check_name(from, "rename")?;
        check_name(to, "rename")?;
        let mut poison = self.poison.lock();
        let renamed = fs::rename(self.path.join(from), self.path.join(to));
        renamed.map_err(|error| self.file_error(from, "rename", &error))?;
        let mark = poison.remove(from).unwrap_or_default();
        poison.insert(to.to_owned(), mark);
        Ok(())
    }

    fn sync_dir(&self) -> Result<(), DiskError> {
        let synced = File::open(&self.path).and_then(|directory| directory.sync_all());
        self.counters.directory_syncs.fetch_add(1, Ordering::Relaxed);
        synced.map_err(|error| directory_error(&self.path, "sync", &error))
    }

    fn lock(&self, name: &str) -> Result<DiskLock, DiskError> {
        check_name(name, "lock")?;
        let path = self.path.join(name);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(|error| self.file_error(name, "lock", &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let holder = read_holder(&mut file);
                let detail = format!("stop it, or choose another data directory than {}", self.path.display());
                return Err(DiskError::new(name, "lock", DiskErrorKind::InUse { holder }, detail));
            }
            Err(fs::TryLockError::Error(error)) => return Err(self.file_error(name, "lock", &error)),
        }
        // The number is for people; the lock itself is the kernel's and ends with the process.
        let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        noted.map_err(|error| self.file_error(name, "lock", &error))?;
        Ok(DiskLock::new(file))
    }

    fn stats(&self) -> DiskStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DiskStats {
            syncs: read(&self.counters.syncs),
            directory_syncs: read(&self.counters.directory_syncs),
            bytes_written: read(&self.counters.bytes_written),
            requests: read(&self.counters.requests),
        }
    }
}

/// The process id that a lock's holder wrote, if it got so far.
fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// One open file as both faces and the writer thread see it.
#[derive(Debug)]
struct OpenFile {
    name: String,
    directory: PathBuf,
    file: File,
    poisoned: Arc<AtomicBool>,
}

impl OpenFile {
    fn error(&self, operation: &'static str, error: &io::Error) -> DiskError {
        described(DiskError::from_io(&self.name, operation, error), &self.directory)
    }

    fn check_poison(&self, operation: &'static str) -> Result<(), DiskError> {
        if self.poisoned.load(Ordering::Acquire) {
            let detail = "what was acknowledged before is still there";
            return Err(DiskError::new(&self.name, operation, DiskErrorKind::Poisoned, detail));
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8], counters: &Counters) -> Result<(), DiskError> {
        self.check_poison("write")?;
        self.file.write_all_at(data, offset).map_err(|error| self.error("write", &error).at(offset))?;
        counters.bytes_written.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn sync(&self, counters: &Counters) -> Result<(), DiskError> {
        self.check_poison("sync")?;
        let synced = self.file.sync_data();
        counters.syncs.fetch_add(1, Ordering::Relaxed);
        synced.map_err(|error| {
            self.poisoned.store(true, Ordering::Release);
            self.error("sync", &error)
        })
    }
}

#[derive(Debug)]
struct DirFile {
    open: Arc<OpenFile>,
    queue: mpsc::Sender<Request>,
    counters: Arc<Counters>,
}

impl DiskFile for DirFile {
    fn name(&self) -> &str {
        &self.open.name
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.open.file.metadata().map(|meta| meta.len()).map_err(|error| self.open.error("measure", &error))
    }

    fn write_and_sync(&self, writes: Vec<(u64, Bytes)>) -> Synced {
        let (reply, waiter) = oneshot::channel();
        let sent = self.queue.send(Request { file: self.open.clone(), writes, reply });
        let name = self.open.name.clone();
        Box::pin(async move {
            let gone = || DiskError::new(name, "write", DiskErrorKind::Io, "the writer thread has ended");
            match sent {
                Ok(()) => waiter.await.map_err(|_| gone())?,
                Err(_) => Err(gone()),
            }
        })
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        let read = self.open.file.read_exact_at(buffer, offset);
        read.map_err(|error| self.open.error("read", &error).at(offset))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.open.write(offset, data, &self.counters)
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.open.check_poison("resize")?;
        self.open.file.set_len(len).map_err(|error| self.open.error("resize", &error))
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        self.open.check_poison("allocate")?;
        if len <= self.len()? {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.open.file, rustix::fs::FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            // Some file systems cannot reserve (network, FAT, copy-on-write ones): the length alone must do, and a
            // full disk is then found by the write.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
                self.set_len(len)
            }
            Err(error) => Err(self.open.error("allocate", &error.into())),
        }
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.open.sync(&self.counters)
    }
}

/// The writer thread's life: groups of requests until all senders are gone.
fn write_groups(requests: &mpsc::Receiver<Request>, counters: &Counters) {
    while let Ok(first) = requests.recv() {
        let mut group = vec![first];
        group.extend(requests.try_iter().take(GROUP_MAX - 1));
        write_group(group, counters);
    }
}

/// All writes in order, one flush per file, then all answers.
fn write_group(group: Vec<Request>, counters: &Counters) {
    let mut files: Vec<(Arc<OpenFile>, Result<(), DiskError>)> = Vec::new();
    let mut written = Vec::with_capacity(group.len());
    for request in group {
        let file = request.file;
        let outcome = request.writes.iter().try_for_each(|(offset, data)| file.write(*offset, data, counters));
        if outcome.is_err() {
            // Requests behind this one may build on it: they must not be acknowledged either.
            file.poisoned.store(true, Ordering::Release);
        }
        let position = files.iter().position(|(known, _)| Arc::ptr_eq(known, &file)).unwrap_or_else(|| {
            files.push((file, Ok(())));
            files.len() - 1
        });
        written.push((position, outcome, request.reply));
    }
    for (file, flushed) in &mut files {
        *flushed = file.sync(counters);
    }
    for (position, outcome, reply) in written {
        counters.requests.fetch_add(1, Ordering::Relaxed);
        // The caller may be gone; its bytes are durable all the same.
        let _ = reply.send(outcome.and_then(|()| files[position].1.clone()));
    }
}

#[cfg(test)]
mod tests;
