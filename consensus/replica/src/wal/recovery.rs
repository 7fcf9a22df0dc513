//! Reading a log back: what was acknowledged, what was torn, what is damaged.

use std::ops::Range;
use std::sync::Arc;

use comity_runtime::disk::{Disk, DiskErrorKind, DiskFile};

use super::index::{LogIndex, Place};
use super::record::{ALIGNMENT, Carried, Kind, Parsed, parse, read_u64};
use super::segment::{Header, SEGMENT_HEADER_BYTES, Segment, file_name, parse_name};
use super::{Damage, WalError};

/// Bytes per read while a log is opened.
const READ_BYTES: usize = 256 << 10;

/// A log as it was found, torn tail already removed.
pub(super) struct Recovered {
    pub(super) index: LogIndex,
    pub(super) carried: Carried,
    pub(super) active: Option<Segment>,
    pub(super) next_sequence: u64,
    pub(super) next_segment: u64,
}

/// One segment file and its content.
struct Found {
    number: u64,
    name: String,
    file: Arc<dyn DiskFile>,
    bytes: Vec<u8>,
}

impl Found {
    fn damaged(&self, offset: u64, damage: Damage) -> WalError {
        WalError::Corrupt { file: self.name.clone(), offset, damage }
    }
}

/// Reads all segments in order. Only an unacknowledged tail is changed on disk.
pub(super) fn recover(disk: &dyn Disk) -> Result<Recovered, WalError> {
    let numbers = segment_numbers(disk)?;
    let mut recovered = Recovered {
        index: LogIndex::default(),
        carried: Carried::default(),
        active: None,
        next_sequence: 0,
        next_segment: numbers.last().map_or(1, |last| last + 1),
    };
    for (position, number) in numbers.iter().enumerate() {
        let found = read_segment(disk, *number)?;
        let is_last = position + 1 == numbers.len();
        let Some(header) = Header::parse(&found.name, *number, &found.bytes)? else {
            if is_last && is_unused(&found.bytes) {
                // The power went while this segment was being added: its header was never durable, so no record was.
                disk.remove(&found.name)?;
                recovered.next_segment = *number;
                break;
            }
            return Err(found.damaged(0, Damage::SegmentHeader));
        };
        if position == 0 {
            recovered.next_sequence = header.first_sequence;
        }
        recovered.read_records(&found, header, is_last)?;
    }
    recovered.check_start(&numbers)?;
    if !numbers.is_empty() {
        disk.sync_dir()?;
    }
    Ok(recovered)
}

/// Numbers of the segments present, which must have no gap.
fn segment_numbers(disk: &dyn Disk) -> Result<Vec<u64>, WalError> {
    let mut numbers: Vec<u64> = disk.list()?.iter().filter_map(|name| parse_name(name)).collect();
    numbers.sort_unstable();
    match numbers.windows(2).find(|pair| pair[0] + 1 != pair[1]) {
        None => Ok(numbers),
        Some(pair) => {
            let file = file_name(pair[0] + 1);
            Err(WalError::Corrupt { file, offset: 0, damage: Damage::SegmentMissing })
        }
    }
}

fn read_segment(disk: &dyn Disk, number: u64) -> Result<Found, WalError> {
    let name = file_name(number);
    let file = disk.open(&name)?;
    let len = usize::try_from(file.len()?).expect("segments fit in memory: they are at most one gibibyte");
    let mut bytes = vec![0; len];
    // In pieces, so that an unreadable place is named.
    for (piece, chunk) in bytes.chunks_mut(READ_BYTES).enumerate() {
        file.read_at((piece * READ_BYTES) as u64, chunk)?;
    }
    Ok(Found { number, name, file, bytes })
}

/// Whether nothing was ever written behind the header.
fn is_unused(bytes: &[u8]) -> bool {
    bytes.iter().skip(SEGMENT_HEADER_BYTES as usize).all(|byte| *byte == 0)
}

impl Recovered {
    fn read_records(&mut self, found: &Found, header: Header, is_last: bool) -> Result<(), WalError> {
        if header.first_sequence != self.next_sequence {
            // A segment is added only when everything before it is durable.
            return Err(self.previous_damage(found));
        }
        self.index.add_segment(found.number, found.file.clone(), header.salt);
        let mut offset = SEGMENT_HEADER_BYTES;
        let mut unsure = offset;
        let mut unsure_from = self.next_sequence;
        while let Some(record) = record_at(&found.bytes, offset, header.salt) {
            if record.sequence != self.next_sequence {
                break;
            }
            if record.durable_below > unsure_from {
                (unsure, unsure_from) = (offset, record.sequence);
            }
            self.take(found, offset, &record)?;
            self.next_sequence += 1;
            offset += record.size();
        }
        let capacity = match is_last {
            true => self.settle_tail(found, unsure..offset, header.salt)?,
            false => found.bytes.len() as u64,
        };
        self.active =
            Some(Segment { number: found.number, salt: header.salt, file: found.file.clone(), end: offset, capacity });
        Ok(())
    }

    /// The segment before `found` ends too early: names the place where its next record should be.
    fn previous_damage(&self, found: &Found) -> WalError {
        match &self.active {
            Some(previous) => WalError::Corrupt {
                file: previous.file.name().to_owned(),
                offset: previous.end,
                damage: Damage::Record,
            },
            None => found.damaged(0, Damage::SegmentHeader),
        }
    }

    /// Makes what was read durable, and what is behind it zero. `last` is the range of the last batch, which nothing
    /// proves to be flushed. Gives the bytes reserved for the segment.
    fn settle_tail(&self, found: &Found, last: Range<u64>, salt: u64) -> Result<u64, WalError> {
        let end = last.end;
        let tail = &found.bytes[end as usize..];
        if let Some(first) = tail.iter().position(|byte| *byte != 0) {
            // Records are aligned and so is `end`; none can start before the first byte that is not zero.
            let start = first - first % ALIGNMENT as usize;
            for at in (start..tail.len()).step_by(ALIGNMENT as usize) {
                if parse(&tail[at..], salt).is_some_and(|later| later.durable_below > self.next_sequence) {
                    return Err(found.damaged(end, Damage::Record));
                }
            }
            // Left in place, a whole record behind the gap could line up with what is written next.
            found.file.set_len(end)?;
        }
        // The last batch may be only in the kernel's cache: the process died before its flush, or the flush failed
        // and the pages were marked clean. Written again it is dirty again, and the flush is a real one.
        found.file.write_at(last.start, &found.bytes[last.start as usize..end as usize])?;
        found.file.sync()?;
        let reserved = found.bytes.len() as u64;
        match found.file.allocate(reserved) {
            Ok(()) => Ok(reserved),
            // The next batch will ask for a new segment and be refused cleanly.
            Err(error) if error.kind == DiskErrorKind::Full => Ok(end),
            Err(error) => Err(error.into()),
        }
    }

    /// Replays one record.
    fn take(&mut self, found: &Found, offset: u64, record: &Parsed<'_>) -> Result<(), WalError> {
        let damaged = |damage| Err(found.damaged(offset, damage));
        let payload = record.payload;
        let number = (payload.len() >= 8).then(|| read_u64(payload, 0));
        match (record.kind, number) {
            (kind, Some(index)) if kind == Kind::Entry as u8 => {
                // An entry may start a new run only where older ones were removed.
                if self.index.last_index().is_some_and(|last| index != last + 1) {
                    return damaged(Damage::Gap);
                }
                let len = payload.len() as u32;
                self.index.push(index, Place { segment: found.number, offset, len });
            }
            (kind, Some(from)) if kind == Kind::Truncate as u8 => self.index.truncate(from),
            (kind, Some(upto)) if kind == Kind::Purge as u8 => {
                self.index.purge(upto);
                self.carried.purged = Some((upto, payload[8..].to_vec()));
            }
            (kind, _) if kind == Kind::Vote as u8 => self.carried.vote = Some(payload.to_vec()),
            (kind, _) if kind == Kind::Committed as u8 => match Carried::decode_committed(payload) {
                Some(committed) => self.carried.committed = committed,
                None => return damaged(Damage::Content),
            },
            (kind, _) if kind == Kind::Carried as u8 => match Carried::decode(payload) {
                Some(carried) => self.carried = carried,
                None => return damaged(Damage::Content),
            },
            (kind, None) if kind == Kind::Entry as u8 || kind == Kind::Truncate as u8 || kind == Kind::Purge as u8 => {
                return damaged(Damage::Content);
            }
            (kind, _) => return damaged(Damage::UnknownKind(kind)),
        }
        Ok(())
    }

    /// Everything before the first entry must have been purged: an absent first segment is damage too.
    fn check_start(&mut self, numbers: &[u64]) -> Result<(), WalError> {
        let Some(oldest) = numbers.first() else { return Ok(()) };
        let purged = self.carried.purged.as_ref().map(|(index, _)| *index);
        let gap = match (self.index.first_index(), purged) {
            (Some(first), Some(purged)) => first > purged + 1,
            (_, None) => *oldest != 1,
            (None, Some(_)) => false,
        };
        if gap {
            let file = file_name(oldest.saturating_sub(1).max(1));
            return Err(WalError::Corrupt { file, offset: 0, damage: Damage::SegmentMissing });
        }
        if let Some(purged) = purged {
            self.index.purge(purged);
        }
        Ok(())
    }
}

/// The record at `offset`, if an unharmed one is there.
fn record_at(bytes: &[u8], offset: u64, salt: u64) -> Option<Parsed<'_>> {
    parse(bytes.get(usize::try_from(offset).ok()?..)?, salt)
}
