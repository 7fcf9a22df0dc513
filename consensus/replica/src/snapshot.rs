//! Snapshot files: the whole ledger up to one log index, in checked chunks.
//!
//! ```text
//! header   "comity-snapshot\n", version u32 LE, length u32 LE, postcard of openraft's meta
//! chunk    length u32 LE (never 0), bytes                    as often as the ledger gives chunks
//! end      0 u32 LE, chunk count u32 LE, CRC32C u32 LE of everything before
//! ```
//! A file is written under a temporary name, synced, renamed, and its directory synced: a name that ends in `.snap` is
//! whole or damaged by the disk, and the checksum tells which. The newest whole file is the state; older ones go.

use std::sync::Arc;

use comity_ledger::Ledger;
use comity_proto::limits::SNAPSHOT_CHUNK_BYTES;
use comity_runtime::disk::{Disk, DiskError, DiskErrorKind, DiskFile};
use openraft::SnapshotMeta;

use crate::types::{NodeInfo, SnapshotFile};

const MAGIC: &[u8; 16] = b"comity-snapshot\n";
const VERSION: u32 = 1;
const SUFFIX: &str = ".snap";
const TEMPORARY: &str = ".part";
/// A chunk of the ledger; far above what it makes, far below what would hurt.
const CHUNK_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Membership and a log id.
const META_BYTES_MAX: u32 = 1024 * 1024;

/// openraft's description of a snapshot: last log id, membership, id.
pub(crate) type Meta = SnapshotMeta<u64, NodeInfo>;

/// Why a snapshot cannot be used or made. The ledger in memory is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The file is not a whole snapshot: where, and what is wrong.
    #[error(
        "snapshot {file} is damaged at byte {offset}: {what}; remove it, an older one or another member replaces it"
    )]
    Damaged {
        /// Name on the disk.
        file: String,
        /// Where.
        offset: u64,
        /// What was expected.
        what: String,
    },
}

/// The file name of a snapshot up to a log index; sorts by index.
fn file_name(index: u64, suffix: &str) -> String {
    format!("snapshot-{index:020}{suffix}")
}

fn index_of(meta: &Meta) -> u64 {
    meta.last_log_id.map_or(0, |id| id.index)
}

struct Writer {
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    offset: u64,
    crc: u32,
}

impl Writer {
    fn put(&mut self, bytes: &[u8]) -> Result<(), DiskError> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= SNAPSHOT_CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Creates an empty temporary file, replacing what a crash left under its name.
pub(crate) fn temporary(disk: &dyn Disk, name: &str) -> Result<SnapshotFile, DiskError> {
    let name = format!("{name}{TEMPORARY}");
    match disk.remove(&name) {
        Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&name)?;
    Ok(SnapshotFile { name, file })
}

/// Writes `ledger` as it was frozen. Returns only when the file is durable under its name.
pub(crate) fn save(disk: &dyn Disk, meta: &Meta, ledger: &Ledger) -> Result<SnapshotFile, SnapshotError> {
    let part = temporary(disk, &file_name(index_of(meta), ""))?;
    let mut writer = Writer { file: part.file.clone(), buffer: Vec::new(), offset: 0, crc: 0 };
    let described = postcard::to_allocvec(meta).unwrap_or_default();
    writer.put(MAGIC)?;
    writer.put(&VERSION.to_le_bytes())?;
    writer.put(&(described.len() as u32).to_le_bytes())?;
    writer.put(&described)?;
    let mut chunks: u32 = 0;
    for chunk in ledger.snapshot_chunks() {
        writer.put(&(chunk.len() as u32).to_le_bytes())?;
        writer.put(&chunk)?;
        chunks += 1;
    }
    writer.put(&0_u32.to_le_bytes())?;
    writer.put(&chunks.to_le_bytes())?;
    let crc = writer.crc;
    writer.put(&crc.to_le_bytes())?;
    writer.flush()?;
    Ok(publish(disk, part, meta)?)
}

/// A file that this disk may rename: itself if it is a temporary one, else a copy.
pub(crate) fn adopt(disk: &dyn Disk, file: SnapshotFile) -> Result<SnapshotFile, DiskError> {
    if file.name.ends_with(TEMPORARY) {
        return Ok(file);
    }
    let copy = temporary(disk, "incoming-copy")?;
    let (mut offset, bytes) = (0, file.file.len()?);
    while offset < bytes {
        let mut chunk = vec![0; (bytes - offset).min(SNAPSHOT_CHUNK_BYTES as u64) as usize];
        file.file.read_at(offset, &mut chunk)?;
        copy.file.write_at(offset, &chunk)?;
        offset += chunk.len() as u64;
    }
    Ok(copy)
}

/// Syncs a whole temporary file and gives it its final name.
pub(crate) fn publish(disk: &dyn Disk, part: SnapshotFile, meta: &Meta) -> Result<SnapshotFile, DiskError> {
    part.file.sync()?;
    let name = file_name(index_of(meta), SUFFIX);
    disk.rename(&part.name, &name)?;
    disk.sync_dir()?;
    let file = disk.open(&name)?;
    Ok(SnapshotFile { name, file })
}

struct Reader<'a> {
    source: &'a SnapshotFile,
    bytes: u64,
    offset: u64,
    crc: u32,
}

impl Reader<'_> {
    fn damaged(&self, what: impl Into<String>) -> SnapshotError {
        SnapshotError::Damaged { file: self.source.name.clone(), offset: self.offset, what: what.into() }
    }

    fn take(&mut self, bytes: u64) -> Result<Vec<u8>, SnapshotError> {
        if bytes > self.bytes.saturating_sub(self.offset) {
            return Err(self.damaged(format!("{bytes} more bytes are missing")));
        }
        let mut taken = vec![0; bytes as usize];
        self.source.file.read_at(self.offset, &mut taken)?;
        self.offset += bytes;
        self.crc = crc32c::crc32c_append(self.crc, &taken);
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, SnapshotError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| self.damaged("a number is cut"))?))
    }

    fn length(&mut self, limit: u32) -> Result<u64, SnapshotError> {
        let length = self.number()?;
        if length > limit {
            return Err(self.damaged(format!("a length of {length} bytes, at most {limit} are possible")));
        }
        Ok(u64::from(length))
    }

    fn meta(&mut self) -> Result<Meta, SnapshotError> {
        if self.take(MAGIC.len() as u64)? != MAGIC {
            return Err(self.damaged("no snapshot header"));
        }
        let version = self.number()?;
        if version != VERSION {
            return Err(self.damaged(format!("format {version}, this program reads {VERSION}")));
        }
        let length = self.length(META_BYTES_MAX)?;
        let described = self.take(length)?;
        postcard::from_bytes(&described).map_err(|error| self.damaged(error.to_string()))
    }

    fn chunks(&mut self) -> Result<Vec<Vec<u8>>, SnapshotError> {
        let mut chunks = Vec::new();
        loop {
            let length = self.length(CHUNK_BYTES_MAX)?;
            if length == 0 {
                break;
            }
            chunks.push(self.take(length)?);
        }
        if self.number()? as usize != chunks.len() {
            return Err(self.damaged(format!("another count than {} chunks", chunks.len())));
        }
        let crc = self.crc;
        if self.number()? != crc {
            return Err(self.damaged("the checksum does not match"));
        }
        if self.offset != self.bytes {
            return Err(self.damaged("bytes follow the checksum"));
        }
        Ok(chunks)
    }
}

/// Reads and checks a whole file.
pub(crate) fn load(source: &SnapshotFile) -> Result<(Meta, Ledger), SnapshotError> {
    let bytes = source.file.len()?;
    let mut reader = Reader { source, bytes, offset: 0, crc: 0 };
    let meta = reader.meta()?;
    let chunks = reader.chunks()?;
    let ledger = Ledger::from_chunks(chunks).map_err(|error| reader.damaged(format!("{error:?}")))?;
    Ok((meta, ledger))
}

/// The newest snapshot on the disk, if there is one. A damaged one stops the start: an older one would need log
/// entries that may have been purged.
pub(crate) fn newest(disk: &dyn Disk) -> Result<Option<(Meta, Ledger, SnapshotFile)>, SnapshotError> {
    let Some(name) = names(disk)?.pop() else { return Ok(None) };
    let source = SnapshotFile { file: disk.open(&name)?, name };
    let (meta, ledger) = load(&source)?;
    Ok(Some((meta, ledger, source)))
}

/// Removes all snapshots but `keep`, and leftovers of crashes. A failure is harmless: the next one tries again.
pub(crate) fn remove_others(disk: &dyn Disk, keep: &str) -> Result<(), DiskError> {
    for name in disk.list()? {
        let ours = name.starts_with("snapshot-") || name.starts_with("incoming-");
        if ours && name != keep && name.as_str() < keep {
            disk.remove(&name)?;
        }
    }
    disk.sync_dir()
}

fn names(disk: &dyn Disk) -> Result<Vec<String>, DiskError> {
    let whole = |name: &String| name.starts_with("snapshot-") && name.ends_with(SUFFIX);
    Ok(disk.list()?.into_iter().filter(whole).collect())
}
