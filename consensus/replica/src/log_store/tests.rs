use std::io::Cursor;

use comity_runtime::disk::memory::{CrashPlan, MemoryDisk};
use futures::FutureExt;
use openraft::storage::{RaftLogStorageExt, RaftStateMachine, Snapshot, SnapshotMeta};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{BasicNode, CommittedLeaderId, Entry, EntryPayload, RaftSnapshotBuilder, StoredMembership};

use super::*;

openraft::declare_raft_types!(
    TestConfig:
        D = Vec<u8>,
        R = u64,
        NodeId = u64,
        Node = BasicNode,
        SnapshotData = Cursor<Vec<u8>>,
);

type Stored<T> = Result<T, StorageError<u64>>;

/// The smallest state machine that openraft's suite accepts: it remembers what was applied last.
#[derive(Debug, Clone, Default)]
struct Last {
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, BasicNode>,
    snapshot: Option<SnapshotMeta<u64, BasicNode>>,
    built: Arc<Mutex<Option<SnapshotMeta<u64, BasicNode>>>>,
}

impl Last {
    fn current(&self) -> Option<Snapshot<TestConfig>> {
        let meta = self.built.lock().clone().or(self.snapshot.clone())?;
        Some(Snapshot { meta, snapshot: Box::new(Cursor::new(Vec::new())) })
    }
}

impl RaftSnapshotBuilder<TestConfig> for Last {
    async fn build_snapshot(&mut self) -> Stored<Snapshot<TestConfig>> {
        let last_membership = self.membership.clone();
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership, snapshot_id: "one".to_owned() };
        *self.built.lock() = Some(meta);
        Ok(self.current().expect("just built"))
    }
}

impl RaftStateMachine<TestConfig> for Last {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Stored<(Option<LogId<u64>>, StoredMembership<u64, BasicNode>)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Stored<Vec<u64>>
    where
        I: IntoIterator<Item = Entry<TestConfig>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut replies = Vec::new();
        for entry in entries {
            self.applied = Some(entry.log_id);
            replies.push(entry.log_id.index);
            if let EntryPayload::Membership(membership) = entry.payload {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
        }
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Stored<Box<Cursor<Vec<u8>>>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, BasicNode>,
        _snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Stored<()> {
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.snapshot = Some(meta.clone());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Stored<Option<Snapshot<TestConfig>>> {
        Ok(self.current())
    }
}

struct Builder;

impl StoreBuilder<TestConfig, LogStore<TestConfig>, Last, MemoryDisk> for Builder {
    async fn build(&self) -> Stored<(MemoryDisk, LogStore<TestConfig>, Last)> {
        let disk = MemoryDisk::new();
        let store = open(&disk);
        Ok((disk, store, Last::default()))
    }
}

fn open(disk: &MemoryDisk) -> LogStore<TestConfig> {
    LogStore::open(Arc::new(disk.clone()), WalConfig { segment_bytes: 4096, salt: 1 }).unwrap()
}

fn id(term: u64, index: u64) -> LogId<u64> {
    LogId::new(CommittedLeaderId::new(term, 0), index)
}

fn entry(term: u64, index: u64, bytes: usize) -> Entry<TestConfig> {
    Entry { log_id: id(term, index), payload: EntryPayload::Normal(vec![index as u8; bytes]) }
}

#[test]
fn openrafts_own_suite_passes() {
    Suite::test_all(Builder).unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_power_cut() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    store.save_vote(&Vote::new(3, 7)).await.unwrap();
    store.blocking_append((0..30).map(|index| entry(1, index, 500))).await.unwrap();
    store.truncate(id(1, 25)).await.unwrap();
    store.save_committed(Some(id(1, 24))).await.unwrap();
    store.blocking_append([entry(2, 25, 10)]).await.unwrap();
    store.purge(id(1, 9)).await.unwrap();
    disk.crash(CrashPlan::lose_all());
    drop(store);
    let mut store = open(&disk);
    assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new(3, 7)));
    assert_eq!(store.read_committed().await.unwrap(), Some(id(1, 24)));
    let state = store.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(id(1, 9)), Some(id(2, 25))));
    let entries = store.try_get_log_entries(..).await.unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.log_id).collect();
    let expected: Vec<_> = (10..25).map(|index| id(1, index)).chain([id(2, 25)]).collect();
    assert_eq!(ids, expected);
    assert!(matches!(&entries[3].payload, EntryPayload::Normal(bytes) if *bytes == vec![13; 500]));
}

#[tokio::test]
async fn nothing_is_acknowledged_before_its_flush() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    store.save_vote(&Vote::new(1, 1)).await.unwrap();
    disk.hold_syncs(true);
    {
        let mut append = Box::pin(store.blocking_append([entry(1, 0, 10)]));
        assert!(append.as_mut().now_or_never().is_none(), "the entry is not durable yet");
        assert!(disk.release_next());
        append.await.unwrap();
    }
    let vote = Vote::new(2, 2);
    let mut save = Box::pin(store.save_vote(&vote));
    assert!(save.as_mut().now_or_never().is_none(), "the vote is not durable yet");
    assert!(disk.release_next());
    save.await.unwrap();
}

#[tokio::test]
async fn a_replication_read_stops_at_its_bound_and_is_never_empty() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    let large = REPLICATION_READ_BYTES as usize * 2 / 3;
    store.blocking_append((0..4).map(|index| entry(1, index, large))).await.unwrap();
    let mut reader = store.get_log_reader().await;
    assert_eq!(reader.limited_get_log_entries(0, 4).await.unwrap().len(), 2);
    store.blocking_append([entry(1, 4, large * 3)]).await.unwrap();
    assert_eq!(reader.limited_get_log_entries(4, 5).await.unwrap().len(), 1);
    assert_eq!(reader.try_get_log_entries(1..=4).await.unwrap().len(), 4, "a plain read is never cut short");
}

#[tokio::test]
async fn a_full_disk_is_a_named_storage_error() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    store.blocking_append([entry(1, 0, 100)]).await.unwrap();
    disk.set_capacity(Some(5000));
    let error = store.blocking_append([entry(1, 1, 4000)]).await.unwrap_err();
    assert!(error.to_string().contains("no space left"), "{error}");
    assert_eq!(store.get_log_state().await.unwrap().last_log_id, Some(id(1, 0)));
}
