//! A copy of the store as it was at one entry: nothing behind it, so that another history can go on from there.

use std::sync::Arc;

use comity_runtime::disk::Disk;
use redb::{Database, ReadableDatabase, ReadableTable};

use super::{
    EVENTS, EVIDENCE, EventKey, EventStore, HISTORY, LEAVES, MARKS, NODES, StoreError,
    concerns::{CONCERNS, PROJECTED, concerns_leaf},
    rows,
};
use crate::{backup::EVENTS_FILE, redb_disk::RedbDisk};

impl EventStore {
    /// Writes every row of the entries up to `index`, which have `leaves` events, to an empty disk.
    pub(crate) fn copy_to(&self, disk: &Arc<dyn Disk>, index: u64, leaves: u64) -> Result<(), StoreError> {
        let failed = |error: comity_runtime::disk::DiskError| StoreError::Failed(error.to_string());
        let backend = RedbDisk::open(disk, EVENTS_FILE).map_err(failed)?;
        let copy = Database::builder().create_with_backend(backend)?;
        let (from, to) = (self.database.begin_read()?, copy.begin_write()?);
        let is_before = |key: Option<EventKey>| key.is_some_and(|key| key.log_index <= index);
        {
            let mut table = to.open_table(EVENTS)?;
            for row in from.open_table(EVENTS)?.iter()? {
                let (key, value) = row?;
                if is_before(EventKey::from_bytes(key.value())) {
                    table.insert(key.value(), value.value())?;
                }
            }
            let mut table = to.open_table(LEAVES)?;
            for row in from.open_table(LEAVES)?.range(..leaves)? {
                let (leaf, key) = row?;
                table.insert(leaf.value(), key.value())?;
            }
            let mut table = to.open_table(NODES)?;
            for row in from.open_table(NODES)?.iter()? {
                let (key, hash) = row?;
                if rows::leaves_below(key.value()).is_some_and(|below| below <= leaves) {
                    table.insert(key.value(), hash.value())?;
                }
            }
            let mut table = to.open_table(HISTORY)?;
            for row in from.open_table(HISTORY)?.iter()? {
                let (key, ()) = row.map(|(key, value)| (key, value.value()))?;
                if is_before(rows::history_event(key.value())) {
                    table.insert(key.value(), ())?;
                }
            }
            let mut table = to.open_table(CONCERNS)?;
            for row in from.open_table(CONCERNS)?.iter()? {
                let (key, ()) = row.map(|(key, value)| (key, value.value()))?;
                if concerns_leaf(key.value()).is_some_and(|leaf| leaf < leaves) {
                    table.insert(key.value(), ())?;
                }
            }
            let mut table = to.open_table(PROJECTED)?;
            for row in from.open_table(PROJECTED)?.iter()? {
                let (key, event) = row?;
                if is_before(EventKey::from_bytes(event.value())) {
                    table.insert(key.value(), event.value())?;
                }
            }
            let mut table = to.open_table(EVIDENCE)?;
            for row in from.open_table(EVIDENCE)?.iter()? {
                let (digest, bytes) = row?;
                table.insert(digest.value(), bytes.value())?;
            }
            let mut table = to.open_table(MARKS)?;
            for row in from.open_table(MARKS)?.iter()? {
                let (mark, value) = row?;
                table.insert(mark.value(), value.value())?;
            }
        }
        to.commit()?;
        Ok(())
    }
}
