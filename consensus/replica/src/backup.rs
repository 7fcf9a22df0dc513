//! A member's state in a directory of its own: the ledger as one snapshot file and the event store up to it.
//!
//! ```text
//! save      running member -> snapshot file, copy of the events up to its index (nothing behind it)
//! restore   that, changed by the caller -> the disk of a group of one, whose log begins behind the snapshot
//! ```
//! A restored ledger is another history than the one that was lost, so its caller raises the incarnation and fences it
//! before it is written: no node ever starts on an unchanged copy.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use comity_ledger::{Ledger, Outcome};
use comity_runtime::{
    self as runtime,
    disk::{Disk, DiskError},
};
use openraft::{CommittedLeaderId, Membership, StoredMembership};

use crate::{
    replica::Replica,
    snapshot::{self, Meta, SnapshotError},
    store::StoreError,
    types::{LogId, NodeInfo},
};

/// The event store's file.
pub(crate) const EVENTS_FILE: &str = "events.redb";
/// Bytes copied at once.
const PIECE: usize = 1024 * 1024;
/// How long the event store may take to have what is applied.
const STORE_WITHIN: Duration = Duration::from_secs(10);

/// Why a backup was not made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The disk, or what is on it.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The events.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no snapshot file.
    #[error("no snapshot is there")]
    Nothing,
    /// The ledger would not be changed.
    #[error("the ledger refuses: {0}")]
    Refused(Outcome),
}

impl From<DiskError> for BackupError {
    fn from(error: DiskError) -> BackupError {
        BackupError::Snapshot(error.into())
    }
}

impl Replica {
    /// Writes the state as it stands to an empty disk; gives the index of the last entry in it.
    ///
    /// # Errors
    /// Either disk.
    pub async fn save_to(&self, disk: Arc<dyn Disk>) -> Result<u64, BackupError> {
        let machine = &self.inner.machine;
        let (meta, ledger) = machine.freeze();
        let leaves = ledger.event_count();
        let begun = runtime::now();
        // What an entry left is queued right after it is applied, so it comes in a moment.
        while leaves > 0 && machine.store.leaf(leaves - 1)?.is_none() && begun.elapsed() < STORE_WITHIN {
            machine.store.settle().await?;
            runtime::sleep(Duration::from_millis(5)).await;
        }
        let (store, index) = (machine.store.clone(), ledger.log_index());
        let saved = runtime::run_blocking(move || {
            store.copy_to(&disk, index, leaves)?;
            snapshot::save(&*disk, &meta, &ledger)?;
            Ok::<_, BackupError>(index)
        });
        saved.await.map_err(|_| BackupError::Store(StoreError::Stopped))?
    }
}

/// The ledger in a backup.
///
/// # Errors
/// A damaged one, or none.
pub fn read(disk: &dyn Disk) -> Result<Ledger, BackupError> {
    let (_, ledger, _) = snapshot::newest(disk)?.ok_or(BackupError::Nothing)?;
    Ok(ledger)
}

/// Writes a backup, changed, to an empty disk: there it is a group of one, `member`.
///
/// # Errors
/// Either disk, a damaged backup, or what `change` refuses.
pub fn restore(
    from: &dyn Disk,
    to: &dyn Disk,
    member: (u64, NodeInfo),
    change: impl FnOnce(Ledger) -> Result<Ledger, Outcome>,
) -> Result<(), BackupError> {
    let ledger = change(read(from)?).map_err(BackupError::Refused)?;
    // Below every term that the new group will have.
    let last = LogId::new(CommittedLeaderId::new(0, 0), ledger.log_index());
    let (id, info) = member;
    let members = Membership::new(vec![[id].into()], BTreeMap::from([(id, info)]));
    let last_membership = StoredMembership::new(Some(last), members);
    let meta = Meta { last_log_id: Some(last), last_membership, snapshot_id: format!("restored-{}", last.index) };
    copy(from, to, EVENTS_FILE)?;
    // Last: without it nobody takes the rest for a ledger.
    snapshot::save(to, &meta, &ledger)?;
    Ok(())
}

fn copy(from: &dyn Disk, to: &dyn Disk, name: &str) -> Result<(), DiskError> {
    let (source, target) = (from.open(name)?, to.create(name)?);
    let (mut offset, bytes) = (0, source.len()?);
    while offset < bytes {
        let mut piece = vec![0; (bytes - offset).min(PIECE as u64) as usize];
        source.read_at(offset, &mut piece)?;
        target.write_at(offset, &piece)?;
        offset += piece.len() as u64;
    }
    target.sync()?;
    to.sync_dir()
}
