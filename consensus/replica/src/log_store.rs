//! openraft's log storage over the write-ahead log.
//!
//! openraft 0.9 awaits the flush of each append before it does anything else, and vote, truncation and purge go
//! through the same calls. So every call here returns only when its record is on stable storage, and their order on
//! disk is the order of the calls.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use bytes::Bytes;
use comity_proto::planted::{Plant, planted};
use comity_runtime::disk::Disk;
use openraft::storage::{LogFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{AnyError, ErrorSubject, ErrorVerb, LogId, OptionalSend, RaftLogId, RaftTypeConfig, Vote};
use openraft::{StorageError, StorageIOError};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wal::{Damage, LogIndex, Wal, WalConfig, WalError};

mod cache;

use cache::EntryCache;

/// Encoded bytes of recent entries kept decoded. Followers that keep up and the applier never read the disk.
pub const CACHE_BYTES: usize = 16 << 20;

/// Encoded bytes after which one replication read stops; the next read goes on from there.
pub const REPLICATION_READ_BYTES: u64 = 2 << 20;

type Id<C> = LogId<<C as RaftTypeConfig>::NodeId>;
type Failed<C> = StorageError<<C as RaftTypeConfig>::NodeId>;

/// The log and the vote of one replica.
#[derive(Debug)]
pub struct LogStore<C: RaftTypeConfig> {
    wal: Wal,
    reader: LogReader<C>,
    vote: Option<Vote<C::NodeId>>,
    committed: Option<Id<C>>,
    purged: Option<Id<C>>,
    last: Option<Id<C>>,
}

/// Reads entries while the store writes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogReader<C: RaftTypeConfig> {
    index: Arc<Mutex<LogIndex>>,
    cache: Arc<Mutex<EntryCache<C::Entry>>>,
}

impl<C: RaftTypeConfig> LogStore<C>
where
    C::Entry: Clone,
{
    /// Opens the log on `disk` or starts an empty one. [`WalError::Corrupt`] must not be repaired in place: the
    /// caller prints how to rejoin as a new member.
    pub fn open(disk: Arc<dyn Disk>, config: WalConfig) -> Result<Self, WalError> {
        let wal = Wal::open(disk, config)?;
        let reader = LogReader { index: wal.index(), cache: Arc::new(Mutex::new(EntryCache::new(CACHE_BYTES))) };
        let vote = wal.vote().map(|bytes| decode("vote", bytes)).transpose()?;
        let committed = wal.committed().map(|bytes| decode("commit mark", bytes)).transpose()?;
        let purged = wal.purged().map(|(_, bytes)| decode("purge mark", bytes)).transpose()?;
        let mut store = LogStore { wal, reader, vote, committed, purged, last: None };
        store.last = store.find_last()?;
        Ok(store)
    }

    /// A reader of the same log.
    pub fn reader(&self) -> LogReader<C> {
        self.reader.clone()
    }

    /// Forgets that `id` leads, not what it voted for: to lead it must be elected again, in a later term.
    ///
    /// openraft lets a leader that restarts lead on in its old term. If its disk came back older than it was, it would
    /// give the indexes of entries that the others hold to other entries, with the same leader and term in them, and no
    /// replica could tell.
    pub fn resign(&mut self, id: &C::NodeId) {
        if let Some(vote) = self.vote.as_mut().filter(|vote| vote.leader_id().voted_for().as_ref() == Some(id)) {
            vote.committed = false;
        }
    }

    /// Entries present, for status lines: first and last index.
    pub fn bounds(&self) -> (Option<u64>, Option<u64>) {
        let index = self.reader.index.lock();
        (index.first_index(), index.last_index())
    }

    fn find_last(&self) -> Result<Option<Id<C>>, WalError> {
        let last = self.reader.index.lock().last_index();
        match last {
            Some(last) => Ok(self.reader.read(last..=last, u64::MAX)?.pop().map(|entry| entry.get_log_id().clone())),
            None => Ok(self.purged.clone()),
        }
    }

    async fn append_encoded(&mut self, entries: Vec<C::Entry>) -> Result<(), WalError> {
        // What the purge mark covers is settled: openraft's suite, unlike openraft, appends behind it.
        let first = self.purged.as_ref().map_or(0, |purged| purged.index + 1);
        let entries: Vec<_> = entries.into_iter().filter(|entry| entry.get_log_id().index >= first).collect();
        let mut records = Vec::with_capacity(entries.len());
        for entry in &entries {
            records.push((entry.get_log_id().index, encode(entry)));
        }
        self.wal.append(&records).await?;
        let mut cache = self.reader.cache.lock();
        for (entry, (index, bytes)) in entries.into_iter().zip(records) {
            self.last = Some(entry.get_log_id().clone());
            cache.push(index, entry, bytes.len());
        }
        Ok(())
    }

    async fn truncate_from(&mut self, from: u64) -> Result<(), WalError> {
        self.wal.truncate(from).await?;
        self.reader.cache.lock().truncate(from);
        self.last = self.find_last()?;
        Ok(())
    }

    async fn purge_upto(&mut self, upto: Id<C>) -> Result<(), WalError> {
        if self.purged.as_ref().is_some_and(|purged| purged.index >= upto.index) {
            return Ok(());
        }
        self.wal.purge(upto.index, &encode(&upto)).await?;
        self.reader.cache.lock().purge(upto.index);
        self.purged = Some(upto);
        self.last = self.find_last()?;
        Ok(())
    }
}

impl<C: RaftTypeConfig> LogReader<C>
where
    C::Entry: Clone,
{
    /// First and last index of the entries that are durable; `None` for an empty log.
    pub fn bounds(&self) -> Option<(u64, u64)> {
        let index = self.index.lock();
        index.first_index().zip(index.last_index())
    }

    /// Index up to which entries were purged, as the log on disk has it; 0 for none.
    pub fn purged(&self) -> u64 {
        self.index.lock().purged()
    }

    /// One entry; `None` when it is not in the log or cannot be read.
    pub fn entry(&self, index: u64) -> Option<C::Entry> {
        Some(self.read_one(index).ok()??.0)
    }

    /// Entries of `range` that are present, in order; stops behind the first `limit` encoded bytes.
    fn read(&self, range: impl RangeBounds<u64>, limit: u64) -> Result<Vec<C::Entry>, WalError> {
        let present = self.index.lock().range();
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let mut entries = Vec::new();
        let mut size = 0;
        for index in start.max(present.start)..end.min(present.end) {
            if size >= limit {
                break;
            }
            // Purged or truncated meanwhile: what is left of the range is no longer one run.
            let Some((entry, bytes)) = self.read_one(index)? else { break };
            size += bytes;
            entries.push(entry);
        }
        Ok(entries)
    }

    /// One entry and its encoded bytes.
    fn read_one(&self, index: u64) -> Result<Option<(C::Entry, u64)>, WalError> {
        let Some(record) = self.index.lock().get(index) else { return Ok(None) };
        if let Some(entry) = self.cache.lock().get(index) {
            return Ok(Some((entry, record.size())));
        }
        let bytes = record.read()?;
        let entry = postcard::from_bytes(&bytes).map_err(|_| record.damaged(Damage::Content))?;
        Ok(Some((entry, record.size())))
    }
}

impl<C: RaftTypeConfig> RaftLogReader<C> for LogReader<C>
where
    C::Entry: Clone,
{
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<C::Entry>, Failed<C>> {
        self.read(range, u64::MAX).map_err(|error| failed::<C>(ErrorSubject::Logs, ErrorVerb::Read, &error))
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<C::Entry>, Failed<C>> {
        self.read(start..end, REPLICATION_READ_BYTES)
            .map_err(|error| failed::<C>(ErrorSubject::Logs, ErrorVerb::Read, &error))
    }
}

impl<C: RaftTypeConfig> RaftLogReader<C> for LogStore<C>
where
    C::Entry: Clone,
{
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<C::Entry>, Failed<C>> {
        self.reader.try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<C::Entry>, Failed<C>> {
        self.reader.limited_get_log_entries(start, end).await
    }
}

impl<C: RaftTypeConfig> RaftLogStorage<C> for LogStore<C>
where
    C::Entry: Clone,
{
    type LogReader = LogReader<C>;

    async fn get_log_state(&mut self) -> Result<LogState<C>, Failed<C>> {
        Ok(LogState { last_purged_log_id: self.purged.clone(), last_log_id: self.last.clone() })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<C::NodeId>) -> Result<(), Failed<C>> {
        let saved = if planted(Plant::ForgetVote) { Ok(()) } else { self.wal.save_vote(&encode(vote)).await };
        saved.map_err(|error| failed::<C>(ErrorSubject::Vote, ErrorVerb::Write, &error))?;
        self.vote = Some(vote.clone());
        Ok(())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<C::NodeId>>, Failed<C>> {
        Ok(self.vote.clone())
    }

    async fn save_committed(&mut self, committed: Option<Id<C>>) -> Result<(), Failed<C>> {
        self.wal.note_committed(committed.as_ref().map(encode).as_deref());
        self.committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<Id<C>>, Failed<C>> {
        Ok(self.committed.clone())
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<C>) -> Result<(), Failed<C>>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<C::Entry> = entries.into_iter().collect();
        let appended = self.append_encoded(entries).await;
        appended.map_err(|error| failed::<C>(ErrorSubject::Logs, ErrorVerb::Write, &error))?;
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: Id<C>) -> Result<(), Failed<C>> {
        let truncated = self.truncate_from(log_id.index).await;
        truncated.map_err(|error| failed::<C>(ErrorSubject::Log(log_id), ErrorVerb::Delete, &error))
    }

    async fn purge(&mut self, log_id: Id<C>) -> Result<(), Failed<C>> {
        let purged = self.purge_upto(log_id.clone()).await;
        purged.map_err(|error| failed::<C>(ErrorSubject::Log(log_id), ErrorVerb::Delete, &error))
    }
}

fn failed<C: RaftTypeConfig>(subject: ErrorSubject<C::NodeId>, verb: ErrorVerb, error: &WalError) -> Failed<C> {
    StorageIOError::new(subject, verb, AnyError::new(error)).into()
}

fn encode(value: &impl Serialize) -> Bytes {
    // openraft's own types and the entry's bytes have no failing case in a growing vector.
    Bytes::from(postcard::to_allocvec(value).expect("log types encode"))
}

fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, WalError> {
    postcard::from_bytes(bytes).map_err(|_| WalError::Undecodable { what })
}

#[cfg(test)]
mod tests;
