//! redb on a file of our disk, so that the simulator can break the event store like everything else.

use std::io;
use std::sync::Arc;

use comity_runtime::disk::{Disk, DiskError, DiskErrorKind, DiskFile};
use redb::StorageBackend;

/// Ending of the mark beside a file whose flush failed.
const DOUBT: &str = ".doubt";
/// Ending of a file's copy while it is being written.
const COPY: &str = ".copy";
/// Bytes copied at once.
const CHUNK: u64 = 1024 * 1024;

/// One database file. Byte-range locks are not offered: the data directory's lock keeps other processes out.
#[derive(Debug)]
pub struct RedbDisk {
    disk: Arc<dyn Disk>,
    file: Arc<dyn DiskFile>,
}

impl RedbDisk {
    /// Opens the file `name`, creating it durably if it does not exist.
    /// To be given to `redb::Database::builder().create_with_backend`.
    ///
    /// After a failed flush the kernel may show the next process bytes that will never reach the disk: they count as
    /// written. Such a file is written anew before anybody builds on it, else the next power cut takes its pages away
    /// from under their root.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(disk: &Arc<dyn Disk>, name: &str) -> Result<Self, DiskError> {
        let (doubt, copy) = (format!("{name}{DOUBT}"), format!("{name}{COPY}"));
        let names = disk.list()?;
        let stands = |name: &str| names.iter().any(|known| known == name);
        if stands(&copy) {
            disk.remove(&copy)?;
        }
        if stands(&doubt) {
            if stands(name) {
                write_anew(&**disk, name, &copy)?;
            }
            disk.remove(&doubt)?;
            disk.sync_dir()?;
        }
        let file = match disk.open(name) {
            Err(DiskError { kind: DiskErrorKind::NotFound, .. }) => {
                let file = disk.create(name)?;
                disk.sync_dir()?;
                file
            }
            opened => opened?,
        };
        Ok(RedbDisk { disk: disk.clone(), file })
    }

    /// The mark needs to live no longer than the kernel's memory of the file: after a power cut the disk tells the truth.
    /// So it is not flushed, and where it cannot be made nothing more can be done.
    fn doubt(&self) {
        let _exists_or_cannot = self.disk.create(&format!("{}{DOUBT}", self.file.name()));
    }
}

/// Puts a durable copy of what is read now in the place of the file.
fn write_anew(disk: &dyn Disk, name: &str, copy: &str) -> Result<(), DiskError> {
    let (from, to) = (disk.open(name)?, disk.create(copy)?);
    let len = from.len()?;
    let mut at = 0;
    while at < len {
        let mut some = vec![0; CHUNK.min(len - at) as usize];
        from.read_at(at, &mut some)?;
        to.write_at(at, &some)?;
        at += some.len() as u64;
    }
    to.sync()?;
    disk.rename(copy, name)?;
    disk.sync_dir()
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
        Ok(self.file.sync().inspect_err(|_| self.doubt())?)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Ok(self.file.write_at(offset, data)?)
    }
}

#[cfg(test)]
mod tests;
