//! What can be wrong with a log, with the place and the next step.

use std::fmt;

use comity_runtime::disk::{DiskError, DiskErrorKind};

/// Why the log refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalError {
    /// The disk refused or failed. A full disk while a segment is added changes nothing; any other failed write
    /// breaks the log until a restart, and nothing acknowledged before is lost.
    #[error(transparent)]
    Disk(#[from] DiskError),

    /// Another process has this log open. Nothing changed.
    #[error("the log is in use: {0}; stop the other process, or give this one another data directory")]
    InUse(DiskError),

    /// Acknowledged bytes are damaged. Nothing was changed or repaired: a voter put back to an older state would
    /// forget its vote.
    #[error(
        "the log is damaged: file {file}, byte {offset}: {damage}; \
         this replica must not continue from it: wipe it and rejoin as a new member"
    )]
    Corrupt {
        /// Segment file.
        file: String,
        /// Byte offset of the first bad record.
        offset: u64,
        /// What is wrong there.
        damage: Damage,
    },

    /// A newer program wrote this log. Nothing changed.
    #[error("{file} has log format {found}, this program reads up to {supported}; start the newer program")]
    NewerVersion {
        /// Segment file.
        file: String,
        /// Version in its header.
        found: u32,
        /// Newest version this program knows.
        supported: u32,
    },

    /// An earlier write failed or was abandoned; the log accepts nothing more in this process.
    #[error("the log stopped after a failed write ({cause}); restart the node, nothing acknowledged is lost")]
    Broken {
        /// The first failure.
        cause: String,
    },

    /// A checked record does not decode: another program wrote it. Nothing changed.
    #[error("the {what} in the log does not decode; start the program that wrote this log, or rejoin as a new member")]
    Undecodable {
        /// Which record.
        what: &'static str,
    },

    /// A hole in the indexes of appended entries: a mistake of the caller. Nothing changed.
    #[error("entry {got} cannot follow: the next index is {expected}")]
    OutOfOrder {
        /// The index that had to come.
        expected: u64,
        /// The index that came.
        got: u64,
    },

    /// A record over the limit. Nothing changed.
    #[error("a record of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its payload.
        bytes: u64,
        /// [`super::PAYLOAD_BYTES_MAX`].
        limit: u64,
    },
}

impl WalError {
    pub(super) fn from_lock(error: DiskError) -> Self {
        match error.kind {
            DiskErrorKind::InUse { .. } => WalError::InUse(error),
            _ => WalError::Disk(error),
        }
    }

    /// Whether the cause is a lack of space.
    pub fn is_full(&self) -> bool {
        matches!(self, WalError::Disk(error) if error.kind == DiskErrorKind::Full)
    }
}

/// Kinds of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The segment's header does not check, but records follow it.
    SegmentHeader,
    /// A segment between two others, or before the first needed one, is absent.
    SegmentMissing,
    /// A record does not check although a later one proves that it was durable.
    Record,
    /// A record that checked when the log was opened does not any more.
    Rotted,
    /// A checked record has a kind this program does not know.
    UnknownKind(u8),
    /// A checked record does not say what its kind must say.
    Content,
    /// Entries do not follow each other.
    Gap,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::SegmentHeader => f.write_str("the segment header fails its checksum and records follow it"),
            Damage::SegmentMissing => f.write_str("a segment is missing here"),
            Damage::Record => f.write_str("a record that was on stable storage fails its checksum"),
            Damage::Rotted => f.write_str("a record changed after it was checked"),
            Damage::UnknownKind(kind) => write!(f, "a record of unknown kind {kind}"),
            Damage::Content => f.write_str("a record's content does not fit its kind"),
            Damage::Gap => f.write_str("entries are missing before this one"),
        }
    }
}
