//! One open file of a false disk.

use std::sync::Arc;

use bytes::Bytes;
use comity_runtime::disk::{DiskError, DiskErrorKind, DiskFile, Synced};
use futures::FutureExt;

use super::FalseDisk;

#[derive(Debug)]
pub(super) struct FalseFile {
    disk: FalseDisk,
    below: Arc<dyn DiskFile>,
}

impl FalseFile {
    pub(super) fn new(disk: FalseDisk, below: Arc<dyn DiskFile>) -> FalseFile {
        FalseFile { disk, below }
    }
}

impl DiskFile for FalseFile {
    fn name(&self) -> &str {
        self.below.name()
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.below.len()
    }

    fn write_and_sync(&self, writes: Vec<(u64, Bytes)>) -> Synced {
        if self.disk.lies_now() {
            let written = writes.iter().try_for_each(|(offset, data)| self.below.write_at(*offset, data));
            return futures::future::ready(written).boxed();
        }
        let held = self.disk.below().held();
        let synced = self.below.write_and_sync(writes);
        // A refused request is not held: it ends at once.
        if self.disk.below().held() > held {
            self.disk.begin_flush();
        }
        synced
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), DiskError> {
        if self.disk.read_fails() {
            let error = DiskError::new(self.name(), "read", DiskErrorKind::Io, "the device did not answer");
            return Err(error.at(offset));
        }
        self.below.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.below.write_at(offset, data)
    }

    fn set_len(&self, len: u64) -> Result<(), DiskError> {
        self.below.set_len(len)
    }

    fn allocate(&self, len: u64) -> Result<(), DiskError> {
        self.below.allocate(len)
    }

    fn sync(&self) -> Result<(), DiskError> {
        if self.disk.lies_now() {
            return Ok(());
        }
        let done = self.below.sync();
        let mut state = self.disk.state.lock();
        // The caller blocks a thread of its own, not the host's tasks; the log's next flush waits for the arm.
        let _until = self.disk.flush_at(&mut state);
        done
    }
}
