//! `pgbench`: PostgreSQL's own driver, with percentiles from its per-transaction log.

use super::Cluster;
use crate::bench::{
    BenchError,
    cpu::CpuClock,
    driver::{Figure, Load, Tally, Usage},
};
use std::{fs, path::Path, process::Stdio};

/// One of the measured operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// One escrow lock in one function call, spread over 1 024 pool accounts.
    Lock,
    /// The same into one hot pool account.
    LockHot,
    /// 64 locks in one transaction, set-based, into one hot pool account.
    LockBatch64,
}

impl Script {
    const fn text(self) -> &'static str {
        match self {
            Script::Lock => include_str!("../sql/escrow_func.pgbench"),
            Script::LockHot => include_str!("../sql/escrow_hot.pgbench"),
            Script::LockBatch64 => include_str!("../sql/escrow_batch64.pgbench"),
        }
    }

    /// Operations in one transaction.
    const fn operations(self) -> u64 {
        match self {
            Script::Lock | Script::LockHot => 1,
            Script::LockBatch64 => 64,
        }
    }

    /// Runs it against a cluster. More clients than 180 do not fit the cluster's connections.
    ///
    /// # Errors
    /// When pgbench fails or its output is not understood.
    pub async fn run(self, cluster: &Cluster, load: Load) -> Result<Figure, BenchError> {
        let script = cluster.scratch().join("script.pgbench");
        fs::write(&script, self.text()).map_err(|e| BenchError::new("writing the script", e.to_string()))?;
        if !load.warm_up.is_zero() {
            pgbench(cluster, &script, load, load.warm_up.as_secs().max(1), None).await?;
        }
        let log = cluster.scratch().join("latency");
        let before = (CpuClock::read(), cluster.disks().await);
        let seconds = load.window.as_secs().max(1);
        let output = pgbench(cluster, &script, load, seconds, Some(&log)).await?;
        let after = (CpuClock::read(), cluster.disks().await);
        let usage = Usage::between((before.0, after.0), (before.1, after.1));
        let mut figure = self.tally(&log)?.figure(std::time::Duration::from_secs(seconds), usage);
        // Its own rate leaves out the time it took to connect.
        figure.per_second = rate(&output)? * self.operations() as f64;
        figure.errors = failed(&output);
        Ok(figure)
    }

    /// Reads and removes the logs: one line per transaction, the third word is its time in microseconds.
    fn tally(self, prefix: &Path) -> Result<Tally, BenchError> {
        let bad = |what: &str| BenchError::new("reading pgbench's log", what.to_owned());
        let (Some(folder), Some(name)) = (prefix.parent(), prefix.file_name()) else { return Err(bad("no such log")) };
        let mut tally = Tally::new();
        for entry in fs::read_dir(folder).map_err(|e| bad(&e.to_string()))?.flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&*name.to_string_lossy()) {
                continue;
            }
            let text = fs::read_to_string(entry.path()).map_err(|e| bad(&e.to_string()))?;
            for line in text.lines() {
                let took = line.split(' ').nth(2).and_then(|word| word.parse().ok()).ok_or_else(|| bad(line))?;
                tally.success(took, self.operations());
            }
            let _ = fs::remove_file(entry.path());
        }
        Ok(tally)
    }
}

async fn pgbench(
    cluster: &Cluster,
    script: &Path,
    load: Load,
    seconds: u64,
    log: Option<&Path>,
) -> Result<String, BenchError> {
    let (port, clients) = (cluster.port().to_string(), load.clients.to_string());
    let mut command = cluster.installation().client("pgbench");
    command.args(["-h", "127.0.0.1", "-p", &port, "-U", "bench", "-n", "-M", "prepared", "-f"]).arg(script);
    command.args(["-c", &clients, "-j", &load.clients.min(2).to_string(), "-T", &seconds.to_string()]);
    if let Some(prefix) = log {
        command.arg("-l").arg("--log-prefix").arg(prefix);
    }
    let done = command.arg("bench").stdin(Stdio::null()).output().await;
    let done = done.map_err(|e| BenchError::new("starting pgbench", e.to_string()))?;
    if !done.status.success() {
        return Err(BenchError::new("running pgbench", String::from_utf8_lossy(&done.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Transactions per second, without the time to connect.
fn rate(output: &str) -> Result<f64, BenchError> {
    let line =
        output.lines().find(|line| line.starts_with("tps = ") && line.contains("without initial connection time"));
    let number = line.and_then(|line| line.split_whitespace().nth(2)).and_then(|word| word.parse().ok());
    number.ok_or_else(|| BenchError::new("reading pgbench's output", output.to_owned()))
}

fn failed(output: &str) -> u64 {
    let line = output.lines().find_map(|line| line.strip_prefix("number of failed transactions: "));
    line.and_then(|rest| rest.split(' ').next()).and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "transaction type: script.pgbench\nnumber of transactions actually processed: 41\n\
        number of failed transactions: 3 (0.1%)\nlatency average = 1.9 ms\ninitial connection time = 10.2 ms\n\
        tps = 5508.123456 (without initial connection time)\n";

    #[test]
    fn rate_and_failures_are_read_from_its_summary() {
        assert_eq!(rate(OUTPUT).ok(), Some(5508.123456));
        assert_eq!(failed(OUTPUT), 3);
        assert!(rate("pgbench: error").is_err());
    }

    #[test]
    fn percentiles_are_read_from_the_logs_of_all_threads() {
        let folder = tempfile::tempdir().expect("a directory");
        let line = |us: u64| format!("0 1 {us} 0 1700000000 123\n");
        fs::write(folder.path().join("latency.7"), (1..=50).map(line).collect::<String>()).expect("a log");
        fs::write(folder.path().join("latency.7.1"), (51..=100).map(line).collect::<String>()).expect("a log");
        fs::write(folder.path().join("other"), "x").expect("a file");
        let tally = Script::LockBatch64.tally(&folder.path().join("latency")).expect("logs are read");
        let figure = tally.figure(std::time::Duration::from_secs(1), Usage::default());
        assert_eq!((figure.operations, figure.p50_us, figure.p99_us), (6400, 50, 99));
        assert!(!folder.path().join("latency.7").exists() && folder.path().join("other").exists());
    }
}
