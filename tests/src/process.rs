//! One child process: output in a file, `kill -9` on drop.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A running `comity`.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `comity` with these arguments; both outputs are appended to `log`.
    ///
    /// # Panics
    /// When the system cannot start it.
    pub fn start(args: &[&str], log: &Path) -> Process {
        let output = OpenOptions::new().create(true).append(true).open(log).expect("a log file");
        let errors = output.try_clone().expect("a second handle of the log file");
        Process::with(args, log, output, errors)
    }

    /// Starts `comity` with standard output in `log` alone and standard error beside it, in `log` with `.err`.
    ///
    /// # Panics
    /// When the system cannot start it.
    pub fn start_apart(args: &[&str], log: &Path) -> Process {
        let output = File::create(log).expect("a file for the output");
        let errors = File::create(log.with_extension("err")).expect("a file for the errors");
        Process::with(args, log, output, errors)
    }

    fn with(args: &[&str], log: &Path, output: File, errors: File) -> Process {
        let mut command = Command::new(super::binary::comity());
        // What the person who runs the tests has set must not decide what they prove.
        for name in ["COMITY_DATA", "COMITY_API", "COMITY_TOKEN", "COMITY_PASSPHRASE", "COMITY_PASSPHRASE_FILE"] {
            command.env_remove(name);
        }
        command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().expect("comity starts");
        Process { child, log: log.to_owned() }
    }

    /// `kill -9`, and gone when this returns.
    pub fn kill(&mut self) {
        // Either it was running and is killed, or it had ended; both leave nothing running.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Sends `TERM` or `INT` and gives the exit code; `None` when it does not end or died of a signal.
    pub fn signal(&mut self, name: &str) -> Option<i32> {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "kill -{name}");
        self.wait(super::PATIENCE)
    }

    /// The exit code, once it has ended by itself.
    pub fn wait(&mut self, patience: Duration) -> Option<i32> {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if let Ok(Some(ended)) = self.child.try_wait() {
                return ended.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// Everything that it said on standard output (and on standard error, if that goes to the same file).
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it said on standard error, if that was kept apart.
    pub fn complained(&self) -> String {
        std::fs::read_to_string(self.log.with_extension("err")).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
