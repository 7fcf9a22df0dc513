//! Create and release through the agent-settlement door, over HTTP: the requests that the published client (1.2.0) was seen to
//! send, header by header, with fresh keys, over kept connections. The client itself makes a connection for each request and
//! is slower than the node; `tests/clients/a2a_se_speed.py` measures it.
//!
//! The node is a process of its own with its disk below the named directory; every flush is waited for.

use super::{
    BenchError,
    driver::{Client, DiskCount, Target},
};
use crate::{
    config::Config,
    dev::{plan::free_ports, processes::Process},
    home::Home,
    signer::fresh_id,
    storage::files,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How long the node has to found its domain.
const FOUND_WITHIN: Duration = Duration::from_secs(20);
/// Minor units that each cycle moves.
const AMOUNT: u64 = 10;

/// A node, and the accounts that trade on it.
pub(super) struct Exchange {
    dir: PathBuf,
    node: Process,
    base: String,
    payers: Vec<String>,
    worker: String,
}

fn failed(doing: &str, error: &dyn std::fmt::Display) -> BenchError {
    BenchError::new(doing.to_owned(), error.to_string())
}

impl Exchange {
    /// Starts a node below `folder` and opens an account for each of `connections`, and one that is paid.
    pub(super) async fn start(folder: &Path, connections: usize) -> Result<Exchange, BenchError> {
        let dir = folder.join(format!("comity-bench-a2a-se-{}", std::process::id()));
        let ports = free_ports(2).map_err(|error| failed("finding ports", &error))?;
        let [http, mesh] = ports[..] else { return Err(BenchError::new("finding ports", "two were asked for")) };
        let home = Home::alone(&dir, Config::alone("exchange", http, mesh), comity_runtime::wall_ms());
        home.and_then(|home| home.save()).map_err(|error| failed("making a domain", &error))?;
        let data = dir.display().to_string();
        let started = Process::start("node", &["up", "--data", &data], &dir.join("node.log"));
        let node = started.map_err(|error| failed("starting a node", &error))?;
        let base = format!("http://{http}/a2a-se/v1");
        let mut exchange = Exchange { dir, node, base, payers: Vec::new(), worker: String::new() };
        let (base, dir) = (exchange.base.clone(), exchange.dir.clone());
        let open = move || open(&base, &dir, connections);
        let opened = comity_runtime::run_blocking(open).await;
        (exchange.payers, exchange.worker) =
            opened.unwrap_or_else(|_| Err(BenchError::new("opening accounts", "the work was not done")))?;
        Ok(exchange)
    }

    /// Ends the node and removes its disk.
    pub(super) fn stop(mut self) {
        self.node.stop(Duration::from_secs(5));
        files::remove_tree(&self.dir);
    }
}

/// Waits for the domain, then registers. Tokens of payers, and who is paid.
fn open(base: &str, dir: &Path, connections: usize) -> Result<(Vec<String>, String), BenchError> {
    let agent = agent();
    let begun = comity_runtime::now();
    while !agent.get(format!("{}/health", base.trim_end_matches("/v1"))).call().is_ok_and(|well| well.status() == 200) {
        if begun.elapsed() > FOUND_WITHIN {
            return Err(BenchError::new("starting a node", "its domain is not founded in time; see its log"));
        }
        crate::dev::processes::pause(Duration::from_millis(100));
    }
    let admission = files::read_up_to(&dir.join("admission.token"), 1024).ok().flatten().unwrap_or_default();
    let admission = String::from_utf8_lossy(&admission).trim().to_owned();
    let register = |name: &str| {
        let body = json!({
            "bot_name": name, "developer_id": "bench", "developer_name": "bench", "contact_email": "bench@example.com",
        });
        let made = post(&agent, &format!("{base}/accounts/register"), &admission, &body)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok::<_, BenchError>((text(&made["account"]["id"]), text(&made["api_key"])))
    };
    let payers = (0..connections).map(|_| register("payer").map(|(_, token)| token)).collect::<Result<_, _>>()?;
    Ok((payers, register("worker")?.0))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// One request as the published client sends it.
fn post(agent: &ureq::Agent, url: &str, token: &str, body: &Value) -> Result<Value, BenchError> {
    let (id, key) = (fresh_id().to_string(), fresh_id().to_string());
    let sent = agent
        .post(url)
        .header("accept", "*/*")
        .header("accept-encoding", "gzip, deflate")
        .header("user-agent", "python-httpx/0.28.1")
        .header("authorization", format!("Bearer {token}"))
        .header("x-request-id", format!("req_{}", &id[..12]))
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .send(body.to_string());
    let mut answer = sent.map_err(|error| failed("asking the exchange", &error))?;
    let status = answer.status();
    let told: Value = answer.body_mut().read_json().map_err(|error| failed("reading an answer", &error))?;
    if status.is_success() { Ok(told) } else { Err(failed("asking the exchange", &told)) }
}

impl Target for Exchange {
    type Client = Trader;

    async fn clients(&self, count: usize) -> Result<Vec<Trader>, BenchError> {
        let tokens = self.payers.iter().cycle().take(count);
        let trader = |token: &String| Trader {
            at: Arc::new(At {
                agent: agent(),
                base: self.base.clone(),
                token: token.clone(),
                worker: self.worker.clone(),
            }),
        };
        Ok(tokens.map(trader).collect())
    }

    async fn disks(&self) -> Option<DiskCount> {
        None
    }
}

/// Where a trader stands.
struct At {
    agent: ureq::Agent,
    base: String,
    token: String,
    worker: String,
}

/// One account on one connection.
pub(super) struct Trader {
    at: Arc<At>,
}

impl Client for Trader {
    async fn call(&mut self) -> Result<u64, BenchError> {
        let at = self.at.clone();
        let cycled = comity_runtime::run_blocking(move || at.cycle()).await;
        cycled.unwrap_or_else(|_| Err(BenchError::new("trading", "the work was not done")))
    }
}

impl At {
    fn cycle(&self) -> Result<u64, BenchError> {
        let task = fresh_id().to_string();
        let body = json!({ "provider_id": self.worker, "amount": AMOUNT, "task_id": task });
        let made = post(&self.agent, &format!("{}/exchange/escrow", self.base), &self.token, &body)?;
        let body = json!({ "escrow_id": made["escrow_id"] });
        let done = post(&self.agent, &format!("{}/exchange/release", self.base), &self.token, &body)?;
        if done["status"] == "released" { Ok(1) } else { Err(failed("releasing", &done)) }
    }
}
