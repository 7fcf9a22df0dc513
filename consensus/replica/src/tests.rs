//! Proofs that need the inside of the crate: a leader that invents commands, and openraft's own storage suite.

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;

use comity_ledger::Outcome;
use comity_proto::entry::{Entry, EntryItem};
use comity_runtime::{
    Abort, BoxFuture, BoxTimer, World,
    disk::{Disk, memory::MemoryDisk},
};
use openraft::testing::{StoreBuilder, Suite};

use crate::{
    log_store::LogStore,
    redb_disk::RedbDisk,
    state_machine::{Machine, MachineHandle},
    store::EventStore,
    types::{EntryBytes, StorageError, TypeConfig},
    wal::WalConfig,
};
use support::{Domain, key};

/// The planted bad leader: it skips the judging and proposes what it likes.
#[test]
fn a_command_invented_by_the_leader_is_a_bad_signature_on_every_replica() {
    let domain = Domain::founded(11, 3, 3, |_| {});
    let EntryItem::Commands(signed) = domain.register(&key(50), 1) else { panic!("a command") };
    let mut forged = signed.to_vec();
    // The signature is the last field of the envelope.
    *forged.last_mut().expect("not empty") ^= 1;
    let leader = domain.leader().expect("one leads");
    let replica = domain.replica(leader);
    let entry = Entry { stamp_ms: domain.wall_ms(), items: vec![EntryItem::Commands(forged.into())] };
    let written = domain.sim.run(domain.nodes[leader].host, async move {
        replica.inner.raft.client_write(EntryBytes(entry.encode())).await
    });
    let written = written.expect("a majority stores it");
    assert_eq!(written.data.outcomes, [[Outcome::BadSignature]]);
    let index = written.log_id.index;
    let digest = domain.digest_at(leader, index);
    for at in 0..3 {
        assert_eq!(domain.digest_at(at, index), digest);
        assert_eq!(domain.replica(at).read_stale(|ledger, _| ledger.agents().count()), 0, "nobody was registered");
    }
}

/// Whoever tests brings its own tokio runtime.
struct Tokio(std::time::Instant);

struct Ender(tokio::task::AbortHandle);

impl Abort for Ender {
    fn abort(&self) {
        self.0.abort();
    }
}

impl World for Tokio {
    fn now_ns(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
    }
    fn wall_ms(&self) -> u64 {
        self.now_ns() / 1_000_000
    }
    fn sleep_until(&self, at_ns: u64) -> BoxTimer {
        Box::pin(tokio::time::sleep_until((self.0 + std::time::Duration::from_nanos(at_ns)).into()))
    }
    fn spawn(&self, task: BoxFuture) -> Box<dyn Abort> {
        Box::new(Ender(tokio::spawn(task).abort_handle()))
    }
    fn run_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }
    fn entropy(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
    fn parallelism(&self) -> usize {
        2
    }
}

/// Our log store, state machine and event store over one disk, as a replica opens them.
struct Stores;

impl StoreBuilder<TypeConfig, LogStore<TypeConfig>, MachineHandle, ()> for Stores {
    async fn build(&self) -> Result<((), LogStore<TypeConfig>, MachineHandle), StorageError> {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let wal = WalConfig { segment_bytes: 1 << 16, ..WalConfig::new(1) };
        let log = LogStore::open(disk.clone(), wal).expect("log opens");
        let backend = RedbDisk::open(&disk, "events.redb").expect("file opens");
        let database = redb::Database::builder().create_with_backend(backend).expect("database opens");
        let store = EventStore::start(database).expect("store starts");
        let machine = Machine::open(disk, store).expect("machine opens");
        Ok(((), log, MachineHandle(machine)))
    }
}

/// Real time for whatever in this process is tested on a tokio runtime.
pub(crate) fn install_world() {
    comity_runtime::install(Arc::new(Tokio(std::time::Instant::now())));
}

#[test]
fn openrafts_storage_suite_passes_on_the_real_stores() {
    install_world();
    Suite::test_all(Stores).expect("the whole suite passes");
}
