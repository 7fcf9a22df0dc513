//! A ledger as canonical chunks, and back.
//!
//! The same state gives the same chunks on every replica, so their hash is the state's digest. What can be derived
//! (queues, pending exposure) is not written but rebuilt. Whoever stores or sends chunks frames and checksums them.
//!
//! ```text
//! chunk  = version (1 byte) | section (1 byte) | number of entries (4 bytes, big endian) | entries, postcard
//! stream = head (its postcard bytes, cut into pieces) | one section after the other, keys ascending | end (chunk count)
//! ```
//! An empty section has no chunk. A reader refuses by name: another version, sections or keys out of order or twice,
//! bytes left over, anything that is not the one encoding, and a stream that stops early or goes on.

use crate::{
    cow::{CowMap, ShardKey},
    cow_queue::CowQueue,
    escrow::forgotten_at,
    state::{Head, Ledger},
};
use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};
use comity_proto::{
    ids::Hash,
    limits::SNAPSHOT_CHUNK_BYTES,
    planted::{Plant, planted},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Form of the chunks. A reader speaks exactly one.
pub const SNAPSHOT_VERSION: u8 = 17;
const HEADER_BYTES: usize = 6;
/// A chunk is closed once it is this long; the longest entry still fits behind it.
const CHUNK_FULL_BYTES: usize = SNAPSHOT_CHUNK_BYTES - 64 * 1024;

/// What a chunk holds, in the order of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Section {
    /// Everything that does not grow with the number of agents.
    Head = 0,
    /// Agents.
    Agents = 1,
    /// Balances.
    Accounts = 2,
    /// Referral codes.
    Codes = 3,
    /// Names.
    Names = 4,
    /// Escrows.
    Escrows = 5,
    /// Remembered request ids.
    Remembered = 6,
    /// Counts against limits.
    Usage = 7,
    /// Faucet claims by token.
    FaucetTokens = 8,
    /// Transfers begun here.
    Outgoing = 9,
    /// Transfers begun elsewhere.
    Incoming = 10,
    /// Shares owed by escrows.
    Payouts = 11,
    /// Peers.
    Peers = 12,
    /// What referrers of other domains have earned.
    Accruals = 13,
    /// Number of chunks before this one.
    End = 255,
}

impl Section {
    const ALL: [Section; 15] = [
        Section::Head,
        Section::Agents,
        Section::Accounts,
        Section::Codes,
        Section::Names,
        Section::Escrows,
        Section::Remembered,
        Section::Usage,
        Section::FaucetTokens,
        Section::Outgoing,
        Section::Incoming,
        Section::Payouts,
        Section::Peers,
        Section::Accruals,
        Section::End,
    ];

    fn from_byte(byte: u8) -> Option<Section> {
        Section::ALL.into_iter().find(|section| *section as u8 == byte)
    }
}

/// Why chunks are no ledger. Nothing was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotError {
    /// A chunk shorter than its header.
    ChunkTooShort,
    /// A version this program does not speak.
    UnknownVersion(u8),
    /// A section this version does not have.
    UnknownSection(u8),
    /// A section after a later one.
    SectionOutOfOrder(Section),
    /// An entry that does not decode.
    Malformed(Section),
    /// A key twice.
    DuplicateKey(Section),
    /// A key after a higher one.
    KeyOutOfOrder(Section),
    /// Bytes after the last entry of a chunk.
    TrailingBytes(Section),
    /// It decodes, but is not the one encoding.
    NotCanonical(Section),
    /// The stream stopped before its end, or lost a chunk.
    Incomplete,
    /// A chunk after the end.
    AfterEnd,
}

type Chunks<'a> = Box<dyn Iterator<Item = Vec<u8>> + 'a>;

fn header(section: Section, count: u32) -> Vec<u8> {
    let mut chunk = Vec::with_capacity(1024);
    chunk.extend_from_slice(&[SNAPSHOT_VERSION, section as u8]);
    chunk.extend_from_slice(&count.to_be_bytes());
    chunk
}

/// Appends one value. Plain types into memory cannot fail; a value cut short would be `Malformed` to every reader.
fn put<T: Serialize>(bytes: Vec<u8>, value: &T) -> Vec<u8> {
    postcard::to_extend(value, bytes).unwrap_or_default()
}

fn section<'a, K: Serialize + 'a, V: Serialize + 'a>(
    section: Section,
    entries: impl Iterator<Item = (&'a K, &'a V)> + 'a,
) -> Chunks<'a> {
    let mut entries = entries.peekable();
    Box::new(core::iter::from_fn(move || {
        entries.peek()?;
        let (mut body, mut count) = (Vec::new(), 0_u32);
        while body.len() < CHUNK_FULL_BYTES
            && let Some(entry) = entries.next()
        {
            body = put(body, &entry);
            count = count.saturating_add(1);
        }
        let mut chunk = header(section, count);
        chunk.append(&mut body);
        Some(chunk)
    }))
}

/// The head has lists in it (treaties) that may not fit one chunk: its bytes are cut.
fn head_chunks(head: &Head) -> Chunks<'static> {
    let bytes = put(Vec::new(), head);
    let pieces: Vec<Vec<u8>> = bytes.chunks(CHUNK_FULL_BYTES).map(<[u8]>::to_vec).collect();
    Box::new(pieces.into_iter().map(|mut piece| {
        let mut chunk = header(Section::Head, 1);
        chunk.append(&mut piece);
        chunk
    }))
}

impl Ledger {
    /// The whole ledger as chunks of at most [`SNAPSHOT_CHUNK_BYTES`]. Take it from a frozen ledger while another thread
    /// goes on applying.
    pub fn snapshot_chunks(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let settlement = &self.settlement;
        let sections: Vec<Chunks<'_>> = vec![
            head_chunks(&self.head),
            section(Section::Agents, self.agents.iter()),
            section(Section::Accounts, self.accounts.iter()),
            section(Section::Codes, self.codes.iter()),
            section(Section::Names, self.names.iter().filter(|_| !planted(Plant::SnapshotGap))),
            section(Section::Escrows, self.escrows.iter()),
            section(Section::Remembered, self.remembered.iter()),
            section(Section::Usage, self.usage.iter()),
            section(Section::FaucetTokens, self.faucet_tokens.iter()),
            section(Section::Outgoing, settlement.outgoing.iter()),
            section(Section::Incoming, settlement.incoming.iter()),
            section(Section::Payouts, settlement.payouts.iter()),
            section(Section::Peers, settlement.peers.iter()),
            section(Section::Accruals, settlement.accruals.iter()),
        ];
        let (mut chunks, mut count, mut ended) = (sections.into_iter().flatten(), 0_u32, false);
        core::iter::from_fn(move || {
            if let Some(chunk) = chunks.next() {
                count = count.saturating_add(1);
                return Some(chunk);
            }
            (!core::mem::replace(&mut ended, true)).then(|| header(Section::End, count))
        })
    }

    /// SHA-256 over the canonical chunks, each after its length: equal on all replicas that applied the same entries.
    pub fn digest(&self) -> Hash {
        let mut hasher = Sha256::new();
        for chunk in self.snapshot_chunks() {
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            hasher.update(length.to_be_bytes());
            hasher.update(&chunk);
        }
        Hash(hasher.finalize().into())
    }

    /// Reads what [`Ledger::snapshot_chunks`] wrote, and nothing else.
    pub fn from_chunks<C: AsRef<[u8]>>(chunks: impl IntoIterator<Item = C>) -> Result<Ledger, SnapshotError> {
        let mut reader = Reader { ledger: Ledger::empty(), head: Vec::new(), at: Section::Head, count: 0 };
        for chunk in chunks {
            reader.chunk(chunk.as_ref())?;
        }
        reader.finish()
    }

    /// Rebuilds what is derived from the records.
    fn rebuild(&mut self) {
        self.escrow_queue = CowQueue::new();
        self.forget_queue = CowQueue::new();
        for (id, escrow) in self.escrows.iter() {
            if let Some(ended_ms) = escrow.ended_ms {
                self.forget_queue.insert(forgotten_at(ended_ms), *id);
            }
            if let Some(at) = escrow.deadline() {
                self.escrow_queue.insert(at, *id);
            }
        }
        self.name_queue = CowQueue::new();
        for (name, record) in self.names.iter() {
            self.name_queue.insert(record.expires_ms, name.clone());
        }
        self.settlement.rebuild();
    }
}

/// A ledger being read.
struct Reader {
    ledger: Ledger,
    head: Vec<u8>,
    at: Section,
    count: u32,
}

impl Reader {
    fn chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        let (header, body) = chunk.split_at_checked(HEADER_BYTES).ok_or(SnapshotError::ChunkTooShort)?;
        let [version, byte, a, b, c, d] = *header else { return Err(SnapshotError::ChunkTooShort) };
        if version != SNAPSHOT_VERSION {
            return Err(SnapshotError::UnknownVersion(version));
        }
        let section = Section::from_byte(byte).ok_or(SnapshotError::UnknownSection(byte))?;
        if self.at == Section::End {
            return Err(SnapshotError::AfterEnd);
        }
        if section < self.at {
            return Err(SnapshotError::SectionOutOfOrder(section));
        }
        self.at = section;
        let count = u32::from_be_bytes([a, b, c, d]);
        self.body(section, count, body)?;
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    fn body(&mut self, at: Section, count: u32, body: &[u8]) -> Result<(), SnapshotError> {
        let ledger = &mut self.ledger;
        match at {
            Section::Head => {
                if count != 1 {
                    return Err(SnapshotError::NotCanonical(at));
                }
                self.head.extend_from_slice(body);
                Ok(())
            }
            Section::Agents => entries(at, count, body, &mut ledger.agents),
            Section::Accounts => entries(at, count, body, &mut ledger.accounts),
            Section::Codes => entries(at, count, body, &mut ledger.codes),
            Section::Names => entries(at, count, body, &mut ledger.names),
            Section::Escrows => entries(at, count, body, &mut ledger.escrows),
            Section::Remembered => entries(at, count, body, &mut ledger.remembered),
            Section::Usage => entries(at, count, body, &mut ledger.usage),
            Section::FaucetTokens => entries(at, count, body, &mut ledger.faucet_tokens),
            Section::Outgoing => entries(at, count, body, &mut ledger.settlement.outgoing),
            Section::Incoming => entries(at, count, body, &mut ledger.settlement.incoming),
            Section::Payouts => entries(at, count, body, &mut ledger.settlement.payouts),
            Section::Peers => entries(at, count, body, &mut ledger.settlement.peers),
            Section::Accruals => entries(at, count, body, &mut ledger.settlement.accruals),
            Section::End if count != self.count => Err(SnapshotError::Incomplete),
            Section::End if !body.is_empty() => Err(SnapshotError::TrailingBytes(at)),
            Section::End => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Ledger, SnapshotError> {
        if self.at != Section::End {
            return Err(SnapshotError::Incomplete);
        }
        let malformed = SnapshotError::Malformed(Section::Head);
        let (head, rest) = postcard::take_from_bytes::<Head>(&self.head).map_err(|_| malformed)?;
        if !rest.is_empty() {
            return Err(SnapshotError::TrailingBytes(Section::Head));
        }
        if put(Vec::new(), &head) != self.head {
            return Err(SnapshotError::NotCanonical(Section::Head));
        }
        self.ledger.head = head;
        self.ledger.rebuild();
        Ok(self.ledger)
    }
}

/// A map that is read in ascending order of keys.
trait Ascending<K, V> {
    fn last(&self) -> Option<&K>;
    fn add(&mut self, key: K, value: V);
}

impl<K: ShardKey, V: Clone, const SHARDS: usize> Ascending<K, V> for CowMap<K, V, SHARDS> {
    fn last(&self) -> Option<&K> {
        self.last_key_value().map(|(key, _)| key)
    }

    fn add(&mut self, key: K, value: V) {
        self.insert(key, value);
    }
}

impl<K: Ord, V> Ascending<K, V> for BTreeMap<K, V> {
    fn last(&self) -> Option<&K> {
        self.last_key_value().map(|(key, _)| key)
    }

    fn add(&mut self, key: K, value: V) {
        self.insert(key, value);
    }
}

fn entries<K, V>(at: Section, count: u32, body: &[u8], map: &mut impl Ascending<K, V>) -> Result<(), SnapshotError>
where
    K: Ord + Clone + Serialize + DeserializeOwned,
    V: Serialize + DeserializeOwned,
{
    let mut rest = body;
    let mut last = map.last().cloned();
    for _ in 0..count {
        let (entry, after) = postcard::take_from_bytes::<(K, V)>(rest).map_err(|_| SnapshotError::Malformed(at))?;
        let read = rest.len().saturating_sub(after.len());
        if rest.get(..read) != Some(put(Vec::new(), &entry).as_slice()) {
            return Err(SnapshotError::NotCanonical(at));
        }
        let (key, value) = entry;
        match last.as_ref().map(|last| last.cmp(&key)) {
            Some(core::cmp::Ordering::Equal) => return Err(SnapshotError::DuplicateKey(at)),
            Some(core::cmp::Ordering::Greater) => return Err(SnapshotError::KeyOutOfOrder(at)),
            _ => {}
        }
        map.add(key.clone(), value);
        last = Some(key);
        rest = after;
    }
    if !rest.is_empty() {
        return Err(SnapshotError::TrailingBytes(at));
    }
    Ok(())
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
