//! Where a bench may put its disks and sockets.

use super::BenchError;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

/// A directory that is removed with everything in it.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A new one below `parent`, which must be on a real disk.
    pub(super) fn below(parent: &Path, name: &str) -> Result<Scratch, BenchError> {
        refuse_memory_disk(parent)?;
        let folder = parent.join(format!("comity-bench-{name}-{}", std::process::id()));
        fs::create_dir(&folder)
            .map_err(|e| BenchError::new(format!("creating {}", folder.display()), e.to_string()))?;
        Ok(Scratch(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing is lost if it stays; a next bench uses another name.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Loopback ports that are free now, held together so that none is given twice.
pub(super) fn free_ports(count: usize) -> Result<Vec<SocketAddr>, BenchError> {
    let held: Result<Vec<TcpListener>, _> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect();
    let ports = held.and_then(|held| held.iter().map(TcpListener::local_addr).collect());
    ports.map_err(|e| BenchError::new("finding free ports", e.to_string()))
}

/// A flush to a disk in memory costs nothing and proves nothing.
pub(super) fn refuse_memory_disk(folder: &Path) -> Result<(), BenchError> {
    #[cfg(target_os = "linux")]
    {
        const TMPFS_MAGIC: u64 = 0x0102_1994;
        let info = rustix::fs::statfs(folder).map_err(std::io::Error::from);
        let info = info.map_err(|e| BenchError::new(format!("looking at {}", folder.display()), e.to_string()))?;
        if u64::try_from(info.f_type).is_ok_and(|kind| kind == TMPFS_MAGIC) {
            let text =
                format!("{} is in memory: its flushes cost nothing; pass --dir on a real disk", folder.display());
            return Err(BenchError::new("choosing a directory", text));
        }
    }
    let exists = fs::metadata(folder).is_ok_and(|found| found.is_dir());
    if exists { Ok(()) } else { Err(BenchError::new("choosing a directory", format!("{} is none", folder.display()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_directory_goes_with_its_content() {
        let parent = tempfile::tempdir().expect("a directory");
        let scratch = Scratch::below(parent.path(), "test").expect("a real disk");
        fs::write(scratch.path().join("x"), "x").expect("a file");
        drop(scratch);
        assert_eq!(fs::read_dir(parent.path()).expect("still there").count(), 0);
        assert!(Scratch::below(&parent.path().join("nowhere"), "test").is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_in_memory_is_refused() {
        // Every Linux mounts its shared memory there; without it there is nothing to refuse.
        let shared = Path::new("/dev/shm");
        if shared.is_dir() {
            assert!(refuse_memory_disk(shared).is_err_and(|e| e.to_string().contains("--dir")));
        }
    }
}
