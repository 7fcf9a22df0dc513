//! Where PostgreSQL is on this machine, and who may run it.

use crate::bench::BenchError;
use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
};
use tokio::process::Command;

/// What to tell somebody who has no PostgreSQL.
const HOW_TO_INSTALL: &str = "install it (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install \
    postgresql-server postgresql-contrib; macOS: brew install postgresql), or run with --postgres off";

/// The programs of one PostgreSQL version.
#[derive(Clone, Debug)]
pub struct Installation {
    bin: PathBuf,
    /// As it names itself: `15.18`.
    pub version: String,
    /// Who runs the server: PostgreSQL refuses to run as root.
    runner: Option<(u32, u32)>,
}

impl Installation {
    /// The newest version found in the usual places, or in `PATH`.
    ///
    /// # Errors
    /// When none is found, or this process is root and there is no user to run it as; says what to do.
    pub fn find() -> Result<Installation, BenchError> {
        let bin = candidates().into_iter().find(|folder| {
            ["initdb", "postgres", "psql", "pgbench"].iter().all(|program| folder.join(program).is_file())
        });
        let bin = bin.ok_or_else(|| BenchError::new("finding PostgreSQL", HOW_TO_INSTALL))?;
        let printed = std::process::Command::new(bin.join("postgres")).arg("--version").output();
        let printed = printed.map_err(|e| BenchError::new("asking postgres for its version", e.to_string()))?;
        let text = String::from_utf8_lossy(&printed.stdout).into_owned();
        let version = text.split_whitespace().nth(2).unwrap_or("of unknown version").to_owned();
        Ok(Installation { bin, version, runner: runner()? })
    }

    /// A client program: runs as whoever runs the bench, and takes no settings from the environment.
    pub(super) fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        for name in std::env::vars_os().map(|(name, _)| name).filter(|n| n.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command
    }

    /// A program that PostgreSQL will not run as root, started as the runner.
    pub(super) fn server(&self, program: &Path) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        command.env_remove("PGDATA").current_dir("/");
        if let Some((user, group)) = self.runner {
            command.uid(user).gid(group);
        }
        command
    }

    /// The path of one of its programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Gives a fresh directory to the runner.
    pub(super) fn hand_over(&self, folder: &Path) -> Result<(), BenchError> {
        let Some((user, group)) = self.runner else { return Ok(()) };
        std::os::unix::fs::chown(folder, Some(user), Some(group))
            .map_err(|e| BenchError::new("handing the directory to the database's user", e.to_string()))
    }
}

/// Folders that may hold the programs, the newest version first.
fn candidates() -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = Vec::new();
    for parent in ["/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt", "/usr"] {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name.trim_start_matches("postgresql@").trim_start_matches("pgsql-").parse().ok();
            versions.extend(number.map(|number| (number, entry.path().join("bin"))));
        }
    }
    versions.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions.into_iter().map(|(_, folder)| folder).chain(std::env::split_paths(&path)).collect()
}

/// User and group to run the server as; `None` when this process may run it itself.
fn runner() -> Result<Option<(u32, u32)>, BenchError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = ["postgres", "nobody"].iter().find_map(|name| ids_of(&users, name));
    found.map(Some).ok_or_else(|| {
        BenchError::new(
            "choosing a user",
            "PostgreSQL does not run as root and there is no user postgres: run as another user",
        )
    })
}

fn ids_of(users: &str, name: &str) -> Option<(u32, u32)> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_from_the_line_of_exactly_that_user() {
        let users = "root:x:0:0::/root-home:/bin/sh\npostgres2:x:7:8::/:/bin/sh\npostgres:x:105:113:P:/:/bin/sh\n";
        assert_eq!(ids_of(users, "postgres"), Some((105, 113)));
        assert_eq!(ids_of(users, "nobody"), None);
    }
}
