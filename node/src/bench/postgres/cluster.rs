//! One throw-away PostgreSQL cluster.

use super::Installation;
use crate::bench::{BenchError, driver::DiskCount, place};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

/// Tables, functions and 100 000 funded accounts.
const SCHEMA: &str = include_str!("../sql/schema.sql");

/// A shell that stands between the bench and the server: when its input closes, because the bench stopped the cluster or
/// because the bench is gone, it ends the server and removes the directory. So nothing is left behind by a kill either.
const KEEPER: &str = r#"
trap '' INT TERM HUP
folder=$1; shift
"$@" >"$folder/server.log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT "$server" 2>/dev/null
wait "$server" 2>/dev/null
rm -rf "$folder"
"#;

/// A running cluster with the role and database `bench`. Dropping it stops and removes it.
pub struct Cluster {
    installation: Installation,
    folder: PathBuf,
    port: u16,
    keeper: Child,
}

impl Cluster {
    /// Makes, starts and loads a cluster in a new directory below `parent`. Takes some seconds.
    ///
    /// # Errors
    /// When the directory is in memory, or a step of PostgreSQL fails; says which and shows its words.
    pub async fn start(installation: &Installation, parent: &Path) -> Result<Cluster, BenchError> {
        place::refuse_memory_disk(parent)?;
        let port = place::free_ports(1)?[0].port();
        let folder = parent.join(format!("comity-bench-postgres-{}-{port}", std::process::id()));
        fs::create_dir(&folder)
            .map_err(|e| BenchError::new(format!("creating {}", folder.display()), e.to_string()))?;
        let started = Self::launch(installation, &folder, port);
        let cluster = match started {
            Ok(cluster) => cluster,
            Err(error) => {
                // Nothing runs yet; what is left of the directory is ours to remove.
                let _ = fs::remove_dir_all(&folder);
                return Err(error);
            }
        };
        cluster.wait_until_ready().await?;
        cluster.sql("postgres", "postgres", "CREATE ROLE bench SUPERUSER LOGIN").await?;
        cluster.sql("postgres", "postgres", "CREATE DATABASE bench OWNER bench").await?;
        // From a file: what `-c` runs is one transaction, and VACUUM refuses to be in one.
        let schema = folder.join("schema.sql");
        fs::write(&schema, SCHEMA).map_err(|e| BenchError::new("writing the schema", e.to_string()))?;
        cluster.psql("bench", "bench", "-f", schema.as_os_str()).await?;
        Ok(cluster)
    }

    fn launch(installation: &Installation, folder: &Path, port: u16) -> Result<Cluster, BenchError> {
        installation.hand_over(folder)?;
        let data = folder.join("data");
        let made = installation
            .server(&installation.program("initdb"))
            .arg("-D")
            .arg(&data)
            .args(["-A", "trust", "-U", "postgres"])
            .output();
        let made = made.map_err(|e| BenchError::new("starting initdb", e.to_string()))?;
        if !made.status.success() {
            return Err(BenchError::new("running initdb", String::from_utf8_lossy(&made.stderr).trim()));
        }
        let mut keeper = installation.server(Path::new("/bin/sh"));
        keeper.args(["-c", KEEPER, "keeper"]).arg(folder).arg(installation.program("postgres")).arg("-D").arg(&data);
        for setting in settings(port, folder) {
            keeper.arg("-c").arg(setting);
        }
        let keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let keeper = keeper.map_err(|e| BenchError::new("starting postgres", e.to_string()))?;
        Ok(Cluster { installation: installation.clone(), folder: folder.to_owned(), port, keeper })
    }

    async fn wait_until_ready(&self) -> Result<(), BenchError> {
        for _ in 0..300 {
            if self.sql("postgres", "postgres", "SELECT 1").await.is_ok() {
                return Ok(());
            }
            comity_runtime::sleep(Duration::from_millis(100)).await;
        }
        let log = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(5).collect();
        Err(BenchError::new("waiting 30 s for postgres", tail.into_iter().rev().collect::<Vec<_>>().join("\n")))
    }

    /// Where it listens: loopback only.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its version, as the server names itself.
    pub fn version(&self) -> &str {
        &self.installation.version
    }

    pub(super) fn installation(&self) -> &Installation {
        &self.installation
    }

    /// A directory for files of one run; gone with the cluster.
    pub(super) fn scratch(&self) -> &Path {
        &self.folder
    }

    /// Runs SQL as one transaction and answers what it prints.
    pub(super) async fn sql(&self, user: &str, database: &str, text: &str) -> Result<String, BenchError> {
        self.psql(user, database, "-c", text.as_ref()).await
    }

    async fn psql(&self, user: &str, database: &str, how: &str, what: &OsStr) -> Result<String, BenchError> {
        let port = self.port.to_string();
        let mut psql = self.installation.client("psql");
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", user, "-d", database, "-X", "-q", "-A", "-t"]);
        psql.args(["-v", "ON_ERROR_STOP=1", how]).arg(what).stdin(Stdio::null());
        let done = psql.output().await.map_err(|e| BenchError::new("starting psql", e.to_string()))?;
        if !done.status.success() {
            return Err(BenchError::new("running SQL", String::from_utf8_lossy(&done.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    /// Flushes and bytes of its write-ahead log since it started. Checkpoints are not counted: they come later.
    pub async fn disks(&self) -> Option<DiskCount> {
        let major: u32 = self.installation.version.split('.').next()?.parse().ok()?;
        let query = if major >= 18 {
            "SELECT (SELECT coalesce(sum(fsyncs), 0) FROM pg_stat_io WHERE object = 'wal') || '|' || wal_bytes FROM pg_stat_wal"
        } else {
            "SELECT wal_sync || '|' || wal_bytes FROM pg_stat_wal"
        };
        let answer = self.sql("bench", "bench", query).await.ok()?;
        let (syncs, bytes) = answer.split_once('|')?;
        Some(DiskCount { syncs: syncs.parse().ok()?, bytes: bytes.parse().ok()? })
    }

    /// Whether the books balance: entries sum to zero and no balance differs from its entries.
    ///
    /// # Errors
    /// When they do not, or cannot be read.
    pub async fn check_books(&self) -> Result<(), BenchError> {
        let query = "SELECT (SELECT coalesce(sum(delta), 0) FROM entries) || '|' || (SELECT count(*) FROM accounts a \
            WHERE a.balance <> 1000000000000 + coalesce((SELECT sum(delta) FROM entries e WHERE e.account = a.id), 0) \
            AND a.id IN (SELECT account FROM entries ORDER BY id LIMIT 1000))";
        match self.sql("bench", "bench", query).await?.as_str() {
            "0|0" => Ok(()),
            other => Err(BenchError::new(
                "checking PostgreSQL's books",
                format!("sum of entries | wrong balances = {other}"),
            )),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Closing its input is the order to stop; see `KEEPER`.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// What a careful user sets, and no more.
fn settings(port: u16, folder: &Path) -> Vec<String> {
    let mut all = vec![format!("port={port}"), format!("unix_socket_directories={}", folder.display())];
    let fixed = [
        "listen_addresses=127.0.0.1",
        "max_connections=200",
        "max_prepared_transactions=200",
        "shared_buffers=512MB",
        "max_wal_size=4GB",
        "fsync=on",
        "synchronous_commit=on",
        "wal_sync_method=fdatasync",
        "full_page_writes=on",
    ];
    all.extend(fixed.map(str::to_owned));
    all
}
