//! Disks as a trait: one flat directory of named files, and nothing else that a host calls a file system.
//!
//! A [`DiskFile`] has two faces over the same bytes. The asynchronous one ([`DiskFile::write_and_sync`]) is for the
//! Raft log and vote: requests of one disk are carried out in the order of the calls by one writer, many of them
//! share one flush, and the future completes only after the data is on stable storage. The synchronous one is for
//! redb and snapshots.
//!
//! Two rules hold for every implementation:
//! - A file whose flush failed once is **poisoned**: every later write or flush of it fails. After a failed fsync the
//!   kernel may drop the dirty pages and report success next time, so a retry would acknowledge lost bytes.
//! - A created, renamed or removed name is durable only after [`Disk::sync_dir`].
//!
//! The real disk is in the node (`node/src/storage`); [`memory::MemoryDisk`] is the one tests and the simulator break.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

pub mod memory;

/// Completes when the bytes of one request are on stable storage, or with the reason why they may not be.
///
/// The request was queued when the future was made: dropping the future does not cancel the write.
pub type Synced = BoxFuture<'static, Result<(), DiskError>>;

/// One directory of named files.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens a file that exists. The content is as the last writer left it.
    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Creates an empty file; a name that is taken is refused with [`DiskErrorKind::AlreadyExists`].
    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// All file names, in ascending order of their bytes.
    fn list(&self) -> Result<Vec<String>, DiskError>;

    /// Removes a name. Open handles stay readable.
    fn remove(&self, name: &str) -> Result<(), DiskError>;

    /// Renames a file; an existing `to` is replaced in one step.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;

    /// Makes all creations, renames and removals so far durable.
    fn sync_dir(&self) -> Result<(), DiskError>;

    /// Takes the exclusive lock `name` until the guard is dropped or the process ends.
    fn lock(&self, name: &str) -> Result<DiskLock, DiskError>;

    /// Counters since this disk was opened.
    fn stats(&self) -> DiskStats;
}

/// One open file.
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// The name inside its disk, for messages.
    fn name(&self) -> &str;

    /// Length in bytes, preallocated bytes included.
    fn len(&self) -> Result<u64, DiskError>;

    /// Whether the file holds no byte.
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }

    /// Queues `(offset, bytes)` writes and a flush behind everything queued on this disk before.
    ///
    /// Until the future completes a concurrent [`DiskFile::read_at`] may see the old or the new bytes. Any failure
    /// poisons the file.
    fn write_and_sync(&self, writes: Vec<(u64, Bytes)>) -> Synced;

    /// Fills `buffer` from `offset`; reaching past the end is [`DiskErrorKind::OutOfRange`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError>;

    /// Writes all of `data` at `offset`, extending the file if needed. Durable only after [`DiskFile::sync`].
    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError>;

    /// Cuts or extends to `len` bytes; new bytes read as zero.
    fn set_len(&self, len: u64) -> Result<(), DiskError>;

    /// Reserves space so that writes below `len` cannot run out of it; extends the file, new bytes read as zero.
    ///
    /// Never by writing zeros: large ext4 folios would then write back a whole mebibyte per small commit.
    fn allocate(&self, len: u64) -> Result<(), DiskError>;

    /// Puts all written bytes on stable storage. A failure poisons the file.
    fn sync(&self) -> Result<(), DiskError>;
}

/// An exclusive lock on a disk; released on drop.
pub struct DiskLock {
    /// Dropped with the guard; whatever holds the lock open.
    _guard: Box<dyn Send + Sync>,
}

impl DiskLock {
    /// Wraps what an implementation must keep alive for as long as the lock is held.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        DiskLock { _guard: Box::new(guard) }
    }
}

impl fmt::Debug for DiskLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DiskLock")
    }
}

/// What a disk did since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Flushes of file data (fdatasync calls).
    pub syncs: u64,
    /// Flushes of the directory.
    pub directory_syncs: u64,
    /// Bytes handed to the operating system by both faces.
    pub bytes_written: u64,
    /// Requests of the asynchronous face that completed; divided by its flushes this is the size of a group.
    pub requests: u64,
}

/// A refused or failed disk operation. Says which file, where in it, and what was being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskError {
    /// The file's name inside its disk, or the directory's path for operations on the directory.
    pub file: String,
    /// Byte offset inside the file, where one applies.
    pub offset: Option<u64>,
    /// What was being done, as a verb: "read", "sync", ...
    pub operation: &'static str,
    /// The class that callers may decide by.
    pub kind: DiskErrorKind,
    /// The operating system's words, or a hint what to do next.
    pub detail: String,
}

/// Classes of disk errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// No such file. Nothing changed.
    NotFound,
    /// The name is taken. Nothing changed.
    AlreadyExists,
    /// Another process holds the lock; its process id where known. Nothing changed.
    InUse {
        /// Process id of the holder.
        holder: Option<u32>,
    },
    /// No space left. Bytes of this request may be partly written; nothing synced before is lost.
    Full,
    /// The operating system denies access. Nothing changed.
    Denied,
    /// A name this disk cannot hold (empty, hidden, or with a path separator). Nothing changed.
    BadName,
    /// A read past the end of the file. Nothing changed.
    OutOfRange,
    /// An earlier flush or queued write of this file failed; it accepts nothing more. Restart the process.
    Poisoned,
    /// The host went down under this handle (only in simulated worlds).
    Crashed,
    /// The device failed.
    Io,
}

impl DiskError {
    /// An error of `kind` on `file`.
    pub fn new(
        file: impl Into<String>,
        operation: &'static str,
        kind: DiskErrorKind,
        detail: impl Into<String>,
    ) -> Self {
        DiskError { file: file.into(), offset: None, operation, kind, detail: detail.into() }
    }

    /// The same error at a byte offset.
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Classifies an error of the operating system.
    pub fn from_io(file: impl Into<String>, operation: &'static str, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => DiskErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => DiskErrorKind::AlreadyExists,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => DiskErrorKind::Denied,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskErrorKind::Full,
            io::ErrorKind::UnexpectedEof => DiskErrorKind::OutOfRange,
            _ => DiskErrorKind::Io,
        };
        DiskError::new(file, operation, kind, error.to_string())
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.operation, self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " at byte {offset}")?;
        }
        let class = match self.kind {
            DiskErrorKind::NotFound => "no such file",
            DiskErrorKind::AlreadyExists => "it exists already",
            DiskErrorKind::InUse { holder: Some(pid) } => {
                return write!(f, ": in use by process {pid}; {}", self.detail);
            }
            DiskErrorKind::InUse { holder: None } => "in use by another process",
            DiskErrorKind::Full => "no space left on the disk",
            DiskErrorKind::Denied => "access denied",
            DiskErrorKind::BadName => "not a usable file name",
            DiskErrorKind::OutOfRange => "past the end of the file",
            DiskErrorKind::Poisoned => "an earlier flush of this file failed, restart to recover",
            DiskErrorKind::Crashed => "the host went down",
            DiskErrorKind::Io => "device error",
        };
        write!(f, ": {class}; {}", self.detail)
    }
}

impl std::error::Error for DiskError {}

impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        let kind = match error.kind {
            DiskErrorKind::NotFound => io::ErrorKind::NotFound,
            DiskErrorKind::AlreadyExists => io::ErrorKind::AlreadyExists,
            DiskErrorKind::InUse { .. } => io::ErrorKind::WouldBlock,
            DiskErrorKind::Full => io::ErrorKind::StorageFull,
            DiskErrorKind::Denied => io::ErrorKind::PermissionDenied,
            DiskErrorKind::BadName => io::ErrorKind::InvalidInput,
            DiskErrorKind::OutOfRange => io::ErrorKind::UnexpectedEof,
            DiskErrorKind::Poisoned | DiskErrorKind::Crashed | DiskErrorKind::Io => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// Refuses names that leave the directory or hide in it. Every implementation calls this first.
pub fn check_name(name: &str, operation: &'static str) -> Result<(), DiskError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 128 || name.starts_with('.') || !name.chars().all(plain) {
        let detail = "use letters, digits, '-', '_' and '.', at most 128, no leading '.'";
        return Err(DiskError::new(name, operation, DiskErrorKind::BadName, detail));
    }
    Ok(())
}
