//! One record: a checked header, then the payload, padded to eight bytes.
//!
//! ```text
//! 0  header checksum (CRC32C of the segment's salt and bytes 4..32)
//! 4  payload length
//! 8  sequence number, one more than the record before
//! 16 durable mark: every record below this sequence number was flushed before this one was written
//! 24 kind, three zero bytes
//! 28 payload checksum (CRC32C)
//! ```
//! All numbers are little endian.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::WalError;

/// Bytes before the payload.
pub const RECORD_HEADER_BYTES: u64 = 32;

/// Largest payload of one record. Above every entry that the proposer may build, below any segment of a sane size.
pub const PAYLOAD_BYTES_MAX: u64 = 64 << 20;

/// Records start at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;

/// What a record says. The numbers are on disk: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// Index (u64), then the entry's bytes.
    Entry = 1,
    /// The vote's bytes.
    Vote = 2,
    /// The commit mark, as [`Carried::encode_committed`] writes it.
    Committed = 3,
    /// First removed index (u64).
    Truncate = 4,
    /// Last purged index (u64), then the caller's bytes.
    Purge = 5,
    /// [`Carried`], the first record of every segment.
    Carried = 6,
}

/// What must outlive the removal of older segments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Carried {
    pub(super) vote: Option<Vec<u8>>,
    pub(super) committed: Option<Vec<u8>>,
    pub(super) purged: Option<(u64, Vec<u8>)>,
}

impl Carried {
    pub(super) fn encode(&self) -> Vec<u8> {
        // Postcard into a growing vector has no failing case for plain vectors and options.
        postcard::to_allocvec(self).expect("plain data encodes")
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Carried> {
        exact(bytes)
    }

    pub(super) fn encode_committed(&self) -> Vec<u8> {
        postcard::to_allocvec(&self.committed).expect("plain data encodes")
    }

    pub(super) fn decode_committed(bytes: &[u8]) -> Option<Option<Vec<u8>>> {
        exact(bytes)
    }
}

/// Decodes all of `bytes`; left-over bytes are refused.
fn exact<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

/// Bytes on disk of a record with `payload` bytes.
pub(super) fn size(payload: usize) -> u64 {
    (RECORD_HEADER_BYTES + payload as u64).next_multiple_of(ALIGNMENT)
}

/// Records that become durable together.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    starts: Vec<usize>,
}

impl Batch {
    /// Adds a record whose payload is the concatenation of `parts`; gives its offset in the batch and payload length.
    pub(super) fn push(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<(u64, u32), WalError> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len as u64 > PAYLOAD_BYTES_MAX {
            return Err(WalError::TooLarge { bytes: len as u64, limit: PAYLOAD_BYTES_MAX });
        }
        let start = self.bytes.len();
        self.starts.push(start);
        self.bytes.extend_from_slice(&[0; RECORD_HEADER_BYTES as usize]);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        let body = start + RECORD_HEADER_BYTES as usize;
        let checksum = crc32c::crc32c(&self.bytes[body..]);
        self.bytes.resize(start + size(len) as usize, 0);
        let header = &mut self.bytes[start..body];
        header[4..8].copy_from_slice(&(len as u32).to_le_bytes());
        header[24] = kind as u8;
        header[28..32].copy_from_slice(&checksum.to_le_bytes());
        Ok((start as u64, len as u32))
    }

    /// Adds all records of another batch behind these.
    pub(super) fn append(&mut self, other: Batch) {
        let base = self.bytes.len();
        self.starts.extend(other.starts.iter().map(|start| base + start));
        self.bytes.extend_from_slice(&other.bytes);
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn count(&self) -> u64 {
        self.starts.len() as u64
    }

    /// Numbers the records from `first` and seals their headers. Everything before `first` is durable by now.
    pub(super) fn seal(mut self, salt: u64, first: u64) -> Bytes {
        for (sequence, start) in (first..).zip(&self.starts) {
            let header = &mut self.bytes[*start..*start + RECORD_HEADER_BYTES as usize];
            header[8..16].copy_from_slice(&sequence.to_le_bytes());
            header[16..24].copy_from_slice(&first.to_le_bytes());
            let checksum = header_checksum(header, salt);
            header[0..4].copy_from_slice(&checksum.to_le_bytes());
        }
        Bytes::from(self.bytes)
    }
}

fn header_checksum(header: &[u8], salt: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&salt.to_le_bytes()), &header[4..RECORD_HEADER_BYTES as usize])
}

/// A record whose checksums are right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    pub(super) sequence: u64,
    /// See the module's head.
    pub(super) durable_below: u64,
    pub(super) kind: u8,
    pub(super) payload: &'a [u8],
}

impl Parsed<'_> {
    /// Bytes on disk.
    pub(super) fn size(&self) -> u64 {
        size(self.payload.len())
    }
}

/// The record at the start of `bytes`, if there is a whole and unharmed one of the segment with this salt.
pub(super) fn parse(bytes: &[u8], salt: u64) -> Option<Parsed<'_>> {
    let header = bytes.get(..RECORD_HEADER_BYTES as usize)?;
    if read_u32(header, 0) != header_checksum(header, salt) {
        return None;
    }
    let len = read_u32(header, 4) as usize;
    let payload = bytes.get(header.len()..header.len().checked_add(len)?)?;
    if crc32c::crc32c(payload) != read_u32(header, 28) {
        return None;
    }
    Some(Parsed { sequence: read_u64(header, 8), durable_below: read_u64(header, 16), kind: header[24], payload })
}

/// Four bytes at `at` as a number; the caller knows that they are there.
pub(super) fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Eight bytes at `at` as a number; the caller knows that they are there.
pub(super) fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
