//! The event store: what happened, provable for ever, in redb on the node's disk.
//!
//! | table | key | value |
//! |---|---|---|
//! | events | log index, n (big endian) | leaf number, canonical bytes |
//! | leaves | leaf number | log index, n |
//! | nodes | level, index | hash of a complete subtree of the Merkle log |
//! | history | agent, log index, n | nothing |
//! | evidence | digest | signed bytes that crossed the boundary |
//! | concerns | another domain, leaf number | nothing |
//! | projected | peer, a tree or an event, its size or number there | log index, n |
//!
//! Rows are functions of the log, so applying an entry again writes the same rows. The ledger in memory is rebuilt from
//! the newest snapshot and the log; the store needs to be durable only as far as that snapshot, which waits for it
//! ([`EventStore::flush`]). Everything else is written without a flush, one transaction for many entries, off the path
//! of the reply.
//!
//! The ledger hands out the Merkle nodes that each entry completes. A member that was given a snapshot lacks the rows of
//! the entries that it skipped, and the nodes that those complete, until it has fetched them ([`EventStore::fill`]).

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use comity_ledger::{
    event::{Event, EventBytes},
    merkle::{self, Node, NodeReader, ProofError},
};
use comity_proto::ids::{AgentId, Hash};
use comity_runtime as runtime;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::{mpsc, oneshot};

mod concerns;
mod copy;
mod rows;
mod write;

pub use rows::EventKey;
use rows::{agent_range, node_key};
use write::{note_jump, write_group};

const EVENTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("events");
const LEAVES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("leaves");
const NODES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("nodes");
const HISTORY: TableDefinition<'_, &[u8], ()> = TableDefinition::new("history");
const EVIDENCE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("evidence");
const MARKS: TableDefinition<'_, &str, u64> = TableDefinition::new("marks");

/// First leaf that a snapshot skipped and that is not fetched yet.
const GAP_FROM: &str = "gap_from";
/// First leaf behind the gap.
const GAP_TO: &str = "gap_to";

/// Applied batches that may wait for the writer; then applying waits too.
const QUEUE: usize = 256;
/// Batches that are written in one transaction.
const GROUP: usize = 256;
/// Shortest time between two commits while nobody waits for one: rows of a busy moment share the pages that each commit
/// copies.
const COMMIT_EVERY: std::time::Duration = std::time::Duration::from_millis(20);
/// Longest time between two durable commits while there is something to write.
const DURABLE_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// Why the store cannot answer. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// redb or the disk below it failed.
    #[error("the event store failed: {0}; the node should be restarted")]
    Failed(String),
    /// The file is not what redb wrote.
    #[error(
        "the event store is damaged: {0}; this replica must not continue from it: wipe it and rejoin as a new member"
    )]
    Damaged(String),
    /// The proof needs rows that this member has not fetched yet, or numbers outside of the tree.
    #[error("no proof: {0}")]
    NoProof(String),
    /// The writer has stopped.
    #[error("the event store has stopped")]
    Stopped,
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::Corrupted(what) => StoreError::Damaged(what),
            error => StoreError::Failed(error.to_string()),
        }
    }
}

/// What one applied entry leaves behind.
pub(crate) struct Applied {
    /// Number of the first event's leaf.
    pub(crate) first_leaf: u64,
    /// In order.
    pub(crate) events: Arc<[Event]>,
    /// Their canonical bytes.
    pub(crate) encoded: EventBytes,
    /// Nodes of the Merkle log that the entry completed.
    pub(crate) nodes: Vec<Node>,
    /// Signed bytes by digest.
    pub(crate) evidence: Vec<(Hash, Bytes)>,
}

enum Work {
    Write(Applied),
    /// Rows of a gap, in order of their leaves.
    Fill(Vec<StoredEvent>),
    /// A snapshot jumped ahead to this many leaves.
    Jump(u64),
    /// Make everything before it durable.
    Flush(oneshot::Sender<Result<(), StoreError>>),
    /// Make everything before it visible to readers.
    Settle(oneshot::Sender<Result<(), StoreError>>),
}

impl Work {
    /// Whether somebody waits until it is done.
    const fn is_waited_for(&self) -> bool {
        matches!(self, Work::Flush(_) | Work::Settle(_))
    }
}

/// Handle on the store; cheap to clone.
#[derive(Clone)]
pub struct EventStore {
    database: Arc<Database>,
    work: mpsc::Sender<Work>,
    /// Why the writer ended, once it has.
    failure: Arc<OnceLock<StoreError>>,
}

/// One stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Number of its leaf in the domain's Merkle log, from 0.
    pub leaf: u64,
    /// Its canonical bytes, the data of that leaf.
    pub bytes: Bytes,
}

impl EventStore {
    /// Takes a database over the node's disk and starts its writer.
    pub(crate) fn start(database: Database) -> Result<EventStore, StoreError> {
        let transaction = database.begin_write()?;
        transaction.open_table(EVENTS)?;
        transaction.open_table(LEAVES)?;
        transaction.open_table(NODES)?;
        transaction.open_table(HISTORY)?;
        transaction.open_table(EVIDENCE)?;
        transaction.open_table(MARKS)?;
        transaction.open_table(concerns::CONCERNS)?;
        transaction.open_table(concerns::PROJECTED)?;
        transaction.commit()?;
        let database = Arc::new(database);
        let (work, queue) = mpsc::channel(QUEUE);
        let failure = Arc::new(OnceLock::new());
        runtime::spawn(write_loop(database.clone(), queue, failure.clone()));
        Ok(EventStore { database, work, failure })
    }

    /// What whoever still asks is told: the writer's own error if it ended with one.
    fn stopped(&self) -> StoreError {
        self.failure.get().cloned().unwrap_or(StoreError::Stopped)
    }

    /// Queues what an entry left. Waits while the writer is behind.
    pub(crate) async fn write(&self, applied: Applied) -> Result<(), StoreError> {
        self.work.send(Work::Write(applied)).await.map_err(|_| self.stopped())
    }

    /// Returns when everything queued before is on stable storage.
    pub(crate) async fn flush(&self) -> Result<(), StoreError> {
        let (done, wait) = oneshot::channel();
        self.work.send(Work::Flush(done)).await.map_err(|_| self.stopped())?;
        wait.await.map_err(|_| self.stopped())?
    }

    /// Returns when everything queued before can be read.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let (done, wait) = oneshot::channel();
        self.work.send(Work::Settle(done)).await.map_err(|_| self.stopped())?;
        wait.await.map_err(|_| self.stopped())?
    }

    /// At most `limit` events behind `after`, in order of the log.
    pub fn events(&self, after: Option<EventKey>, limit: usize) -> Result<Vec<(EventKey, StoredEvent)>, StoreError> {
        let table = self.database.begin_read()?.open_table(EVENTS)?;
        let from = after.map_or([0; EventKey::BYTES], |key| key.next().to_bytes());
        let mut found = Vec::new();
        for row in table.range(from.as_slice()..)?.take(limit) {
            let (key, value) = row?;
            if let (Some(key), Some(event)) = (EventKey::from_bytes(key.value()), rows::read_event(value.value())) {
                found.push((key, event));
            }
        }
        Ok(found)
    }

    /// The event of a leaf.
    pub fn leaf(&self, leaf: u64) -> Result<Option<StoredEvent>, StoreError> {
        let transaction = self.database.begin_read()?;
        let Some(key) = transaction.open_table(LEAVES)?.get(leaf)? else { return Ok(None) };
        let value = transaction.open_table(EVENTS)?.get(key.value())?;
        Ok(value.and_then(|value| rows::read_event(value.value())))
    }

    /// The newest `limit` events that changed an agent's balance, newest first, all before `before`.
    pub fn history(
        &self,
        agent: &AgentId,
        before: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<(EventKey, StoredEvent)>, StoreError> {
        let transaction = self.database.begin_read()?;
        let (history, events) = (transaction.open_table(HISTORY)?, transaction.open_table(EVENTS)?);
        let (first, end) = agent_range(agent, before);
        let mut found = Vec::new();
        for row in history.range(first.as_slice()..end.as_slice())?.rev().take(limit) {
            let (key, ()) = row.map(|(key, value)| (key, value.value()))?;
            let Some(key) = rows::history_event(key.value()) else { continue };
            if let Some(value) = events.get(key.to_bytes().as_slice())? {
                found.extend(rows::read_event(value.value()).map(|event| (key, event)));
            }
        }
        Ok(found)
    }

    /// Signed bytes that crossed the boundary, by digest.
    pub fn evidence(&self, digest: &Hash) -> Result<Option<Bytes>, StoreError> {
        let table = self.database.begin_read()?.open_table(EVIDENCE)?;
        Ok(table.get(digest.0.as_slice())?.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    /// Proof that the leaf is in the tree of `size` leaves.
    pub fn inclusion(&self, leaf: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        let nodes = self.nodes()?;
        merkle::inclusion_proof(&nodes, leaf, size).map_err(no_proof)
    }

    /// Proof that the tree of `newer` leaves extends the one of `older`.
    pub fn consistency(&self, older: u64, newer: u64) -> Result<Vec<Hash>, StoreError> {
        let nodes = self.nodes()?;
        merkle::consistency_proof(&nodes, older, newer).map_err(no_proof)
    }

    /// Root of the tree as it was with `size` leaves.
    pub fn root_at(&self, size: u64) -> Result<Hash, StoreError> {
        merkle::root_at(&self.nodes()?, size).map_err(no_proof)
    }

    /// The leaves that a snapshot skipped and that are not fetched yet: first, and the first behind them.
    pub fn gap(&self) -> Result<Option<(u64, u64)>, StoreError> {
        let table = self.database.begin_read()?.open_table(MARKS)?;
        let (from, to) = (table.get(GAP_FROM)?, table.get(GAP_TO)?);
        Ok(from.zip(to).map(|(from, to)| (from.value(), to.value())).filter(|(from, to)| from < to))
    }

    /// Once, before anything is written: what the store lacks of a ledger that starts with `leaves` events is a gap, also
    /// when a crash took the mark of the snapshot that made it.
    pub(crate) fn begin_at(&self, leaves: u64) -> Result<(), StoreError> {
        let transaction = self.database.begin_write()?;
        let stored = transaction.open_table(LEAVES)?.last()?.map_or(0, |(leaf, _)| leaf.value() + 1);
        if stored < leaves {
            note_jump(&transaction, leaves)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Notes that a snapshot brought the ledger to `leaves` events without their rows.
    pub(crate) async fn jump(&self, leaves: u64) -> Result<(), StoreError> {
        self.work.send(Work::Jump(leaves)).await.map_err(|_| self.stopped())
    }

    /// Adds fetched rows that continue the gap's start, in order; the caller has proved them.
    pub(crate) async fn fill(&self, rows: Vec<StoredEvent>) -> Result<(), StoreError> {
        self.work.send(Work::Fill(rows)).await.map_err(|_| self.stopped())?;
        self.settle().await
    }

    /// At most `limit` events from leaf `from` on, in order; those that are not fetched yet are passed over.
    pub fn leaves(&self, from: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let transaction = self.database.begin_read()?;
        let (leaves, events) = (transaction.open_table(LEAVES)?, transaction.open_table(EVENTS)?);
        let mut found = Vec::new();
        for row in leaves.range(from..)?.take(limit) {
            let (_, key) = row?;
            if let Some(value) = events.get(key.value())? {
                found.extend(rows::read_event(value.value()));
            }
        }
        Ok(found)
    }

    fn nodes(&self) -> Result<StoredNodes, StoreError> {
        Ok(StoredNodes(self.database.begin_read()?.open_table(NODES)?))
    }
}

fn no_proof(error: ProofError) -> StoreError {
    StoreError::NoProof(format!("{error:?}"))
}

struct StoredNodes(redb::ReadOnlyTable<&'static [u8], &'static [u8]>);

impl NodeReader for StoredNodes {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let value = self.0.get(node_key(level, index).as_slice()).ok()??;
        value.value().try_into().ok().map(Hash)
    }
}

/// The single writer: groups what waits into one transaction.
async fn write_loop(database: Arc<Database>, mut queue: mpsc::Receiver<Work>, failure: Arc<OnceLock<StoreError>>) {
    let mut group = Vec::with_capacity(GROUP);
    let mut durable_at = runtime::now();
    let mut commit_at = runtime::now();
    while queue.recv_many(&mut group, GROUP).await > 0 {
        while group.len() < GROUP && !group.iter().any(Work::is_waited_for) {
            let room = GROUP - group.len();
            let more = queue.recv_many(&mut group, room);
            if !matches!(runtime::timeout_at(commit_at, more).await, Ok(1..)) {
                break;
            }
        }
        commit_at = runtime::now() + COMMIT_EVERY;
        let asked = group.iter().any(|work| matches!(work, Work::Flush(_)));
        let durable = asked || durable_at.elapsed() >= DURABLE_EVERY;
        let (written, waiting): (Vec<Work>, Vec<Work>) = group.drain(..).partition(|work| !work.is_waited_for());
        let database = database.clone();
        let ended = runtime::run_blocking(move || write_group(&database, &written, durable)).await;
        let ended = ended.unwrap_or(Err(StoreError::Stopped));
        if durable {
            durable_at = runtime::now();
        }
        for work in waiting {
            if let Work::Flush(done) | Work::Settle(done) = work {
                // Whoever asked may have gone.
                let _ = done.send(ended.clone());
            }
        }
        if let Err(error) = ended {
            // Senders now get this error; applying stops with it, and the node exits.
            tracing::error!(%error, "the event store cannot write");
            // Set before the queue closes: whoever finds it closed finds the reason.
            let _first = failure.set(error);
            return;
        }
    }
}
