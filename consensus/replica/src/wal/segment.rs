//! One segment file: its name, its header, and how it starts.
//!
//! ```text
//! 0  "COMITYWL"   8  format version   12 header checksum (CRC32C of the other bytes below 40)
//! 16 number       24 salt             32 sequence number of its first record
//! ```
//! The header has a sector of its own, so that no record write can tear it.

use std::fmt;
use std::sync::Arc;

use comity_runtime::disk::{Disk, DiskError, DiskFile};

use super::WalError;
use super::record::{read_u32, read_u64};

/// Bytes before the first record: one sector.
pub const SEGMENT_HEADER_BYTES: u64 = 512;

/// Newest log format this program reads, and the one it writes.
pub const FORMAT_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"COMITYWL";
const PREFIX: &str = "log-";
const SUFFIX: &str = ".wal";

/// The segment that is written to.
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) salt: u64,
    pub(super) file: Arc<dyn DiskFile>,
    /// Where the next record goes.
    pub(super) end: u64,
    /// Reserved bytes.
    pub(super) capacity: u64,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segment({}, {}/{})", self.number, self.end, self.capacity)
    }
}

impl Segment {
    /// Makes an empty file a segment: `capacity` reserved bytes, a durable header and a durable name.
    pub(super) fn start(
        disk: &dyn Disk,
        file: Arc<dyn DiskFile>,
        header: Header,
        capacity: u64,
    ) -> Result<Segment, DiskError> {
        file.allocate(capacity)?;
        file.write_at(0, &header.encode())?;
        file.sync()?;
        disk.sync_dir()?;
        Ok(Segment { number: header.number, salt: header.salt, file, end: SEGMENT_HEADER_BYTES, capacity })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.end == SEGMENT_HEADER_BYTES
    }

    /// Whether `bytes` more go in. An empty segment takes its first batch in any case: it was made for it, or it
    /// grows.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        self.is_empty() || self.end + bytes <= self.capacity
    }
}

/// File name of segment `number`.
pub(super) fn file_name(number: u64) -> String {
    format!("{PREFIX}{number:010}{SUFFIX}")
}

/// The number in a segment's file name; `None` for other files.
pub(super) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let number = digits.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// Salt of one segment: differs between segments of a process and between processes. Finalizer of splitmix64.
pub(super) fn salt(process: u64, number: u64) -> u64 {
    let mut mixed = process ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The checked header of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) number: u64,
    pub(super) salt: u64,
    pub(super) first_sequence: u64,
}

impl Header {
    fn encode(self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.salt.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_sequence.to_le_bytes());
        let checksum = checksum(&bytes);
        bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The header at the start of a file; `None` if there is no unharmed one, an error if a newer program wrote it.
    pub(super) fn parse(name: &str, number: u64, bytes: &[u8]) -> Result<Option<Header>, WalError> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES as usize) else { return Ok(None) };
        if &bytes[0..8] != MAGIC {
            return Ok(None);
        }
        let version = read_u32(bytes, 8);
        if version > FORMAT_VERSION {
            let file = name.to_owned();
            return Err(WalError::NewerVersion { file, found: version, supported: FORMAT_VERSION });
        }
        let header =
            Header { number: read_u64(bytes, 16), salt: read_u64(bytes, 24), first_sequence: read_u64(bytes, 32) };
        Ok((read_u32(bytes, 12) == checksum(bytes) && header.number == number).then_some(header))
    }
}

fn checksum(header: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&header[0..12]), &header[16..40])
}
