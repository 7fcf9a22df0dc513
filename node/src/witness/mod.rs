//! A node as a witness of its peers' histories.
//!
//! ```text
//! every ten seconds, to one node of each peer:  extend from what I hold -> extension document
//!   it extends      -> kept on the disk, then cosigned, then shown to others who may hold something else
//!   it contradicts  -> two signatures over one size: kept, and told to everybody that we know
//! ```
//! Checkpoints lie on a fixed grid where a log is busy (every [`GRID`] events), so two witnesses hold the same sizes, and a
//! domain that shows them two histories has signed two roots over one number of events. Where the sizes differ, the domain
//! is asked to sign its past of the other size again.
//!
//! Each node is a witness of its own, with its own memory and its own key: two nodes of a domain need not agree on anything
//! before one of them signs. A cosignature says that a history was only added to, never that what it says is true.
//! Two signed decisions of a peer about one transfer are told to everybody by the same way, and suspend its treaty by rule
//! wherever they are kept. What a peer's log says about this domain is brought into ours with its proof. Absent: two histories change no treaty; that is for the operator, who is told.

mod answer;
mod ask;
mod compare;
mod judge;
mod project;

pub(crate) use answer::answer;
pub(crate) use ask::{consider, run};

use crate::storage::audit::{DiskAudit, Kept, Shelf};
use bytes::Bytes;
use comity_proto::ids::DomainId;
use comity_runtime::{self as runtime, disk::Disk};
use parking_lot::Mutex;
use std::{io, sync::Arc};

/// Checkpoints that peers are shown are over a multiple of so many events, where there is a new one.
pub const GRID: u64 = 256;

/// What this node keeps as a witness. The file is made when there is something to keep.
pub struct Memory {
    disk: Arc<dyn Disk>,
    store: Mutex<Option<DiskAudit>>,
    shown: project::Shown,
}

impl Memory {
    pub(crate) fn on(disk: Arc<dyn Disk>) -> Arc<Memory> {
        Arc::new(Memory { disk, store: Mutex::new(None), shown: project::Shown::default() })
    }

    /// Runs one piece of work on the store, off the async threads; nothing comes between its parts.
    async fn with<T: Send + 'static>(
        self: &Arc<Memory>,
        work: impl FnOnce(&DiskAudit) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let memory = self.clone();
        let ran = runtime::run_blocking(move || {
            let mut store = memory.store.lock();
            let store = match &mut *store {
                Some(store) => store,
                none => none.insert(DiskAudit::open(&memory.disk)?),
            };
            work(store)
        });
        ran.await.unwrap_or_else(|_| Err(io::Error::other("the work was not done")))
    }

    /// What is kept of a domain.
    pub(crate) async fn get(self: &Arc<Memory>, shelf: Shelf, domain: DomainId) -> io::Result<Option<Kept>> {
        self.with(move |store| store.get(shelf, &domain)).await
    }

    /// Everything of one kind.
    pub(crate) async fn all(self: &Arc<Memory>, shelf: Shelf) -> io::Result<Vec<(DomainId, Kept)>> {
        self.with(move |store| store.all(shelf)).await
    }

    /// Keeps a document if what was kept before is still `before`. Check and write are one step, and durable before this
    /// returns: a witness that answered cannot be led back.
    pub(crate) async fn replace(
        self: &Arc<Memory>,
        shelf: Shelf,
        domain: DomainId,
        before: Option<Bytes>,
        kept: Kept,
    ) -> io::Result<bool> {
        let work = move |store: &DiskAudit| {
            let now = store.get(shelf, &domain)?.map(|kept| kept.bytes);
            if now != before {
                return Ok(false);
            }
            store.put(shelf, &domain, &kept).map(|()| true)
        };
        self.with(work).await
    }

    /// Keeps the newest.
    pub(crate) async fn put(self: &Arc<Memory>, shelf: Shelf, domain: DomainId, kept: Kept) -> io::Result<()> {
        self.with(move |store| store.put(shelf, &domain, &kept)).await
    }
}
