//! The handle that a node holds on its replica.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use comity_ledger::Ledger;
use comity_proto::entry::EntryItem;
use comity_runtime::{self as runtime, disk::Disk};
use futures::future::BoxFuture;
use openraft::{
    Raft, RaftMetrics, RaftState, ServerState,
    error::{Fatal, InitializeError, RaftError},
};
use tokio::sync::{broadcast, watch};

use crate::{
    backup::EVENTS_FILE,
    clock::PeerClocks,
    config::ReplicaConfig,
    elections, fill,
    leader::{Leadership, Metrics},
    links::Links,
    log_store::{LogReader, LogStore},
    network::LinkFactory,
    propose::{Proposer, SubmitError, SubmitReply},
    pulse,
    read::ReadBarrier,
    redb_disk::RedbDisk,
    serve,
    snapshot::SnapshotError,
    state_machine::{AppliedAt, Machine, MachineHandle, Notice},
    store::{EventStore, StoreError},
    tally::TallyView,
    types::{NodeInfo, TypeConfig},
    wal::{WalConfig, WalError},
};

/// Memory for pages of the event store.
const EVENTS_CACHE_BYTES: usize = 8 << 20;
/// How many fresh clock hearings make a leader's stamp move: it is asked again this often while it founds a domain.
const CLOCK_POLL: std::time::Duration = std::time::Duration::from_millis(50);

/// Why a replica cannot start. Nothing on the disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log is unreadable or in use; see its words.
    #[error(transparent)]
    Log(#[from] WalError),
    /// The snapshot is unreadable.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The event store is unreadable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk below the event store.
    #[error(transparent)]
    Disk(#[from] comity_runtime::disk::DiskError),
    /// Times or sizes that contradict each other.
    #[error("the replica's configuration is wrong: {0}")]
    Config(String),
    /// openraft did not start.
    #[error("consensus did not start: {0}")]
    Raft(String),
}

/// A handle on this node's replica. Cheap to clone; the replica runs until [`Replica::shutdown`].
#[derive(Clone)]
pub struct Replica {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: ReplicaConfig,
    pub(crate) raft: Raft<TypeConfig>,
    pub(crate) machine: Arc<Machine>,
    /// For onlookers.
    pub(crate) log: LogReader<TypeConfig>,
    pub(crate) links: Arc<dyn Links>,
    pub(crate) proposer: Proposer,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) barrier: ReadBarrier,
    failed: watch::Receiver<Option<String>>,
}

impl Replica {
    /// Recovers what this node's disk holds and takes part in the domain's log.
    // Boxed here, so that consensus is compiled once, in this crate, and not again in every crate that opens a replica.
    #[inline(never)]
    pub fn open(
        config: ReplicaConfig,
        links: Arc<dyn Links>,
        disk: Arc<dyn Disk>,
    ) -> BoxFuture<'static, Result<Replica, OpenError>> {
        Box::pin(Replica::recover(config, links, disk))
    }

    async fn recover(config: ReplicaConfig, links: Arc<dyn Links>, disk: Arc<dyn Disk>) -> Result<Replica, OpenError> {
        let raft_config = config.raft().map_err(OpenError::Config)?;
        let mut salt = [0; 8];
        runtime::entropy(&mut salt);
        let wal = WalConfig { segment_bytes: config.segment_bytes, ..WalConfig::new(u64::from_le_bytes(salt)) };
        let mut log = LogStore::<TypeConfig>::open(disk.clone(), wal)?;
        log.resign(&config.id);
        let reader = log.reader();
        let database = redb::Database::builder()
            .set_cache_size(EVENTS_CACHE_BYTES)
            .create_with_backend(RedbDisk::open(&disk, EVENTS_FILE)?)
            .map_err(StoreError::from)?;
        let machine = Machine::open(disk.clone(), EventStore::start(database)?)?;
        machine.tally.begin_behind(reader.bounds().map_or(0, |(_, last)| last));
        let leaves = machine.state.read().ledger.event_count();
        machine.store.begin_at(leaves)?;
        let clocks = Arc::new(PeerClocks::default());
        let network = LinkFactory { links: links.clone(), clocks: clocks.clone() };
        let raft = Raft::new(config.id, raft_config, network, log, MachineHandle(machine.clone()))
            .await
            .map_err(|error| OpenError::Raft(error.to_string()))?;
        elect_if_alone(&raft, config.id).await.map_err(|error| OpenError::Raft(error.to_string()))?;
        Ok(Replica::assemble(config, links, disk, raft, reader, machine, clocks))
    }

    fn assemble(
        config: ReplicaConfig,
        links: Arc<dyn Links>,
        disk: Arc<dyn Disk>,
        raft: Raft<TypeConfig>,
        log: LogReader<TypeConfig>,
        machine: Arc<Machine>,
        clocks: Arc<PeerClocks>,
    ) -> Replica {
        let leadership = Arc::new(Leadership {
            own: config.id,
            clocks,
            metrics: raft.metrics(),
            fresh: config.election_max,
            last_ms: AtomicU64::new(0),
            trusted_until_ms: AtomicU64::new(0),
        });
        let proposer = Proposer::start(raft.clone(), machine.clone(), leadership.clone());
        let barrier = ReadBarrier::start(raft.clone());
        let (fail, failed) = watch::channel(None);
        runtime::spawn(watch_raft(raft.metrics(), machine.clone(), fail));
        let inner = Inner { config, raft, machine, log, links, proposer, leadership, barrier, failed };
        let replica = Replica { inner: Arc::new(inner) };
        serve::register(&replica, disk);
        elections::start(&replica);
        pulse::start(&replica);
        fill::start(&replica);
        replica
    }

    /// Founds the domain: once, on one node, with all first members and the signed genesis.
    ///
    /// May be repeated after a crash: what was done already is not done again.
    pub async fn initialize(
        &self,
        members: Vec<(u64, NodeInfo)>,
        genesis: Bytes,
    ) -> Result<SubmitReply, InitializeFailed> {
        let members: BTreeMap<u64, NodeInfo> = members.into_iter().collect();
        match self.inner.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(RaftError::APIError(InitializeError::NotInMembers(error))) => {
                return Err(InitializeFailed::NotAMember(error.to_string()));
            }
            Err(RaftError::Fatal(error)) => return Err(InitializeFailed::Stopped(error.to_string())),
        }
        self.wait_for_time().await;
        self.submit(EntryItem::Genesis(genesis)).await.map_err(InitializeFailed::Submit)
    }

    /// Waits until the leader could stamp: a genesis at time 0 would make every `valid_until` too far away. A follower
    /// waits only for a leader.
    async fn wait_for_time(&self) {
        let deadline = runtime::now() + self.inner.config.patience;
        while runtime::now() < deadline {
            let leader = self.inner.leadership.metrics.borrow().current_leader;
            let moves = matches!(self.inner.leadership.peek(0), crate::clock::Stamp::Moves(_));
            match leader {
                Some(leader) if leader != self.inner.config.id || moves => return,
                _ => runtime::sleep(CLOCK_POLL).await,
            }
        }
    }

    /// What applied entries did, from now on. A subscriber that lags behind by over a thousand entries loses some: it
    /// then asks the ledger for everything owed (`owed_all`) and the event store for the events.
    pub fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.inner.machine.notices.subscribe()
    }

    /// Whether this member leads, as it changes. A new leader owes everything in `owed_all`.
    pub fn leads(&self) -> watch::Receiver<bool> {
        self.inner.machine.is_leader.subscribe()
    }

    /// Becomes `Some(why)` when the replica can no longer go on, for instance after a failed flush. The process must
    /// then exit: it acknowledged nothing that it did not keep, and a restart recovers the rest.
    pub fn failed(&self) -> watch::Receiver<Option<String>> {
        self.inner.failed.clone()
    }

    /// Why the replica can no longer go on, if that is so now; [`Replica::failed`] is for those that wait for it.
    ///
    /// It is known here before any caller of [`Replica::submit`] is told.
    pub fn failure(&self) -> Option<String> {
        failure_of(&self.inner.leadership.metrics.borrow())
    }

    /// Whether openraft has ended, by a failure or because it was asked to.
    pub(crate) fn has_stopped(&self) -> bool {
        self.inner.leadership.metrics.borrow().running_state.is_err()
    }

    /// This member's own state, without asking anybody. It may be old; [`AppliedAt`] tells how far and when.
    pub fn read_stale<T>(&self, read: impl FnOnce(&Ledger, AppliedAt) -> T) -> T {
        let state = self.inner.machine.state.read();
        read(&state.ledger, state.applied)
    }

    /// The event store of this member.
    pub fn events(&self) -> &EventStore {
        &self.inner.machine.store
    }

    /// What this member applied since its process started.
    pub fn tally(&self) -> TallyView {
        self.inner.machine.tally.view()
    }

    /// The operator trusts this node's clock as it is now and for a day. Matters only to a domain of one.
    pub fn confirm_clock(&self) {
        let until = runtime::wall_ms().saturating_add(comity_proto::limits::DAY_MS);
        self.inner.leadership.trusted_until_ms.store(until, Ordering::Release);
    }

    /// Makes a snapshot soon, whatever the policy says.
    pub async fn snapshot_now(&self) -> Result<(), SubmitError> {
        self.inner.raft.trigger().snapshot().await.map_err(|_| SubmitError::Stopped)
    }

    /// Stops taking part. What was acknowledged is on the disk; the next start recovers it.
    pub async fn shutdown(&self) {
        let _ = self.inner.raft.shutdown().await;
        let _ = self.inner.machine.store.flush().await;
    }
}

/// Why a domain was not founded.
#[derive(Debug, thiserror::Error)]
pub enum InitializeFailed {
    /// The members do not contain this node. Nothing changed.
    #[error("not a member: {0}; nothing changed")]
    NotAMember(String),
    /// openraft has stopped.
    #[error("consensus stopped: {0}")]
    Stopped(String),
    /// The members are fixed, the genesis is not in the log yet; call again.
    #[error("the genesis was not applied: {0}")]
    Submit(SubmitError),
}

/// Why openraft ended, unless it was asked to.
fn failure_of(metrics: &RaftMetrics<u64, NodeInfo>) -> Option<String> {
    match &metrics.running_state {
        Ok(()) | Err(Fatal::Stopped) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// Follows openraft: who leads, and whether it still runs.
async fn watch_raft(mut metrics: Metrics, machine: Arc<Machine>, fail: watch::Sender<Option<String>>) {
    loop {
        let (leads, failure, stopped) = {
            let metrics = metrics.borrow_and_update();
            (metrics.state == ServerState::Leader, failure_of(&metrics), metrics.running_state.is_err())
        };
        machine.is_leader.send_if_modified(|old| std::mem::replace(old, leads) != leads);
        if failure.is_some() {
            fail.send_replace(failure);
        }
        if stopped {
            return;
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// A domain of one waits for nobody.
async fn elect_if_alone(raft: &Raft<TypeConfig>, id: u64) -> Result<(), Fatal<u64>> {
    let is_alone = move |state: &RaftState<u64, NodeInfo, _>| state.membership_state.effective().voter_ids().eq([id]);
    if raft.with_raft_state(is_alone).await? { raft.trigger().elect().await } else { Ok(()) }
}
