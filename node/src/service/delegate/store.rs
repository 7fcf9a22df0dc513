//! All delegations of a node, and the book. What is shown is on the disk.

use super::{
    book::{Book, DeniedWorker},
    state::{Attempt, Delegation},
};
use crate::{
    service::error::{Kind, ServiceError},
    storage::delegations as files,
};
use comity_proto::ids::Hash;
use comity_runtime as runtime;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::watch;

/// Delegations of one agent that have not ended.
const OPEN_OF_ONE: usize = 16;
/// On one node, all of them; ended ones make room, the oldest first.
const IN_ALL: usize = 512;

#[derive(Default)]
struct Inner {
    all: BTreeMap<String, Delegation>,
    running: BTreeSet<String>,
    book: Book,
}

/// All of them.
pub struct Delegations {
    /// None without a data directory: then they end with the node.
    dir: Option<PathBuf>,
    inner: Mutex<Inner>,
    /// One write at a time, in the order of the changes.
    writing: tokio::sync::Mutex<()>,
    changed: watch::Sender<u64>,
}

impl Delegations {
    /// As they were kept below a data directory.
    ///
    /// # Errors
    /// The disk's.
    pub fn of(root: Option<&Path>) -> io::Result<Delegations> {
        let dir = root.map(files::folder);
        let mut inner = Inner::default();
        if let Some(dir) = &dir {
            let all = files::read_all::<Delegation>(dir)?;
            inner.all = all.into_iter().map(|delegation| (delegation.id.clone(), delegation)).collect();
            inner.book = files::read_book(dir)?.unwrap_or_default();
        }
        let (inner, writing) = (Mutex::new(inner), tokio::sync::Mutex::default());
        Ok(Delegations { dir, inner, writing, changed: watch::Sender::new(0) })
    }

    /// Those that go on, and those that have ended and are still known.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let inner = self.inner.lock();
        let ended = inner.all.values().filter(|one| one.phase.is_end()).count();
        (inner.all.len().saturating_sub(ended), ended)
    }

    async fn on_disk(&self, work: impl FnOnce(&Path) -> io::Result<()> + Send + 'static) -> Result<(), ServiceError> {
        let Some(dir) = self.dir.clone() else { return Ok(()) };
        let written = runtime::run_blocking(move || work(&dir)).await;
        written.unwrap_or_else(|_| Err(io::Error::other("the node is stopping"))).map_err(|error| {
            let next = "make room, or mend the data directory, and ask again";
            ServiceError::new(Kind::Internal, "delegation_not_kept", error.to_string(), next)
        })
    }

    /// Keeps a new one, or gives the one that is there under its id.
    ///
    /// # Errors
    /// `too_many_delegations`; the disk's.
    pub(super) async fn add(&self, delegation: Delegation) -> Result<Delegation, ServiceError> {
        let _one = self.writing.lock().await;
        let oldest = {
            let inner = self.inner.lock();
            if let Some(known) = inner.all.get(&delegation.id) {
                return Ok(known.clone());
            }
            let open = |one: &&Delegation| one.owner == delegation.owner && !one.phase.is_end();
            let ended = inner.all.values().filter(|one| one.phase.is_end());
            let oldest = ended.min_by_key(|one| one.made_ms).map(|one| one.id.clone());
            let full = inner.all.len() >= IN_ALL;
            if inner.all.values().filter(open).count() >= OPEN_OF_ONE || (full && oldest.is_none()) {
                let next = "wait until one has ended, or cancel one";
                let detail = format!("{OPEN_OF_ONE} of one agent, {IN_ALL} on one node, and no more");
                return Err(ServiceError::new(Kind::Busy, "too_many_delegations", detail, next));
            }
            oldest.filter(|_| full)
        };
        if let Some(id) = oldest {
            self.inner.lock().all.remove(&id);
            self.on_disk(move |dir| files::remove(dir, &id)).await?;
        }
        let kept = delegation.clone();
        self.on_disk(move |dir| files::write_one(dir, &kept.id, &kept)).await?;
        self.inner.lock().all.insert(delegation.id.clone(), delegation.clone());
        Ok(delegation)
    }

    /// Changes one. The disk has it before anybody sees it.
    ///
    /// # Errors
    /// `unknown_delegation`; the disk's: then nothing has changed.
    pub(super) async fn change(&self, id: &str, change: impl FnOnce(&mut Delegation)) -> Result<(), ServiceError> {
        let _one = self.writing.lock().await;
        let mut next = self.get(id).ok_or_else(|| ServiceError::not_found("delegation", id))?;
        change(&mut next);
        next.version += 1;
        let kept = next.clone();
        self.on_disk(move |dir| files::write_one(dir, &kept.id, &kept)).await?;
        self.inner.lock().all.insert(id.to_owned(), next);
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
        Ok(())
    }

    /// Looks something up in the book.
    pub(super) fn book<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.inner.lock().book)
    }

    /// Changes the book. The disk has it before anybody sees it.
    ///
    /// # Errors
    /// The disk's: then nothing has changed.
    pub(super) async fn change_book(&self, change: impl FnOnce(&mut Book)) -> Result<(), ServiceError> {
        let _one = self.writing.lock().await;
        let mut next = self.book(Book::clone);
        change(&mut next);
        let kept = next.clone();
        self.on_disk(move |dir| files::write_book(dir, &kept)).await?;
        self.inner.lock().book = next;
        Ok(())
    }

    /// A worker is hired no more by the owner of this delegation.
    pub(super) async fn deny(
        &self,
        delegation: &Delegation,
        attempt: &Attempt,
        why: &str,
        evidence: Option<&str>,
    ) -> Result<(), ServiceError> {
        let entry = DeniedWorker {
            owner: delegation.owner,
            agent: attempt.candidate.party.agent,
            since_ms: runtime::wall_ms(),
            why: why.to_owned(),
            delegation: delegation.id.clone(),
            evidence_sha256: evidence.map(|words| Hash::of(words.as_bytes())),
        };
        self.change_book(|book| book.deny(entry)).await
    }

    pub(super) fn get(&self, id: &str) -> Option<Delegation> {
        self.inner.lock().all.get(id).cloned()
    }

    pub(super) fn all(&self, of: impl Fn(&Delegation) -> bool) -> Vec<Delegation> {
        self.inner.lock().all.values().filter(|one| of(one)).cloned().collect()
    }

    /// Whoever asks first is to run it.
    pub(super) fn claim(&self, id: &str) -> bool {
        self.inner.lock().running.insert(id.to_owned())
    }

    pub(super) fn unclaim(&self, id: &str) {
        self.inner.lock().running.remove(id);
    }

    pub(super) fn runs(&self, id: &str) -> bool {
        self.inner.lock().running.contains(id)
    }

    /// Waits until one has changed since a version, no longer than `wait`.
    pub(super) async fn changed_since(&self, id: &str, version: u64, wait: Duration) {
        let mut changed = self.changed.subscribe();
        let news = async {
            while self.get(id).is_some_and(|one| one.version == version && !one.phase.is_end()) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        let _changed_or_not = runtime::timeout(wait, news).await;
    }
}
