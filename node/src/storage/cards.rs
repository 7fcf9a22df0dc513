//! Cards that survive a restart: one redb table on the node's disk, keyed by kind and owner.

use crate::mesh::{CardChange, CardKind, CardStore, StoredCard};
use bytes::Bytes;
use comity_replica::redb_disk::RedbDisk;
use comity_runtime::disk::Disk;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::{io, sync::Arc};

/// File on the disk.
const FILE: &str = "cards.redb";
/// Memory for pages.
const CACHE_BYTES: usize = 1 << 20;
/// Kind and owner to arrival, origin and envelope.
const CARDS: TableDefinition<'_, &[u8], (u64, bool, &[u8])> = TableDefinition::new("cards");

/// Durable cards.
pub struct DiskCards {
    database: Database,
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn key(kind: CardKind, owner: &[u8; 32]) -> [u8; 33] {
    let mut key = [0; 33];
    key[0] = match kind {
        CardKind::Agent => 0,
        CardKind::Domain => 1,
    };
    key[1..].copy_from_slice(owner);
    key
}

fn card(key: &[u8], first_heard_ms: u64, local: bool, envelope: &[u8]) -> Option<StoredCard> {
    let (kind, owner) = key.split_first()?;
    let kind = match kind {
        0 => CardKind::Agent,
        1 => CardKind::Domain,
        _ => return None,
    };
    let owner = owner.try_into().ok()?;
    Some(StoredCard { kind, owner, envelope: Bytes::copy_from_slice(envelope), first_heard_ms, local })
}

impl DiskCards {
    /// Opens the table, creating it on a fresh disk.
    ///
    /// # Errors
    /// The disk's, or the database's with its words.
    pub fn open(disk: &Arc<dyn Disk>) -> io::Result<DiskCards> {
        let backend = RedbDisk::open(disk, FILE).map_err(other)?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend).map_err(other)?;
        let begun = database.begin_write().map_err(other)?;
        begun.open_table(CARDS).map_err(other)?;
        begun.commit().map_err(other)?;
        Ok(DiskCards { database })
    }
}

impl CardStore for DiskCards {
    fn load(&self) -> io::Result<Vec<StoredCard>> {
        let table = self.database.begin_read().map_err(other)?.open_table(CARDS).map_err(other)?;
        let mut cards = Vec::new();
        for row in table.iter().map_err(other)? {
            let (key, value) = row.map_err(other)?;
            let (first_heard_ms, local, envelope) = value.value();
            cards.extend(card(key.value(), first_heard_ms, local, envelope));
        }
        Ok(cards)
    }

    fn save(&self, changes: &[CardChange]) -> io::Result<()> {
        let transaction = self.database.begin_write().map_err(other)?;
        {
            let mut table = transaction.open_table(CARDS).map_err(other)?;
            for change in changes {
                match change {
                    CardChange::Put(card) => {
                        let value = (card.first_heard_ms, card.local, card.envelope.as_ref());
                        table.insert(key(card.kind, &card.owner).as_slice(), value).map_err(other)?;
                    }
                    CardChange::Remove(kind, owner) => {
                        table.remove(key(*kind, owner).as_slice()).map_err(other)?;
                    }
                }
            }
        }
        transaction.commit().map_err(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_runtime::disk::memory::{CrashPlan, MemoryDisk};

    #[test]
    fn cards_come_back_after_a_power_cut_and_removed_ones_do_not() {
        let memory = MemoryDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let stored = |owner, kind| StoredCard {
            kind,
            owner: [owner; 32],
            envelope: Bytes::from_static(b"signed"),
            first_heard_ms: 7,
            local: owner == 1,
        };
        {
            let cards = DiskCards::open(&disk).unwrap();
            let put = [stored(1, CardKind::Agent), stored(1, CardKind::Domain), stored(2, CardKind::Agent)];
            cards.save(&put.map(CardChange::Put)).unwrap();
            cards.save(&[CardChange::Remove(CardKind::Agent, [2; 32])]).unwrap();
        }
        memory.crash(CrashPlan::lose_all());
        let cards = DiskCards::open(&disk).unwrap();
        assert_eq!(cards.load().unwrap(), [stored(1, CardKind::Agent), stored(1, CardKind::Domain)]);
    }
}
