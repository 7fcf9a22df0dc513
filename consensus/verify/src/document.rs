//! The five documents: a signed checkpoint, a whole history behind one, a short proof that one extends an older one, a short
//! proof that an event is in it, and the proof that a domain signed two histories.
//!
//! ```text
//! kind      14 bytes   "comity-checkpt", "comity-history", "comity-extends", "comity-include" or "comity-equivoc"
//! version   u16        3; all numbers are big endian
//! domain    32 bytes   the domain's id
//! root key  32 bytes   its hash is the id
//! roster    u32 length, envelope in context comity/v1/roster, signed by the root key
//! checkpoint u32 length, envelope in context comity/v1/checkpoint, signed by a voter of the roster
//! events    only in a history: as many as the checkpoint's size, in order, each
//!           u32 length, the exact bytes of the leaf, the first 4 bytes of its leaf hash
//! older     only in an extension: u32 length, envelope of the same domain's checkpoint of the older size,
//!           then a u8 count of hashes and 32 bytes each: the consistency proof of RFC 9162
//! event     only in an inclusion: u64 its number, u32 length, its exact bytes, then a u8 count of hashes and 32 bytes each:
//!           its path to the root (RFC 9162)
//! other     only in an equivocation: u32 length, roster; u32 length, the other checkpoint of the same size
//! ```
//! Nothing follows. The four bytes behind an event tell a damaged copy from a false one: a byte that changed on the way is
//! named with the event that it is in, while only the root judges what the domain wrote.

use crate::{
    chain::{Chain, Judged},
    wrong::{Place, Rule, Wrong},
};
use bytes::Bytes;
use comity_ledger::{
    checkpoint::Checkpoint,
    merkle::{PATH_MAX, leaf_hash},
};
use comity_proto::{
    ids::{DomainId, Hash, PublicKey},
    limits::{COMMAND_BATCH_BYTES_MAX, ENVELOPE_OVERHEAD_BYTES, ROSTER_BYTES_MAX},
};
use std::io::{self, Read, Write};

/// The version of the documents that this program writes and reads.
pub const VERSION: u16 = 3;
/// Bytes of an event that follow it.
const MARK_BYTES: usize = 4;
/// An event holds at most the terms of one command.
pub const EVENT_BYTES_MAX: usize = COMMAND_BATCH_BYTES_MAX;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A signed checkpoint with its chain.
    Checkpoint,
    /// The same, and every event up to it.
    History,
    /// The same, an older checkpoint, and the proof that the one extends the other.
    Extension,
    /// The same, and another checkpoint of the same size.
    Equivocation,
    /// The same, one event of it, and the proof that it is one.
    Inclusion,
}

/// What an extension brings beside its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The domain's checkpoint of the older size, signed when it was asked: an envelope.
    pub older: Bytes,
    /// The consistency proof of RFC 9162.
    pub proof: Vec<Hash>,
}

/// What an inclusion brings beside its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// Number of the event in the log.
    pub index: u64,
    /// Its exact bytes.
    pub event: Bytes,
    /// From its leaf to the root, leaf side first.
    pub path: Vec<Hash>,
}

/// What an equivocation brings beside its head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The roster that the other signer stands in.
    pub roster: Bytes,
    /// The other checkpoint: an envelope.
    pub checkpoint: Bytes,
}

impl Kind {
    const ALL: [Kind; 5] = [Kind::Checkpoint, Kind::History, Kind::Extension, Kind::Equivocation, Kind::Inclusion];

    const fn name(self) -> &'static [u8; 14] {
        match self {
            Kind::Checkpoint => b"comity-checkpt",
            Kind::History => b"comity-history",
            Kind::Extension => b"comity-extends",
            Kind::Equivocation => b"comity-equivoc",
            Kind::Inclusion => b"comity-include",
        }
    }
}

/// What stands before the events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the file is.
    pub kind: Kind,
    /// Who may sign.
    pub chain: Chain,
    /// The signed checkpoint: an envelope.
    pub checkpoint: Bytes,
}

fn put(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    out.write_all(&length.to_be_bytes())?;
    out.write_all(bytes)
}

impl Head {
    /// Writes it.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(self.kind.name())?;
        out.write_all(&VERSION.to_be_bytes())?;
        out.write_all(&self.chain.domain.0)?;
        out.write_all(&self.chain.root_key.0)?;
        put(out, &self.chain.roster)?;
        put(out, &self.checkpoint)
    }

    /// Follows the chain to the checkpoint.
    ///
    /// # Errors
    /// The first link that does not hold.
    pub fn judge(&self) -> Result<Judged, Wrong> {
        self.chain.judge(&self.checkpoint)
    }
}

impl Extension {
    /// Writes it behind its head.
    ///
    /// # Errors
    /// The writer's; a proof longer than any tree demands.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        put(out, &self.older)?;
        put_hashes(out, &self.proof)
    }
}

fn put_hashes(out: &mut impl Write, hashes: &[Hash]) -> io::Result<()> {
    let count = u8::try_from(hashes.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    out.write_all(&[count])?;
    hashes.iter().try_for_each(|hash| out.write_all(&hash.0))
}

impl Inclusion {
    /// Writes it behind its head.
    ///
    /// # Errors
    /// The writer's; a path longer than any tree demands.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.index.to_be_bytes())?;
        put(out, &self.event)?;
        put_hashes(out, &self.path)
    }
}

impl Other {
    /// Writes it behind its head.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        put(out, &self.roster)?;
        put(out, &self.checkpoint)
    }
}

/// Writes the next event of a history.
///
/// # Errors
/// The writer's.
pub fn write_event(out: &mut impl Write, event: &[u8]) -> io::Result<()> {
    put(out, event)?;
    out.write_all(&mark(event))
}

fn mark(event: &[u8]) -> [u8; MARK_BYTES] {
    let [a, b, c, d, ..] = leaf_hash(event).0;
    [a, b, c, d]
}

/// A document, read from its beginning to its end; holds one event at a time.
pub struct Reader<R> {
    input: R,
    place: Place,
    next: u64,
    event: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Reads what stands before the events.
    ///
    /// # Errors
    /// Another kind of file, another version, an early end.
    pub fn open(input: R) -> Result<(Head, Reader<R>), Wrong> {
        let mut reader = Reader { input, place: Place::Head, next: 0, event: Vec::new() };
        let name: [u8; 14] = reader.array()?;
        let kind = Kind::ALL.into_iter().find(|kind| *kind.name() == name);
        let kind = kind.ok_or_else(|| {
            reader.wrong(Rule::NotADocument, "no checkpoint, history, extension, inclusion or equivocation")
        })?;
        let version = u16::from_be_bytes(reader.array()?);
        if version != VERSION {
            return Err(reader.wrong(Rule::UnknownVersion, format!("version {version}; this program reads {VERSION}")));
        }
        let (domain, root_key) = (DomainId(reader.array()?), PublicKey(reader.array()?));
        let roster = reader.roster()?;
        let checkpoint = reader.checkpoint()?;
        Ok((Head { kind, chain: Chain { domain, root_key, roster }, checkpoint }, reader))
    }

    /// The next event's exact bytes.
    ///
    /// # Errors
    /// An early end, a length above the limit, bytes that are not those that were written.
    pub fn event(&mut self) -> Result<&[u8], Wrong> {
        self.place = Place::Event(self.next);
        self.next = self.next.saturating_add(1);
        self.event = self.sized(EVENT_BYTES_MAX)?;
        let written: [u8; MARK_BYTES] = self.array()?;
        if mark(&self.event) != written {
            return Err(self.wrong(Rule::Mark, "a byte of it changed after it was exported"));
        }
        Ok(&self.event)
    }

    /// The rest of an extension, to its end.
    ///
    /// # Errors
    /// An early end, a proof longer than any two trees demand, bytes behind it.
    pub fn extension(mut self) -> Result<Extension, Wrong> {
        let (older, proof) = (self.checkpoint()?, self.hashes()?);
        self.end()?;
        Ok(Extension { older, proof })
    }

    /// The rest of an inclusion, to its end.
    ///
    /// # Errors
    /// An early end, an event above the limit, a path longer than any tree demands, bytes behind it.
    pub fn inclusion(mut self) -> Result<Inclusion, Wrong> {
        let index = u64::from_be_bytes(self.array()?);
        let (event, path) = (self.sized(EVENT_BYTES_MAX)?.into(), self.hashes()?);
        self.end()?;
        Ok(Inclusion { index, event, path })
    }

    fn hashes(&mut self) -> Result<Vec<Hash>, Wrong> {
        let [count] = self.array()?;
        // One seed hash more than the longest path.
        if usize::from(count) > PATH_MAX + 1 {
            return Err(self.wrong(Rule::TooLarge, format!("{count} hashes, at most {}", PATH_MAX + 1)));
        }
        (0..count).map(|_| self.array().map(Hash)).collect()
    }

    /// The rest of an equivocation, to its end.
    ///
    /// # Errors
    /// An early end, bytes behind it.
    pub fn other(mut self) -> Result<Other, Wrong> {
        let other = Other { roster: self.roster()?, checkpoint: self.checkpoint()? };
        self.end()?;
        Ok(other)
    }

    fn roster(&mut self) -> Result<Bytes, Wrong> {
        self.sized(ROSTER_BYTES_MAX).map(Bytes::from)
    }

    fn checkpoint(&mut self) -> Result<Bytes, Wrong> {
        self.sized(Checkpoint::LEN + ENVELOPE_OVERHEAD_BYTES).map(Bytes::from)
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// Something does.
    pub fn end(mut self) -> Result<(), Wrong> {
        self.place = Place::End;
        let mut more = [0; 1];
        match self.input.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.wrong(Rule::TrailingBytes, "the file goes on behind its end")),
            Err(error) => Err(self.wrong(Rule::Unreadable, error.to_string())),
        }
    }

    fn wrong(&self, rule: Rule, detail: impl Into<String>) -> Wrong {
        Wrong::new(self.place, rule, detail)
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Wrong> {
        self.input.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => self.wrong(Rule::Truncated, "the file ends here"),
            _ => self.wrong(Rule::Unreadable, error.to_string()),
        })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Checks the length before it takes memory for it.
    fn sized(&mut self, max: usize) -> Result<Vec<u8>, Wrong> {
        let length = u32::from_be_bytes(self.array()?) as usize;
        if length > max {
            return Err(self.wrong(Rule::TooLarge, format!("{length} bytes, at most {max}")));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}
