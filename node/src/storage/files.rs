//! Small files beside the disk: configuration, keys, certificates, tokens. Written whole, replaced in one step.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

/// Longest small file that is read, bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody on this machine.
    Public,
    /// Its owner only (mode 0600).
    Secret,
}

/// The whole file; `None` when there is none.
///
/// # Errors
/// The system's, with the path; a file over [`FILE_BYTES_MAX`] is refused before it is read.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_up_to(path, FILE_BYTES_MAX)
}

/// [`read`] with another limit: files that a person names.
///
/// # Errors
/// As [`read`].
pub fn read_up_to(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(path, "open", &error)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| named(path, "read", &error))?;
    if bytes.len() as u64 > limit {
        let text = format!("{}: longer than {limit} bytes", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(Some(bytes))
}

/// The whole file, refused when its mode lets others read it.
///
/// # Errors
/// As [`read`], and a named one for a file that others may read.
pub fn read_secret(path: &Path) -> io::Result<Option<Vec<u8>>> {
    #[cfg(unix)]
    if let Ok(meta) = fs::metadata(path) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let text = format!("{}: mode {mode:o} lets others read a secret; run: chmod 600 {0}", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
    }
    read(path)
}

/// Writes beside, syncs, renames over, syncs the directory: after a crash the old or the new file stands, never a part.
///
/// # Errors
/// The system's, with the path.
pub fn write(path: &Path, bytes: &[u8], access: Access) -> io::Result<()> {
    // A name alone has a parent that is no path.
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|error| named(dir, "create", &error))?;
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        if access == Access::Secret {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(|error| named(path, "write", &error))
}

/// A file that a person names, to be read as a stream.
///
/// # Errors
/// The system's, with the path.
pub fn reader(path: &Path) -> io::Result<impl io::Read + use<>> {
    fs::File::open(path).map(io::BufReader::new).map_err(|error| named(path, "open", &error))
}

/// A file that is written as a stream and stands under its name only once it is whole.
pub struct NewFile {
    file: io::BufWriter<fs::File>,
    beside: PathBuf,
    path: PathBuf,
}

impl NewFile {
    /// Begins beside `path`, in the same directory.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn create(path: &Path) -> io::Result<NewFile> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let beside = PathBuf::from(name);
        let file = fs::File::create(&beside).map_err(|error| named(&beside, "create", &error))?;
        Ok(NewFile { file: io::BufWriter::new(file), beside, path: path.to_owned() })
    }

    /// Flushes, syncs, and replaces whatever had the name.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn finish(mut self) -> io::Result<()> {
        let finished = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        finished.and_then(|()| fs::rename(&self.beside, &self.path)).map_err(|error| named(&self.path, "write", &error))
    }
}

impl io::Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // After `finish` it has another name; what was not finished is of no use.
        let _renamed_or_removed = fs::remove_file(&self.beside);
    }
}

/// Names in a directory, sorted; empty when there is no such directory.
///
/// # Errors
/// The system's, with the path.
pub fn list(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(named(dir, "list", &error)),
    };
    let mut names: Vec<String> =
        entries.filter_map(Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Resident memory of a process in bytes, where the system tells (Linux).
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Opens a log file for appending: the output of a child process.
///
/// # Errors
/// The system's, with the path.
pub fn append_to(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().create(true).append(true).open(path).map_err(|error| named(path, "open", &error))
}

/// Gives a small file another name, over whatever had it, durably.
///
/// # Errors
/// The system's, with the path.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let renamed = fs::rename(from, to).and_then(|()| fs::File::open(to.parent().unwrap_or(Path::new(".")))?.sync_all());
    renamed.map_err(|error| named(from, "rename", &error))
}

/// Removes a file.
///
/// # Errors
/// The system's, with the path.
pub fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).map_err(|error| named(path, "remove", &error))
}

/// Removes a directory with everything in it; nothing to remove is fine.
pub fn remove_tree(dir: &Path) {
    let _gone_or_never_there = fs::remove_dir_all(dir);
}

fn named(path: &Path, doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {doing} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_reads_back_and_an_absent_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.toml");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, b"one", Access::Public).unwrap();
        write(&path, b"two", Access::Public).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"two");
        assert_eq!(list(path.parent().unwrap()).unwrap(), ["b.toml"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_may_read_is_refused_with_the_command_that_mends_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        write(&path, b"secret", Access::Secret).unwrap();
        assert_eq!(read_secret(&path).unwrap().unwrap(), b"secret");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_secret(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_new_file_has_its_name_only_once_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        write(&path, b"old", Access::Public).unwrap();
        let mut abandoned = NewFile::create(&path).unwrap();
        abandoned.write_all(b"half").unwrap();
        drop(abandoned);
        assert_eq!(list(dir.path()).unwrap(), ["history"]);
        assert_eq!(read(&path).unwrap().unwrap(), b"old");
        let mut new = NewFile::create(&path).unwrap();
        new.write_all(b"new").unwrap();
        new.finish().unwrap();
        assert_eq!(list(dir.path()).unwrap(), ["history"]);
        assert_eq!(read(&path).unwrap().unwrap(), b"new");
    }

    #[test]
    fn a_file_over_the_limit_is_refused_before_it_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        write(&path, &[0; 11], Access::Public).unwrap();
        assert!(read_up_to(&path, 10).unwrap_err().to_string().contains("longer than 10 bytes"));
        assert_eq!(read_up_to(&path, 11).unwrap().unwrap().len(), 11);
    }
}
