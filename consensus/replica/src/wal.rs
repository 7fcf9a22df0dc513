//! The write-ahead log: Raft entries, the vote and the purge mark, on a [`Disk`].
//!
//! ```text
//! log-0000000001.wal   header | carried state | record | record | ...
//! log-0000000002.wal   header | carried state | record | ... | zeros (preallocated)
//! ```
//! Everything is a record appended behind the last one; nothing is overwritten. A batch of records is one write and
//! one flush, and the call returns only after it. The next batch starts after the flush of the one before, so each
//! record can say up to which record everything was already on stable storage. That mark decides after a power cut:
//! a bad record that a later record calls durable is **damage** and stops the node; any other bad record was never
//! acknowledged and is cut off together with what follows it.
//!
//! The one case no single log can tell apart is damage inside the very last flush: it looks like a torn tail.
//!
//! Each segment starts with what must outlive the ones before it (vote, commit and purge marks), so segments that
//! hold only purged entries are simply removed, oldest first.
//!
//! Deliberately absent: what an entry means (bytes here), background threads, repair.

use std::sync::Arc;

use bytes::Bytes;
use comity_proto::planted::{Plant, planted};
use comity_runtime::disk::{Disk, DiskErrorKind, DiskFile, DiskLock};
use parking_lot::Mutex;

mod error;
mod index;
mod record;
mod recovery;
mod segment;

pub use error::{Damage, WalError};
use index::Place;
pub use index::{EntryRecord, LogIndex};
use record::{Batch, Carried, Kind};
pub use record::{PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES};
pub use segment::{FORMAT_VERSION, SEGMENT_HEADER_BYTES};
use segment::{Header, Segment};

/// Name of the lock that keeps two processes from writing one log.
pub const LOCK_NAME: &str = "log.lock";

/// How a log is laid out.
#[derive(Debug, Clone, Copy)]
pub struct WalConfig {
    /// Bytes reserved per segment, 4 KiB to 1 GiB. A batch that is larger gets a segment of its own size.
    pub segment_bytes: u64,
    /// Random bits of this process. Mixed into the checksums of new segments, so that bytes of an older file on the
    /// same blocks are never taken for records.
    pub salt: u64,
}

impl WalConfig {
    /// 32 MiB segments: a few minutes of writing at full speed, and a boot that reads at most one unused tail.
    pub fn new(salt: u64) -> Self {
        WalConfig { segment_bytes: 32 << 20, salt }
    }
}

/// The writer of a log. There is one per directory; readers share its [`LogIndex`].
#[derive(Debug)]
pub struct Wal {
    disk: Arc<dyn Disk>,
    config: WalConfig,
    index: Arc<Mutex<LogIndex>>,
    active: Option<Segment>,
    carried: Carried,
    /// A commit mark that travels with the next batch; it is a hint and not worth its own flush.
    unsaved_committed: bool,
    /// Sequence number of the next record.
    next_sequence: u64,
    /// Number of the next segment, from 1.
    next_segment: u64,
    /// Why nothing can be written any more; set before a flush and cleared after it, so a dropped call leaves it set.
    broken: Option<String>,
    _lock: DiskLock,
}

impl Wal {
    /// Opens the log in `disk`, or starts an empty one. A torn tail is cut off, durably, before this returns.
    pub fn open(disk: Arc<dyn Disk>, config: WalConfig) -> Result<Wal, WalError> {
        let lock = disk.lock(LOCK_NAME).map_err(WalError::from_lock)?;
        let found = recovery::recover(&*disk)?;
        Ok(Wal {
            disk,
            config,
            index: Arc::new(Mutex::new(found.index)),
            active: found.active,
            carried: found.carried,
            unsaved_committed: false,
            next_sequence: found.next_sequence,
            next_segment: found.next_segment,
            broken: None,
            _lock: lock,
        })
    }

    /// Where the entries are. Entries appear in it once they are durable.
    pub fn index(&self) -> Arc<Mutex<LogIndex>> {
        self.index.clone()
    }

    /// The last saved vote.
    pub fn vote(&self) -> Option<&[u8]> {
        self.carried.vote.as_deref()
    }

    /// The last commit mark; after a crash possibly an older one.
    pub fn committed(&self) -> Option<&[u8]> {
        self.carried.committed.as_deref()
    }

    /// Index and caller's bytes of the last purge.
    pub fn purged(&self) -> Option<(u64, &[u8])> {
        self.carried.purged.as_ref().map(|(index, id)| (*index, id.as_slice()))
    }

    /// Appends entries with consecutive indexes behind the last one; durable on return.
    ///
    /// An error other than [`WalError::OutOfOrder`], [`WalError::TooLarge`] and a full disk while a segment is being
    /// added breaks the log: after it only a restart helps.
    pub async fn append(&mut self, entries: &[(u64, Bytes)]) -> Result<(), WalError> {
        let Some((first, _)) = entries.first() else { return Ok(()) };
        let next = self.index.lock().next_index(self.purged()).unwrap_or(*first);
        let mut batch = Batch::default();
        let mut sizes = Vec::with_capacity(entries.len());
        for ((index, payload), expected) in entries.iter().zip(next..) {
            if *index != expected {
                return Err(WalError::OutOfOrder { expected, got: *index });
            }
            sizes.push(batch.push(Kind::Entry, &[index.to_le_bytes().as_slice(), payload])?);
        }
        let written = self.write(batch).await?;
        let mut index = self.index.lock();
        for ((number, _), (offset, len)) in entries.iter().zip(sizes) {
            index.push(*number, Place { segment: written.segment, offset: written.offset + offset, len });
        }
        Ok(())
    }

    /// Saves the vote; durable on return.
    pub async fn save_vote(&mut self, vote: &[u8]) -> Result<(), WalError> {
        let mut batch = Batch::default();
        batch.push(Kind::Vote, &[vote])?;
        self.write(batch).await?;
        self.carried.vote = Some(vote.to_vec());
        Ok(())
    }

    /// Notes the commit mark. It becomes durable with the next batch, not by itself.
    pub fn note_committed(&mut self, committed: Option<&[u8]>) {
        self.carried.committed = committed.map(<[u8]>::to_vec);
        self.unsaved_committed = true;
    }

    /// Removes all entries from index `from` on; durable on return.
    pub async fn truncate(&mut self, from: u64) -> Result<(), WalError> {
        let last = self.index.lock().last_index();
        if last.is_none_or(|last| from > last) {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.push(Kind::Truncate, &[&from.to_le_bytes()])?;
        self.write(batch).await?;
        self.index.lock().truncate(from);
        Ok(())
    }

    /// Removes all entries up to and including `upto`, and the segments that held only such entries. `id` is given
    /// back by [`Wal::purged`]. A mark that is not ahead of the last one changes nothing.
    pub async fn purge(&mut self, upto: u64, id: &[u8]) -> Result<(), WalError> {
        if self.carried.purged.as_ref().is_some_and(|(last, _)| *last >= upto) {
            return Ok(());
        }
        let mut batch = Batch::default();
        batch.push(Kind::Purge, &[&upto.to_le_bytes(), id])?;
        self.write(batch).await?;
        self.carried.purged = Some((upto, id.to_vec()));
        self.index.lock().purge(upto);
        self.remove_unused_segments()
    }

    /// Oldest first and each made durable, so that a crash in between leaves no gap.
    fn remove_unused_segments(&mut self) -> Result<(), WalError> {
        let active = self.active.as_ref().map_or(self.next_segment, |segment| segment.number);
        while let Some(oldest) = self.index.lock().take_unused_segment(active) {
            self.disk.remove(&segment::file_name(oldest))?;
            self.disk.sync_dir()?;
        }
        Ok(())
    }

    /// Writes one batch and waits until it is durable.
    async fn write(&mut self, records: Batch) -> Result<Written, WalError> {
        if let Some(cause) = &self.broken {
            return Err(WalError::Broken { cause: cause.clone() });
        }
        let mut batch = Batch::default();
        if self.active.as_ref().is_none_or(|segment| !segment.fits(self.committed_bytes() + records.len())) {
            self.add_segment(records.len())?;
        }
        let segment = self.active.as_mut().expect("a segment was just added or had room");
        if segment.is_empty() {
            batch.push(Kind::Carried, &[&self.carried.encode()])?;
        } else if self.unsaved_committed {
            batch.push(Kind::Committed, &[&self.carried.encode_committed()])?;
        }
        let written = Written { segment: segment.number, offset: segment.end + batch.len() };
        batch.append(records);
        let (offset, count) = (segment.end, batch.count());
        let bytes = batch.seal(segment.salt, self.next_sequence);
        let len = bytes.len() as u64;
        self.broken = Some("a write was abandoned half way".to_owned());
        let synced = if planted(Plant::SkipSync) {
            segment.file.write_at(offset, &bytes)
        } else {
            segment.file.write_and_sync(vec![(offset, bytes)]).await
        };
        if let Err(error) = synced {
            self.broken = Some(error.to_string());
            return Err(error.into());
        }
        self.broken = None;
        segment.end = offset + len;
        self.next_sequence += count;
        self.unsaved_committed = false;
        Ok(written)
    }

    fn committed_bytes(&self) -> u64 {
        if self.unsaved_committed { record::size(self.carried.encode_committed().len()) } else { 0 }
    }

    /// Starts the next segment: reserved, its header flushed, its name durable. A full disk leaves the log as before.
    fn add_segment(&mut self, batch_bytes: u64) -> Result<(), WalError> {
        let number = self.next_segment;
        let name = segment::file_name(number);
        let first = SEGMENT_HEADER_BYTES + record::size(self.carried.encode().len()) + batch_bytes;
        let capacity = self.config.segment_bytes.max(first);
        let header =
            Header { number, salt: segment::salt(self.config.salt, number), first_sequence: self.next_sequence };
        let file = self.disk.create(&name)?;
        match Segment::start(&*self.disk, file, header, capacity) {
            Ok(segment) => {
                self.index.lock().add_segment(number, segment.file.clone(), segment.salt);
                self.active = Some(segment);
                self.next_segment += 1;
                Ok(())
            }
            Err(error) => {
                // If the name came back after a crash, its header would contradict records written meanwhile.
                let removed = self.disk.remove(&name).and_then(|()| self.disk.sync_dir());
                if removed.is_err() || error.kind != DiskErrorKind::Full {
                    self.broken = Some(error.to_string());
                }
                Err(error.into())
            }
        }
    }
}

/// Where the caller's records of a batch start.
struct Written {
    segment: u64,
    offset: u64,
}

/// Reads one entry's payload and checks it again: bits may have rotted since the log was opened.
fn read_entry(file: &dyn DiskFile, salt: u64, index: u64, place: Place) -> Result<Bytes, WalError> {
    let len = place.len as usize;
    let mut bytes = vec![0; RECORD_HEADER_BYTES as usize + len];
    file.read_at(place.offset, &mut bytes)?;
    let sound = record::parse(&bytes, salt).is_some_and(|record| {
        let is_entry = record.kind == Kind::Entry as u8 && record.payload.len() == len;
        is_entry && record.payload.starts_with(&index.to_le_bytes())
    });
    if !sound {
        let file = file.name().to_owned();
        return Err(WalError::Corrupt { file, offset: place.offset, damage: Damage::Rotted });
    }
    Ok(Bytes::from(bytes).slice(RECORD_HEADER_BYTES as usize + size_of::<u64>()..))
}

#[cfg(test)]
mod tests;
