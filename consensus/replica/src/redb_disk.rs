//! redb on a file of our disk, so that the simulator can break the event store like everything else.

use std::io;
use std::sync::Arc;

use comity_runtime::disk::{Disk, DiskError, DiskErrorKind, DiskFile};
use redb::StorageBackend;

/// One database file. Byte-range locks are not offered: the data directory's lock keeps other processes out.
#[derive(Debug)]
pub struct RedbDisk {
    file: Arc<dyn DiskFile>,
}

impl RedbDisk {
    /// Opens the file `name`, creating it durably if it does not exist.
    /// To be given to `redb::Database::builder().create_with_backend`.
    pub fn open(disk: &dyn Disk, name: &str) -> Result<Self, DiskError> {
        let file = match disk.open(name) {
            Err(DiskError { kind: DiskErrorKind::NotFound, .. }) => {
                let file = disk.create(name)?;
                disk.sync_dir()?;
                file
            }
            opened => opened?,
        };
        Ok(RedbDisk { file })
    }
}

impl StorageBackend for RedbDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.len()?)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        Ok(self.file.read_at(offset, out)?)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(self.file.set_len(len)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(self.file.sync()?)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Ok(self.file.write_at(offset, data)?)
    }
}

#[cfg(test)]
mod tests;
