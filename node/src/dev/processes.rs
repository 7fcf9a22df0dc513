//! Child processes of `dev`: started with a log file each, stopped with their parent, killed on demand.

use crate::{
    service::error::{Kind, ServiceError},
    storage::files,
};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// One running child.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts this very program with `args`; its output goes to `log`.
    ///
    /// # Errors
    /// `cannot_start`.
    pub fn start(name: &str, args: &[&str], log: &Path) -> Result<Process, ServiceError> {
        let start = || -> std::io::Result<Child> {
            let output = files::append_to(log)?;
            Command::new(std::env::current_exe()?)
                .args(args)
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                .spawn()
        };
        let child = start().map_err(|error| {
            ServiceError::new(Kind::Internal, "cannot_start", format!("{name}: {error}"), "see the log of that process")
        })?;
        Ok(Process { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its name in the story.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The system's number for it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, bytes.
    pub fn resident_bytes(&self) -> Option<u64> {
        files::resident_bytes(self.child.id())
    }

    /// `kill -9`: no chance to tidy up.
    pub fn kill(&mut self) {
        // Either it was running and is killed, or it had ended; both leave nothing running.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// The last lines of its log, for a failure's text.
    pub fn last_words(&self) -> String {
        let log = files::read_up_to(&self.log, 64 * 1024 * 1024).ok().flatten().unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Asks it to end, waits up to `patience`, then kills it.
    pub fn stop(&mut self, patience: Duration) {
        #[cfg(unix)]
        if let Ok(raw) = i32::try_from(self.child.id())
            && let Some(pid) = rustix::process::Pid::from_raw(raw)
        {
            let _asked = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let begun = comity_runtime::now();
        while begun.elapsed() < patience {
            if self.ended() {
                return;
            }
            pause(Duration::from_millis(20));
        }
        self.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits on this thread: `dev` itself is a plain sequence of steps, not a node.
#[expect(clippy::disallowed_methods, reason = "the driver of child processes, not node code")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
