//! What a node costs that does nothing: memory and processor time of a real process with a domain of one.

use super::{BenchError, cpu::CpuClock};
use crate::{
    cli::client::Client,
    config::Config,
    dev::{plan::free_ports, processes::Process},
    home::Home,
    storage::files,
};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// How long the node has to found its domain and calm down before it is watched.
const SETTLE: Duration = Duration::from_secs(3);

/// One watched node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    /// Resident memory at the end, bytes.
    resident_bytes: u64,
    /// Share of one core, in per cent.
    core_percent: f64,
    /// How long it was watched.
    seconds: u64,
}

/// Starts a node, watches it for `seconds`, stops it and removes its directory.
pub(super) async fn watch(folder: &Path, seconds: u64) -> Result<Idle, BenchError> {
    let failed = |doing: &str, error: &dyn std::fmt::Display| BenchError::new(doing.to_owned(), error.to_string());
    let dir = folder.join(format!("comity-bench-idle-{}", std::process::id()));
    let ports = free_ports(2).map_err(|error| failed("finding ports", &error))?;
    let [http, mesh] = ports[..] else { return Err(BenchError::new("finding ports", "two were asked for")) };
    let home = Home::alone(&dir, Config::alone("idle", http, mesh), comity_runtime::wall_ms());
    home.and_then(|home| home.save().map(|()| home)).map_err(|error| failed("making a domain", &error))?;
    let watched = observe(&dir, http, seconds).await;
    files::remove_tree(&dir);
    watched
}

async fn observe(dir: &Path, http: std::net::SocketAddr, seconds: u64) -> Result<Idle, BenchError> {
    let failed = |doing: &str, error: &dyn std::fmt::Display| BenchError::new(doing.to_owned(), error.to_string());
    let data = dir.display().to_string();
    let mut node = Process::start("node", &["up", "--data", &data], &dir.join("node.log"))
        .map_err(|error| failed("starting a node", &error))?;
    comity_runtime::sleep(SETTLE).await;
    let token = crate::home::operator_token(dir).map_err(|error| failed("reading the token", &error))?;
    let status: Value = Client::new(format!("http://{http}"), token)
        .get("/api/v1/status")
        .map_err(|error| failed("asking the node", &format!("{error}; {}", node.last_words())))?;
    if status["founded"] != true {
        return Err(BenchError::new("asking the node", "its domain is not founded after three seconds"));
    }
    let unknown = || BenchError::new("reading /proc", "this system does not tell a process's time and memory");
    let before = CpuClock::read().ok_or_else(unknown)?;
    comity_runtime::sleep(Duration::from_secs(seconds)).await;
    let used = CpuClock::read().ok_or_else(unknown)?.since(&before);
    let resident_bytes = node.resident_bytes().ok_or_else(unknown)?;
    node.stop(Duration::from_secs(5));
    let core_percent = used.own_us as f64 / (seconds as f64 * 10_000.0);
    Ok(Idle { resident_bytes, core_percent, seconds })
}

impl Idle {
    /// For programs.
    pub(super) fn document(&self) -> Value {
        json!({
            "bench": "idle", "rss_mb": self.resident_bytes as f64 / f64::from(1 << 20),
            "core_percent": self.core_percent, "seconds": self.seconds,
        })
    }

    /// For people.
    pub(super) fn sentence(&self) -> String {
        format!(
            "an idle node: {:.1} MB resident, {:.2} % of a core over {} s",
            self.resident_bytes as f64 / f64::from(1 << 20),
            self.core_percent,
            self.seconds
        )
    }
}
