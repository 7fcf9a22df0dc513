//! The ledger as openraft's state machine.
//!
//! ```text
//! entry bytes -> Entry -> items -> verdicts (parallel, remembered) -> Ledger::apply (short write lock)
//!             -> reply to the proposer, notice to subscribers, rows to the event store
//! ```
//! The ledger lives in memory. What is durable is the newest snapshot file and the log behind it: openraft purges the
//! log only behind a snapshot that [`crate::snapshot::save`] has made durable, so a crash at any moment loses nothing.

use std::sync::Arc;

use comity_ledger::{CheckedItem, Ledger, Outcome, Owed, event::Event};
use comity_proto::entry::Entry;
use comity_runtime::{self as runtime, Instant, disk::Disk};
use openraft::{
    AnyError, EntryPayload, OptionalSend, RaftSnapshotBuilder, Snapshot, StorageIOError, StoredMembership,
    storage::RaftStateMachine,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{broadcast, watch};

use crate::{
    checks::Verdicts,
    snapshot::{self, Meta, SnapshotError},
    store::{Applied, EventStore},
    tally::Tally,
    types::{EntryBytes, LogId, NodeInfo, RaftEntry, Reply, SnapshotFile, StorageError, TypeConfig},
};

/// Notices that a slow subscriber may lag behind before it loses some.
const NOTICES: usize = 1024;

/// How far a replica has applied, and when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppliedAt {
    /// Raft log index of the last applied entry; 0 when none.
    pub log_index: u64,
    /// Ledger time after it, ms since the Unix epoch.
    pub stamp_ms: u64,
    /// When this replica applied it, on its own monotonic clock.
    pub at: Instant,
}

/// What an applied entry did, for whoever turns owed effects into messages and events into streams.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Raft log index of the entry.
    pub log_index: u64,
    /// Its stamp, ms since the Unix epoch.
    pub stamp_ms: u64,
    /// Number of its first event's leaf, or of the next one if it has no event.
    pub first_leaf: u64,
    /// In order.
    pub events: Arc<[Event]>,
    /// Of every command and message, in the order of the items.
    pub outcomes: Arc<[Outcome]>,
    /// Effects that this entry began to owe. Executing one twice is harmless.
    pub owed: Arc<[Owed]>,
    /// Whether this member led when it applied the entry: only the leader sends.
    pub is_leader: bool,
}

/// The ledger and how far the log has been applied to it: always together.
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    pub(crate) last_applied: Option<LogId>,
    pub(crate) membership: StoredMembership<u64, NodeInfo>,
    pub(crate) applied: AppliedAt,
}

/// What the state machine shares with the replica's handle.
pub(crate) struct Machine {
    pub(crate) state: RwLock<State>,
    pub(crate) verdicts: Verdicts,
    pub(crate) store: EventStore,
    pub(crate) tally: Tally,
    pub(crate) notices: broadcast::Sender<Notice>,
    /// Index of the last applied entry.
    pub(crate) applied: watch::Sender<u64>,
    /// Kept current by the replica from openraft's metrics.
    pub(crate) is_leader: watch::Sender<bool>,
    disk: Arc<dyn Disk>,
    newest: Mutex<Option<(Meta, SnapshotFile)>>,
}

impl Machine {
    /// Starts from the newest snapshot on the disk; openraft applies the log behind it.
    pub(crate) fn open(disk: Arc<dyn Disk>, store: EventStore) -> Result<Arc<Machine>, SnapshotError> {
        let found = snapshot::newest(&*disk)?;
        let (ledger, meta, newest) = match found {
            Some((meta, ledger, file)) => (ledger, Some(meta.clone()), Some((meta, file))),
            None => (Ledger::empty(), None, None),
        };
        let last_applied = meta.as_ref().and_then(|meta| meta.last_log_id);
        let membership = meta.map(|meta| meta.last_membership).unwrap_or_default();
        let applied = AppliedAt {
            log_index: last_applied.map_or(0, |id| id.index),
            stamp_ms: ledger.stamp_ms(),
            at: runtime::now(),
        };
        let state = RwLock::new(State { ledger, last_applied, membership, applied });
        Ok(Arc::new(Machine {
            state,
            verdicts: Verdicts::default(),
            store,
            tally: Tally::default(),
            notices: broadcast::channel(NOTICES).0,
            applied: watch::channel(applied.log_index).0,
            is_leader: watch::channel(false).0,
            disk,
            newest: Mutex::new(newest),
        }))
    }

    /// Applies one entry and answers what its proposer is told.
    async fn apply_entry(&self, entry: RaftEntry) -> Result<Reply, StorageError> {
        let log_id = entry.log_id;
        match entry.payload {
            EntryPayload::Blank => Ok(self.pass(log_id, None)),
            EntryPayload::Membership(members) => {
                Ok(self.pass(log_id, Some(StoredMembership::new(Some(log_id), members))))
            }
            EntryPayload::Normal(bytes) => {
                let Some((stamp_ms, items)) = self.judged(&bytes).await else {
                    // Only a faulty leader proposes what does not decode. Every replica passes over it alike.
                    tracing::error!(index = log_id.index, "an entry does not decode and has no effect");
                    return Ok(self.pass(log_id, None));
                };
                self.apply_items(log_id, stamp_ms, items).await
            }
        }
    }

    async fn judged(&self, bytes: &EntryBytes) -> Option<(u64, Vec<CheckedItem>)> {
        let entry = Entry::decode(&bytes.0).ok()?;
        Some((entry.stamp_ms, self.verdicts.recall(entry.items).await))
    }

    /// An entry that changes no ledger.
    fn pass(&self, log_id: LogId, membership: Option<StoredMembership<u64, NodeInfo>>) -> Reply {
        let mut state = self.state.write();
        state.last_applied = Some(log_id);
        if let Some(membership) = membership {
            state.membership = membership;
        }
        state.applied = AppliedAt { log_index: log_id.index, at: runtime::now(), ..state.applied };
        Reply { log_index: log_id.index, stamp_ms: state.applied.stamp_ms, outcomes: Vec::new() }
    }

    async fn apply_items(&self, log_id: LogId, stamp_ms: u64, items: Vec<CheckedItem>) -> Result<Reply, StorageError> {
        let (applied, stamp_ms, first_leaf) = {
            let mut state = self.state.write();
            let first_leaf = state.ledger.event_count();
            let applied = state.ledger.apply(log_id.index, stamp_ms, items);
            let stamp_ms = state.ledger.stamp_ms();
            state.last_applied = Some(log_id);
            state.applied = AppliedAt { log_index: log_id.index, stamp_ms, at: runtime::now() };
            (applied, stamp_ms, first_leaf)
        };
        let events: Arc<[Event]> = applied.events.into();
        let notice = Notice {
            log_index: log_id.index,
            stamp_ms,
            first_leaf,
            events: events.clone(),
            outcomes: applied.outcomes.iter().flatten().copied().collect(),
            owed: applied.owed.into(),
            is_leader: *self.is_leader.borrow(),
        };
        self.tally.count(log_id.index, &notice.outcomes, &events);
        // Nobody listens while the log is replayed; a subscriber starts from what is owed in all.
        let _ = self.notices.send(notice);
        if !events.is_empty() || !applied.evidence.is_empty() {
            let (encoded, nodes, evidence) = (applied.encoded, applied.nodes, applied.evidence);
            let rows = Applied { first_leaf, events, encoded, nodes, evidence };
            self.store.write(rows).await.map_err(|error| write_error(&error))?;
        }
        Ok(Reply { log_index: log_id.index, stamp_ms, outcomes: applied.outcomes })
    }

    /// Freezes the ledger; the write lock is not taken.
    pub(crate) fn freeze(&self) -> (Meta, Ledger) {
        let state = self.state.read();
        let last_log_id = state.last_applied;
        let snapshot_id = last_log_id.map_or_else(|| "0".into(), |id| format!("{}-{}", id.leader_id.term, id.index));
        (Meta { last_log_id, last_membership: state.membership.clone(), snapshot_id }, state.ledger.freeze())
    }

    async fn build(self: Arc<Self>) -> Result<Snapshot<TypeConfig>, StorageError> {
        let (meta, ledger) = self.freeze();
        // The log may be purged behind the snapshot, so the rows of those entries must outlive a crash first.
        self.store.flush().await.map_err(|error| write_error(&error))?;
        let (disk, described) = (self.disk.clone(), meta.clone());
        let saved = runtime::run_blocking(move || {
            let file = snapshot::save(&*disk, &described, &ledger)?;
            let _ = snapshot::remove_others(&*disk, &file.name);
            Ok::<_, SnapshotError>(file)
        });
        let file = saved.await.map_err(|error| write_error(&error))?.map_err(|error| write_error(&error))?;
        *self.newest.lock() = Some((meta.clone(), file.clone()));
        Ok(Snapshot { meta, snapshot: Box::new(file) })
    }

    /// Checks a received file whole before anything changes, makes it durable, then takes it for the state.
    async fn install(&self, meta: &Meta, received: SnapshotFile) -> Result<(), StorageError> {
        let (disk, described) = (self.disk.clone(), meta.clone());
        let checked = runtime::run_blocking(move || {
            let (inside, ledger) = snapshot::load(&received)?;
            if inside.last_log_id != described.last_log_id || inside.last_membership != described.last_membership {
                let what = "it is about another log position than announced".into();
                return Err(SnapshotError::Damaged { file: received.name, offset: 0, what });
            }
            let file = snapshot::publish(&*disk, snapshot::adopt(&*disk, received)?, &described)?;
            let _ = snapshot::remove_others(&*disk, &file.name);
            Ok((file, ledger))
        });
        let (file, ledger) =
            checked.await.map_err(|error| write_error(&error))?.map_err(|error| write_error(&error))?;
        let index = meta.last_log_id.map_or(0, |id| id.index);
        let leaves = ledger.checkpoint().map_or(0, |checkpoint| checkpoint.size);
        self.store.jump(leaves).await.map_err(|error| write_error(&error))?;
        {
            let mut state = self.state.write();
            state.applied = AppliedAt { log_index: index, stamp_ms: ledger.stamp_ms(), at: runtime::now() };
            state.ledger = ledger;
            state.last_applied = meta.last_log_id;
            state.membership = meta.last_membership.clone();
        }
        *self.newest.lock() = Some((meta.clone(), file));
        self.applied.send_replace(index);
        Ok(())
    }
}

fn write_error<E: std::error::Error + 'static>(error: &E) -> StorageError {
    StorageIOError::write_state_machine(AnyError::new(error)).into()
}

/// openraft's end of the state machine.
pub(crate) struct MachineHandle(pub(crate) Arc<Machine>);

impl RaftStateMachine<TypeConfig> for MachineHandle {
    type SnapshotBuilder = MachineHandle;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership<u64, NodeInfo>), StorageError> {
        let state = self.0.state.read();
        Ok((state.last_applied, state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = RaftEntry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut replies = Vec::new();
        for entry in entries {
            replies.push(self.0.apply_entry(entry).await?);
        }
        if let Some(last) = replies.last() {
            self.0.applied.send_replace(last.log_index);
        }
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> MachineHandle {
        MachineHandle(self.0.clone())
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotFile>, StorageError> {
        let file = snapshot::temporary(&*self.0.disk, "incoming-raft").map_err(|error| write_error(&error))?;
        Ok(Box::new(file))
    }

    async fn install_snapshot(&mut self, meta: &Meta, snapshot: Box<SnapshotFile>) -> Result<(), StorageError> {
        self.0.install(meta, *snapshot).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<TypeConfig>>, StorageError> {
        let newest = self.0.newest.lock().clone();
        Ok(newest.map(|(meta, file)| Snapshot { meta, snapshot: Box::new(file) }))
    }
}

impl RaftSnapshotBuilder<TypeConfig> for MachineHandle {
    async fn build_snapshot(&mut self) -> Result<Snapshot<TypeConfig>, StorageError> {
        self.0.clone().build().await
    }
}
