//! What an unchanged poll of the domain card costs: a real node process, one connection, round trips on loopback. The
//! time includes the client and both ways through the system's network, so the server's share is less.

use super::BenchError;
use crate::{
    config::Config,
    dev::{plan::free_ports, processes::Process},
    home::Home,
    storage::files,
};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// How long the node has to found its domain and sign a card.
const FOUND_WITHIN: Duration = Duration::from_secs(20);
/// Polls before counting begins.
const WARM_UP: u64 = 200;

/// Times of one round trip, microseconds.
#[derive(Clone, Debug)]
pub(super) struct Polls {
    times_us: Histogram<u64>,
    body_bytes: u64,
}

/// Starts a node, polls its card `count` times with the tag of the first answer, and removes it.
pub(super) async fn poll(folder: &Path, count: u64) -> Result<Polls, BenchError> {
    let failed = |doing: &str, error: &dyn std::fmt::Display| BenchError::new(doing.to_owned(), error.to_string());
    let dir = folder.join(format!("comity-bench-card-{}", std::process::id()));
    let ports = free_ports(2).map_err(|error| failed("finding ports", &error))?;
    let [http, mesh] = ports[..] else { return Err(BenchError::new("finding ports", "two were asked for")) };
    let home = Home::alone(&dir, Config::alone("card", http, mesh), comity_runtime::wall_ms());
    home.and_then(|home| home.save()).map_err(|error| failed("making a domain", &error))?;
    let data = dir.display().to_string();
    let started = Process::start("node", &["up", "--data", &data], &dir.join("node.log"));
    let mut node = started.map_err(|error| failed("starting a node", &error))?;
    let url = format!("http://{http}/.well-known/registry-card.json");
    let measured = comity_runtime::run_blocking(move || measure(&url, count)).await;
    node.stop(Duration::from_secs(5));
    files::remove_tree(&dir);
    measured.unwrap_or_else(|_| Err(BenchError::new("polling", "the work was not done")))
}

fn measure(url: &str, count: u64) -> Result<Polls, BenchError> {
    let failed = |error: &dyn std::fmt::Display| BenchError::new("polling", error.to_string());
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent: ureq::Agent = config.into();
    let (etag, body_bytes) = first(&agent, url)?;
    let mut times_us = Histogram::new(3).map_err(|error| failed(&error))?;
    for poll in 0..count.saturating_add(WARM_UP) {
        let begun = comity_runtime::now();
        let mut answer = agent.get(url).header("if-none-match", &etag).call().map_err(|error| failed(&error))?;
        // Read to its end, so that the connection is used again.
        let body = answer.body_mut().read_to_vec().map_err(|error| failed(&error))?;
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        if answer.status() != 304 || !body.is_empty() {
            return Err(BenchError::new("polling", format!("an unchanged card was answered with {}", answer.status())));
        }
        if poll >= WARM_UP {
            times_us.record(took).map_err(|error| failed(&error))?;
        }
    }
    Ok(Polls { times_us, body_bytes })
}

/// Waits for the first card. Its tag, and how long it is.
fn first(agent: &ureq::Agent, url: &str) -> Result<(String, u64), BenchError> {
    let begun = comity_runtime::now();
    while begun.elapsed() < FOUND_WITHIN {
        crate::dev::processes::pause(Duration::from_millis(100));
        let Ok(mut answer) = agent.get(url).call() else { continue };
        let tag = answer.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        if let (true, Some(tag), Ok(body)) = (answer.status() == 200, tag, answer.body_mut().read_to_vec()) {
            return Ok((tag, body.len() as u64));
        }
    }
    Err(BenchError::new("polling", "the node made no card in time; see what its log says"))
}

impl Polls {
    fn ms(&self, quantile: f64) -> f64 {
        self.times_us.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        json!({
            "bench": "card", "polls": self.times_us.len(), "card_bytes": self.body_bytes,
            "p50_ms": self.ms(0.5), "p99_ms": self.ms(0.99), "max_ms": self.ms(1.0),
        })
    }

    /// For people.
    pub(super) fn sentence(&self) -> String {
        format!(
            "unchanged poll of a card of {} bytes: 304 within {:.2} ms (p50), {:.2} ms (p99), {:.2} ms (max), {} round trips",
            self.body_bytes,
            self.ms(0.5),
            self.ms(0.99),
            self.ms(1.0),
            self.times_us.len()
        )
    }
}
