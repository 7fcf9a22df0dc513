//! The data directory of one node: who uses it, and which format it has.
//!
//! ```text
//! comity.version   "comity data directory, format 1"
//! comity.lock      held by the running node, with its process id
//! ledger/          log, vote, snapshots, event store: one disk, one writer thread
//! ```

use std::path::{Path, PathBuf};

use comity_runtime::disk::{Disk as _, DiskError, DiskLock};

use super::disk::DirDisk;
use super::files::{self, Access};

/// Newest directory format this program reads, and the one it writes.
pub const FORMAT: u32 = 1;

const VERSION_FILE: &str = "comity.version";
const LOCK_FILE: &str = "comity.lock";
const LEDGER: &str = "ledger";
/// A restored ledger while it is written, and once it is whole.
const UNFINISHED: &str = "ledger.unfinished";
const RESTORED: &str = "ledger.restored";
const VERSION_HEAD: &str = "comity data directory, format ";

/// A data directory that this process, and no other, uses.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    _lock: DiskLock,
}

/// Why a data directory cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The directory, its lock or a file in it: another process uses it, or the system refuses.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The version file could not be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A newer program wrote it.
    #[error("{path} has data format {found}, this program reads up to {FORMAT}; start the newer program")]
    Newer {
        /// The directory.
        path: String,
        /// Its format.
        found: u32,
    },
    /// There is a version file that this program cannot read.
    #[error("{path} is not a version file of comity; choose another data directory, or restore this file")]
    Unknown {
        /// The version file.
        path: String,
    },
    /// A ledger without a version file: part of a copy, or another program's.
    #[error("{path} holds a ledger but no {VERSION_FILE}; restore the whole directory, or choose an empty one")]
    VersionMissing {
        /// The directory.
        path: String,
    },
}

impl DataDir {
    /// Opens the directory for this process alone, creating it if there is none.
    ///
    /// # Errors
    /// See [`LayoutError`].
    pub fn open(root: impl Into<PathBuf>) -> Result<DataDir, LayoutError> {
        let root = root.into();
        let lock = DirDisk::open(&root)?.lock(LOCK_FILE)?;
        let version = root.join(VERSION_FILE);
        match files::read(&version)? {
            Some(bytes) => check_version(&root, &version, &bytes)?,
            None if root.join(LEDGER).exists() => {
                return Err(LayoutError::VersionMissing { path: root.display().to_string() });
            }
            None => files::write(&version, format!("{VERSION_HEAD}{FORMAT}\n").as_bytes(), Access::Public)?,
        }
        // A restore that was cut off between taking the old ledger away and putting the whole new one in its place.
        if !root.join(LEDGER).exists() && root.join(RESTORED).exists() {
            files::rename(&root.join(RESTORED), &root.join(LEDGER))?;
        }
        Ok(DataDir { root, _lock: lock })
    }

    /// The directory's path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An empty disk for a ledger that is to take the place of the one here; [`DataDir::replace_ledger`] does that.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn next_ledger_disk(&self) -> Result<DirDisk, DiskError> {
        files::remove_tree(&self.root.join(UNFINISHED));
        DirDisk::open(self.root.join(UNFINISHED))
    }

    /// Puts what was written there in the place of the ledger, which is kept under `kept`.
    ///
    /// # Errors
    /// The system's.
    pub fn replace_ledger(&self, kept: &str) -> std::io::Result<()> {
        files::rename(&self.root.join(UNFINISHED), &self.root.join(RESTORED))?;
        if self.root.join(LEDGER).exists() {
            files::rename(&self.root.join(LEDGER), &self.root.join(kept))?;
        }
        files::rename(&self.root.join(RESTORED), &self.root.join(LEDGER))
    }

    /// The disk of the ledger: log, vote, snapshots and event store.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn ledger_disk(&self) -> Result<DirDisk, DiskError> {
        DirDisk::open(self.root.join(LEDGER))
    }
}

fn check_version(root: &Path, file: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_prefix(VERSION_HEAD));
    match number.and_then(|text| text.trim_end().parse::<u32>().ok()) {
        Some(found) if found > FORMAT => Err(LayoutError::Newer { path: root.display().to_string(), found }),
        Some(1..) => Ok(()),
        _ => Err(LayoutError::Unknown { path: file.display().to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use comity_runtime::disk::DiskErrorKind;

    use super::*;

    #[test]
    fn a_directory_is_created_once_and_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("deep/data");
        let data = DataDir::open(&root).unwrap();
        data.ledger_disk().unwrap().create("x").unwrap();
        drop(data);
        assert_eq!(DataDir::open(&root).unwrap().ledger_disk().unwrap().list().unwrap(), ["x"]);
    }

    #[test]
    fn a_second_user_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let _first = DataDir::open(dir.path()).unwrap();
        let Err(LayoutError::Disk(error)) = DataDir::open(dir.path()) else { panic!("refused") };
        assert_eq!(error.kind, DiskErrorKind::InUse { holder: Some(std::process::id()) });
    }

    #[test]
    fn a_newer_an_unknown_and_a_missing_version_are_refused_and_left_alone() {
        let table = [
            (Some("comity data directory, format 2\n"), "start the newer program"),
            (Some("comity data directory, format one"), "not a version file"),
            (Some(""), "not a version file"),
            (None, "holds a ledger but no"),
        ];
        for (content, expected) in table {
            let dir = tempfile::tempdir().unwrap();
            let version = dir.path().join(VERSION_FILE);
            std::fs::create_dir(dir.path().join("ledger")).unwrap();
            if let Some(content) = content {
                std::fs::write(&version, content).unwrap();
            }
            let text = DataDir::open(dir.path()).unwrap_err().to_string();
            assert!(text.contains(expected), "{content:?}: {text}");
            assert_eq!(std::fs::read_to_string(&version).ok().as_deref(), content);
        }
    }
}
