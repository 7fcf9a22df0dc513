//! Where each entry of the log is: one small place per entry, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use comity_runtime::disk::DiskFile;

use super::{Damage, WalError, read_entry};

/// Position of one entry's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) segment: u64,
    /// Byte offset of the record in the segment.
    pub(super) offset: u64,
    /// Payload bytes of the record.
    pub(super) len: u32,
}

/// All entries that are durable and not purged, and the open segments that hold them.
///
/// Invariant: segments never decrease from one entry to the next, because the log only grows at its end.
#[derive(Default)]
pub struct LogIndex {
    /// Index of the first place.
    first: u64,
    places: VecDeque<Place>,
    /// Index of the last entry that was purged; 0 for none.
    purged: u64,
    segments: BTreeMap<u64, OpenSegment>,
}

#[derive(Clone)]
struct OpenSegment {
    file: Arc<dyn DiskFile>,
    salt: u64,
}

/// One entry's record, to be read without holding the index.
pub struct EntryRecord {
    index: u64,
    segment: OpenSegment,
    place: Place,
}

impl EntryRecord {
    /// Reads and checks the entry's bytes.
    pub fn read(&self) -> Result<Bytes, WalError> {
        read_entry(&*self.segment.file, self.segment.salt, self.index, self.place)
    }

    /// An error that says that this record's content is wrong.
    pub fn damaged(&self, damage: Damage) -> WalError {
        WalError::Corrupt { file: self.segment.file.name().to_owned(), offset: self.place.offset, damage }
    }

    /// Payload bytes of the record on disk.
    pub fn size(&self) -> u64 {
        u64::from(self.place.len)
    }
}

impl LogIndex {
    /// Index of the first entry present.
    pub fn first_index(&self) -> Option<u64> {
        (!self.places.is_empty()).then_some(self.first)
    }

    /// Index of the last entry present.
    pub fn last_index(&self) -> Option<u64> {
        self.range().end.checked_sub(1).filter(|_| !self.places.is_empty())
    }

    /// Indexes of the entries present; empty at an arbitrary position if there are none.
    pub fn range(&self) -> Range<u64> {
        self.first..self.first + self.places.len() as u64
    }

    /// Index up to which entries were purged; 0 for none.
    pub fn purged(&self) -> u64 {
        self.purged
    }

    /// The record of an entry that is present.
    pub fn get(&self, index: u64) -> Option<EntryRecord> {
        let place = *self.places.get(usize::try_from(index.checked_sub(self.first)?).ok()?)?;
        let segment = self.segments.get(&place.segment)?.clone();
        Some(EntryRecord { index, segment, place })
    }

    /// The index the next entry must have; `None` if any will do (nothing was ever appended or purged).
    pub(super) fn next_index(&self, purged: Option<(u64, &[u8])>) -> Option<u64> {
        self.last_index().or(purged.map(|(index, _)| index)).map(|last| last + 1)
    }

    /// Adds the next entry; the first one may have any index.
    pub(super) fn push(&mut self, index: u64, place: Place) {
        if self.places.is_empty() {
            self.first = index;
        }
        debug_assert_eq!(index, self.range().end, "entries are consecutive");
        self.places.push_back(place);
    }

    pub(super) fn truncate(&mut self, from: u64) {
        let kept = from.saturating_sub(self.first).min(self.places.len() as u64);
        self.places.truncate(kept as usize);
    }

    pub(super) fn purge(&mut self, upto: u64) {
        let gone = upto.saturating_add(1).saturating_sub(self.first).min(self.places.len() as u64);
        self.places.drain(..gone as usize);
        self.first += gone;
        self.purged = self.purged.max(upto);
    }

    pub(super) fn add_segment(&mut self, number: u64, file: Arc<dyn DiskFile>, salt: u64) {
        self.segments.insert(number, OpenSegment { file, salt });
    }

    /// Forgets the oldest segment and gives its number, if it is older than `active` and holds no entry any more.
    pub(super) fn take_unused_segment(&mut self, active: u64) -> Option<u64> {
        let (&oldest, _) = self.segments.first_key_value()?;
        let needed = self.places.front().map_or(active, |place| place.segment.min(active));
        if oldest >= needed {
            return None;
        }
        self.segments.remove(&oldest);
        Some(oldest)
    }
}

impl fmt::Debug for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogIndex({:?}, {} segments)", self.range(), self.segments.len())
    }
}
