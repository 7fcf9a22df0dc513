//! What the in-memory disk knows: files, names, and what of both is not durable yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use bytes::Bytes;
use futures::channel::oneshot;

use super::Tear;
use super::image::{Image, pieces};
use crate::disk::{DiskError, DiskErrorKind, DiskStats, check_name};

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) files: BTreeMap<u64, FileState>,
    /// Names as the running host sees them.
    pub(super) live: BTreeMap<String, u64>,
    /// Names as a restarted host would see them.
    pub(super) durable_names: BTreeMap<String, u64>,
    pub(super) name_changes: Vec<NameChange>,
    /// Unflushed changes of all files in the order they were made.
    pub(super) pending: Vec<(u64, Change)>,
    pub(super) next_file: u64,
    /// Counts crashes: handles of an earlier life are dead.
    pub(super) life: u64,
    /// Locked names with the life and number of the holder.
    pub(super) locks: BTreeMap<String, u64>,
    pub(super) next_lock: u64,
    pub(super) capacity: Option<u64>,
    pub(super) failing_syncs: u32,
    /// Changing operations until the power goes.
    pub(super) power: Option<u64>,
    pub(super) directory_denied: bool,
    pub(super) holding: bool,
    pub(super) stats: DiskStats,
    pub(super) held: Held,
}

/// Requests whose flush waits for [`MemoryDisk::release_next`]. A fork starts without any.
#[derive(Default)]
pub(super) struct Held(pub(super) VecDeque<(u64, oneshot::Sender<Result<(), DiskError>>)>);

impl Clone for Held {
    fn clone(&self) -> Self {
        Held::default()
    }
}

#[derive(Clone, Default)]
pub(super) struct FileState {
    pub(super) name: String,
    pub(super) view: Image,
    pub(super) durable: Image,
    pub(super) poisoned: bool,
    pub(super) unreadable: Vec<Range<u64>>,
    /// Handles of the present life.
    pub(super) handles: usize,
}

#[derive(Clone)]
pub(super) enum Change {
    /// At most one sector.
    Write(u64, Bytes),
    SetLen(u64),
}

#[derive(Clone)]
pub(super) enum NameChange {
    Add(String, u64),
    Remove(String),
    Rename(String, String),
}

impl NameChange {
    pub(super) fn carry_out(self, names: &mut BTreeMap<String, u64>) {
        match self {
            NameChange::Add(name, file) => {
                names.insert(name, file);
            }
            NameChange::Remove(name) => {
                names.remove(&name);
            }
            NameChange::Rename(from, to) => {
                if let Some(file) = names.remove(&from) {
                    names.insert(to, file);
                }
            }
        }
    }
}

impl State {
    pub(super) fn change_names(&mut self, change: NameChange) {
        change.clone().carry_out(&mut self.live);
        self.name_changes.push(change);
    }

    /// Frees files that have no name any more, neither for the running host nor for a restarted one, and that nobody can
    /// reach otherwise. To be called when no change of a name is under way.
    pub(super) fn forget_nameless(&mut self) {
        let named: BTreeSet<u64> = self.live.values().chain(self.durable_names.values()).copied().collect();
        let held: BTreeSet<u64> = self.held.0.iter().map(|(file, _)| *file).collect();
        self.files.retain(|id, file| file.handles > 0 || named.contains(id) || held.contains(id));
        self.pending.retain(|(id, _)| self.files.contains_key(id));
    }

    pub(super) fn end_process(&mut self) {
        self.life += 1;
        self.power = None;
        self.locks.clear();
        self.held = Held::default();
        for file in self.files.values_mut() {
            file.poisoned = false;
            file.handles = 0;
        }
    }

    /// Counts one changing operation; refused once the power is gone.
    pub(super) fn spend(&mut self, operation: &'static str, name: &str) -> Result<(), DiskError> {
        match &mut self.power {
            Some(0) => Err(DiskError::new(name, operation, DiskErrorKind::Crashed, "the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn check_directory(&self, operation: &'static str, name: &str) -> Result<(), DiskError> {
        if self.directory_denied {
            return Err(DiskError::new(name, operation, DiskErrorKind::Denied, "the directory is not accessible"));
        }
        Ok(())
    }

    pub(super) fn find(&self, operation: &'static str, name: &str) -> Result<u64, DiskError> {
        self.check_directory(operation, name)?;
        check_name(name, operation)?;
        let missing = || DiskError::new(name, operation, DiskErrorKind::NotFound, "no such name");
        self.live.get(name).copied().ok_or_else(missing)
    }

    pub(super) fn keep_unflushed(&mut self, tear: Tear<'_>) {
        let pending = std::mem::take(&mut self.pending);
        let mut tear = tear;
        for (position, (file, change)) in pending.into_iter().enumerate() {
            let file = self.files.get_mut(&file).expect("what is pending has a file");
            let kept = match (&mut tear, change) {
                (Tear::Lost, _) => None,
                (Tear::Kept, change) => Some(change),
                (Tear::Bytes(0), _) => None,
                (Tear::Bytes(left), Change::Write(offset, data)) => {
                    let part = data.slice(..data.len().min(*left as usize));
                    *left -= part.len() as u64;
                    Some(Change::Write(offset, part))
                }
                (Tear::Bytes(_), change) => Some(change),
                (Tear::Sectors(keep), change) => keep(position).then_some(change),
            };
            if let Some(change) = kept {
                change.carry_out(&mut file.durable);
            }
        }
    }

    /// Writes to what readers see; durable later.
    pub(super) fn write(&mut self, id: u64, offset: u64, data: &[u8]) -> Result<(), DiskError> {
        self.reserve(id, "write", offset.saturating_add(data.len() as u64)).map_err(|e| e.at(offset))?;
        let file = self.files.get_mut(&id).expect("an open file exists");
        for (at, range) in pieces(offset, data.len()) {
            let piece = Bytes::copy_from_slice(&data[range]);
            file.view.write(at, &piece);
            self.pending.push((id, Change::Write(at, piece)));
        }
        self.stats.bytes_written += data.len() as u64;
        Ok(())
    }

    /// Checks that the file may grow to `len`.
    fn reserve(&self, id: u64, operation: &'static str, len: u64) -> Result<(), DiskError> {
        let file = &self.files[&id];
        let used: u64 = self.live.values().filter_map(|id| self.files.get(id)).map(|file| file.view.len()).sum();
        let more = len.saturating_sub(file.view.len());
        match self.capacity {
            Some(capacity) if more > 0 && used.saturating_add(more) > capacity => {
                let detail = format!("{used} of {capacity} bytes are used; free some space and start again");
                Err(DiskError::new(&file.name, operation, DiskErrorKind::Full, detail))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn set_len(&mut self, id: u64, operation: &'static str, len: u64) -> Result<(), DiskError> {
        self.reserve(id, operation, len)?;
        let file = self.files.get_mut(&id).expect("an open file exists");
        file.view.set_len(len);
        self.pending.push((id, Change::SetLen(len)));
        Ok(())
    }

    pub(super) fn sync_request(&mut self, id: u64) -> Result<(), DiskError> {
        self.stats.requests += 1;
        self.sync(id)
    }

    pub(super) fn sync(&mut self, id: u64) -> Result<(), DiskError> {
        self.check_poison(id, "sync")?;
        self.stats.syncs += 1;
        let file = self.files.get_mut(&id).expect("an open file exists");
        let fails = self.failing_syncs > 0;
        self.failing_syncs -= u32::from(fails);
        file.poisoned |= fails;
        self.pending.retain(|(owner, change)| {
            if *owner == id && !fails {
                change.clone().carry_out(&mut file.durable);
            }
            *owner != id
        });
        if fails {
            return Err(DiskError::new(&file.name, "sync", DiskErrorKind::Io, "injected flush failure"));
        }
        Ok(())
    }

    pub(super) fn check_poison(&self, id: u64, operation: &'static str) -> Result<(), DiskError> {
        let file = &self.files[&id];
        if file.poisoned {
            let detail = "what it acknowledged before is still there";
            return Err(DiskError::new(&file.name, operation, DiskErrorKind::Poisoned, detail));
        }
        Ok(())
    }
}

impl Change {
    fn carry_out(self, image: &mut Image) {
        match self {
            Change::Write(offset, data) => image.write(offset, &data),
            Change::SetLen(len) => image.set_len(len),
        }
    }
}
