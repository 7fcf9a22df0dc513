//! The conformance suite of the Model Context Protocol itself, unmodified, against a node with the fixtures that it calls by
//! name: every server scenario that a revision requires, at that revision's wire. It comes from npm and fails without.

use comity_tests::{
    foreign::{Npm, ran},
    single::{Single, free_addresses},
};
use serde_json::Value;
use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

const SUITE: &str = "node_modules/@modelcontextprotocol/conformance/dist/index.js";

/// Warned of, and right so: a node gives out no `Mcp-Session-Id`, because any node of a domain answers any request. The
/// earlier revision makes it optional; without it the two scenarios ask nothing further.
const WARNED: [&str; 2] = ["server-sse-multiple-streams-session", "server-sse-polling-session"];

/// Times that the suite is run before it has failed.
const ROUNDS: usize = 3;

/// A node at 127.0.0.1: what the suite says about rebound names it says of that address only.
fn node() -> Single {
    let mut node = Single::nothing();
    let mut addresses = std::iter::repeat_with(|| (Ipv4Addr::LOCALHOST, free_addresses(1)[0].port()));
    let free = addresses.find(|address| TcpListener::bind(address).is_ok());
    node.http = free.expect("a free port").into();
    node.start(&[]);
    node.wait_until_founded();
    node
}

/// What the suite wrote down: the checks of each scenario.
fn checks(results: &Path) -> Vec<Vec<Value>> {
    let folders = fs::read_dir(results).expect("results").map(|entry| entry.expect("a folder").path());
    let read = |folder: PathBuf| {
        let text = fs::read_to_string(folder.join("checks.json")).expect("checks");
        serde_json::from_str(&text).expect("JSON")
    };
    folders.map(read).collect()
}

fn id(check: &Value) -> &str {
    check["id"].as_str().unwrap_or_default()
}

/// Runs the suite once: what it said when a check of a required scenario failed, or something was warned of.
fn run(npm: &Npm, node: &Single, revision: &str, required: usize) -> Result<(), String> {
    let results = tempfile::tempdir().expect("a temporary directory");
    let mut suite = npm.run(Path::new(SUITE));
    suite.args(["server", "--requirements", revision, "--url", &format!("http://{}/mcp", node.http)]);
    let ended = ran(suite.arg("--output-dir").arg(results.path()));
    let said = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    let checks = checks(results.path());
    assert!(checks.len() >= required, "{} scenarios were run\n{said}", checks.len());
    let of = |status: &'static str| checks.iter().flatten().filter(move |check| check["status"] == status).cloned();
    let warned: Vec<Value> = of("WARNING").filter(|check| !WARNED.contains(&id(check))).collect();
    if ended.status.success() && warned.is_empty() {
        return Ok(());
    }
    let failed: Vec<Value> = of("FAILURE").collect();
    Err(format!("{said}\nwarned: {warned:#?}\nfailed: {failed:#?}"))
}

fn conforms(revision: &str, required: usize) {
    let (npm, node) = (Npm::installed(), node());
    // In places the suite waits for half a second only: what a busy machine misses once it does not miss each time.
    let mut said = String::new();
    for _ in 0..ROUNDS {
        match run(&npm, &node, revision, required) {
            Ok(()) => return,
            Err(words) => said = words,
        }
    }
    panic!("{said}");
}

#[test]
fn all_37_server_scenarios_of_the_revision_2026_07_28_pass() {
    conforms("2026-07-28", 37);
}

#[test]
fn all_30_server_scenarios_of_the_revision_2025_11_25_pass() {
    conforms("2025-11-25", 30);
}
