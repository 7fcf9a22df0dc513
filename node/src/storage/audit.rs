//! What a witness must not forget, in a redb database on the node's disk: one table each for the checkpoints that it saw,
//! the cosignatures that it was given, and the proofs against domains that signed two histories, or two ends of a transfer.

use bytes::Bytes;
use comity_proto::ids::DomainId;
use comity_replica::redb_disk::RedbDisk;
use comity_runtime::disk::Disk;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::{io, sync::Arc};

/// File on the disk.
const FILE: &str = "audit.redb";
/// Memory for pages.
const CACHE_BYTES: usize = 1 << 20;

/// Domain to arrival and document.
type Table = TableDefinition<'static, &'static [u8], (u64, &'static [u8])>;

/// What is kept of a domain: at most one document of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// Its last checkpoint: a document.
    Seen,
    /// Its last cosignature of ours: an envelope.
    Cosigned,
    /// The proof that it signed two histories: a document. Never replaced.
    Accused,
    /// The proof that it signed two ends of one transfer: a document. Never replaced. Apart from the other proof, which
    /// changes no treaty: whoever is caught with that one first is suspended by this one all the same.
    Decided,
}

impl Shelf {
    const ALL: [Shelf; 4] = [Shelf::Seen, Shelf::Cosigned, Shelf::Accused, Shelf::Decided];
    /// Where proofs against a domain lie.
    pub const PROOFS: [Shelf; 2] = [Shelf::Accused, Shelf::Decided];

    const fn table(self) -> Table {
        TableDefinition::new(match self {
            Shelf::Seen => "seen",
            Shelf::Cosigned => "cosigned",
            Shelf::Accused => "accused",
            Shelf::Decided => "decided",
        })
    }
}

/// A document with its arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When it came, ms since the Unix epoch.
    pub heard_ms: u64,
    /// The exact bytes.
    pub bytes: Bytes,
}

/// Durable: what `put` returned for is there after a power cut.
pub struct DiskAudit {
    database: Database,
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

impl DiskAudit {
    /// Opens the tables, creating them on a fresh disk.
    ///
    /// # Errors
    /// The disk's, or the database's with its words.
    pub fn open(disk: &Arc<dyn Disk>) -> io::Result<DiskAudit> {
        let backend = RedbDisk::open(disk, FILE).map_err(other)?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend).map_err(other)?;
        let begun = database.begin_write().map_err(other)?;
        for shelf in Shelf::ALL {
            begun.open_table(shelf.table()).map_err(other)?;
        }
        begun.commit().map_err(other)?;
        Ok(DiskAudit { database })
    }

    /// What is kept of a domain.
    ///
    /// # Errors
    /// The disk's or the database's.
    pub fn get(&self, shelf: Shelf, domain: &DomainId) -> io::Result<Option<Kept>> {
        let table = self.database.begin_read().map_err(other)?.open_table(shelf.table()).map_err(other)?;
        let row = table.get(domain.0.as_slice()).map_err(other)?;
        Ok(row.map(|row| {
            let (heard_ms, bytes) = row.value();
            Kept { heard_ms, bytes: Bytes::copy_from_slice(bytes) }
        }))
    }

    /// Everything of one kind, by domain.
    ///
    /// # Errors
    /// The disk's or the database's.
    pub fn all(&self, shelf: Shelf) -> io::Result<Vec<(DomainId, Kept)>> {
        let table = self.database.begin_read().map_err(other)?.open_table(shelf.table()).map_err(other)?;
        let mut found = Vec::new();
        for row in table.iter().map_err(other)? {
            let (key, value) = row.map_err(other)?;
            let (heard_ms, bytes) = value.value();
            if let Ok(domain) = DomainId::try_from(key.value()) {
                found.push((domain, Kept { heard_ms, bytes: Bytes::copy_from_slice(bytes) }));
            }
        }
        Ok(found)
    }

    /// Keeps a document, durably, in place of the one before.
    ///
    /// # Errors
    /// The disk's or the database's; then the one before stands.
    pub fn put(&self, shelf: Shelf, domain: &DomainId, kept: &Kept) -> io::Result<()> {
        let transaction = self.database.begin_write().map_err(other)?;
        {
            let mut table = transaction.open_table(shelf.table()).map_err(other)?;
            table.insert(domain.0.as_slice(), (kept.heard_ms, kept.bytes.as_ref())).map_err(other)?;
        }
        transaction.commit().map_err(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_runtime::disk::memory::{CrashPlan, MemoryDisk};

    #[test]
    fn what_a_witness_kept_is_there_after_a_power_cut() {
        let memory = MemoryDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let kept = |heard_ms| Kept { heard_ms, bytes: Bytes::from_static(b"signed") };
        let (one, two) = (DomainId([1; 32]), DomainId([2; 32]));
        {
            let audit = DiskAudit::open(&disk).unwrap();
            audit.put(Shelf::Seen, &one, &kept(1)).unwrap();
            audit.put(Shelf::Seen, &one, &kept(2)).unwrap();
            audit.put(Shelf::Accused, &two, &kept(3)).unwrap();
        }
        memory.crash(CrashPlan::lose_all());
        let audit = DiskAudit::open(&disk).unwrap();
        assert_eq!(audit.all(Shelf::Seen).unwrap(), [(one, kept(2))]);
        assert_eq!(audit.get(Shelf::Accused, &two).unwrap(), Some(kept(3)));
        assert_eq!(audit.get(Shelf::Cosigned, &two).unwrap(), None);
    }
}
