//! Clients of others, unmodified, against a real node. `cargo clients` runs these; they need Python 3.11 or newer, npm, and
//! the package indexes of both, and fail without, while `cargo test` needs none of them.

use comity_tests::{
    PATIENCE,
    binary::comity,
    cli::ask,
    exchange::Exchange,
    foreign::{Npm, folder, must, python, ran},
    pair::{Pair, text},
    process::Process,
    single::Single,
    wait_for,
};
use serde_json::Value;
use std::{
    net::TcpListener,
    process::{Child, Command},
};

/// Runs a script against a fresh node.
fn run(environment: &str, script: &str, more: &[&str]) -> String {
    let python = python(environment);
    let node = Single::up();
    let url = format!("http://{}/mcp", node.http);
    let mut command = Command::new(python);
    command.arg(folder().join(script)).args([&url, &node.token("admission.token")]).args(more);
    must(&mut command)
}

#[test]
fn mcp_2_3_0_discovers_the_newest_revision_and_lives_a_whole_escrow() {
    let said = run("mcp-2", "mcp_life.py", &["auto", "2026-07-28"]);
    assert!(said.contains("released"), "{said}");
}

#[test]
fn mcp_2_3_0_in_legacy_mode_lives_a_whole_escrow() {
    let said = run("mcp-2", "mcp_life.py", &["legacy", "2025-11-25"]);
    assert!(said.contains("released"), "{said}");
}

#[test]
fn mcp_1_30_0_lives_a_whole_escrow() {
    let said = run("mcp-1", "mcp_life.py", &["initialize", "2025-11-25"]);
    assert!(said.contains("released"), "{said}");
}

#[test]
fn mcp_2_3_0_over_standard_input_and_output_lives_a_whole_escrow() {
    let comity = comity().display().to_string();
    let said = run("mcp-2", "mcp_life.py", &["stdio", "2026-07-28", &comity]);
    assert!(said.contains("released"), "{said}");
}

/// Webhooks of a test are on this machine.
const HOOKS: &str = "webhook_hosts = [\"127.0.0.1\"]";

/// Runs the A2A client of a payer against `payer`, with a worker that asks `worker` for work.
fn a2a(binding: &str, payer: &Single, worker: &Single) -> String {
    let mut command = Command::new(python("a2a-1"));
    command.arg(folder().join("a2a_life.py")).arg(binding);
    for node in [payer, worker] {
        command.args([format!("http://{}", node.http), node.token("admission.token")]);
    }
    must(&mut command)
}

#[test]
fn a2a_1_3_0_over_json_rpc_finds_verifies_hires_follows_and_pays() {
    let node = Single::configured("acme", HOOKS);
    assert!(a2a("JSONRPC", &node, &node).contains("done and paid"));
}

#[test]
fn a2a_1_3_0_over_http_json_does_the_same() {
    let node = Single::configured("acme", HOOKS);
    assert!(a2a("HTTP+JSON", &node, &node).contains("done and paid"));
}

#[test]
fn a2a_1_3_0_over_grpc_does_the_same() {
    let node = Single::configured("acme", HOOKS);
    assert!(a2a("GRPC", &node, &node).contains("done and paid"));
}

#[test]
fn a2a_1_3_0_does_the_same_with_an_agent_of_another_domain() {
    let pair = Pair::of(Single::configured("acme", HOOKS), Single::named("globex"), "all");
    assert!(a2a("JSONRPC", &pair.acme, &pair.globex).contains("done and paid"));
    assert!(a2a("GRPC", &pair.acme, &pair.globex).contains("done and paid"));
}

/// The same by the JavaScript client, against one node.
fn a2a_js(binding: &str) -> String {
    let node = Single::named("acme");
    let mut command = Npm::installed().script("a2a_life.mjs");
    must(command.arg(binding).args([format!("http://{}", node.http), node.token("admission.token")]))
}

#[test]
fn a2a_js_1_3_0_over_json_rpc_verifies_hires_follows_cancels_and_pays() {
    assert!(a2a_js("JSONRPC").contains("done and paid"));
}

#[test]
fn a2a_js_1_3_0_over_http_json_does_the_same() {
    assert!(a2a_js("HTTP+JSON").contains("done and paid"));
}

#[test]
fn a2a_settlement_1_2_0_lives_whole_escrows_and_its_probes_make_one_escrow() {
    let exchange = Exchange::open();
    let mut command = Command::new(python("a2a-se-1"));
    command.arg(folder().join("a2a_se_life.py"));
    command.args([&exchange.base, &exchange.node.token("admission.token"), &exchange.arbiter]);
    assert!(must(&mut command).contains("released"));
}

/// Runs a script of x402's client and middleware against a fresh node.
fn x402(script: &str) -> String {
    let node = Single::up();
    let mut command = Command::new(python("x402-2"));
    command.arg(folder().join(script)).args([&format!("http://{}", node.http), &node.token("admission.token")]);
    must(&mut command)
}

#[test]
fn x402_2_25_0_pays_locks_releases_and_gives_back_and_a_repeated_lock_is_a_lock() {
    let said = x402("x402_life.py");
    assert!(said.contains("paid, locked once, released once, given back"), "{said}");
}

#[test]
fn the_x402_example_of_the_readme_runs() {
    let said = x402("examples/x402_paid.py");
    assert!(said.contains("two generals agreed for 250000 minor units, escrow released"), "{said}");
}

#[test]
fn joserfc_1_8_0_and_rfc8785_0_1_4_verify_the_cards_of_a_node() {
    let node = Single::named("acme");
    let mut command = Command::new(python("a2a-1"));
    command.arg(folder().join("cards_verify.py")).arg(format!("http://{}", node.http));
    assert!(must(&mut command).contains("both signatures good"));
}

#[test]
fn pyld_3_3_0_round_trips_an_escrow_and_joserfc_and_jsonschema_hold_a_payee_s_demand() {
    let node = Single::up();
    let mut command = Command::new(python("pyld-3"));
    command.arg(folder().join("documents_verify.py"));
    command.args([format!("http://{}", node.http), node.token("admission.token")]);
    let said = must(&mut command);
    assert!(said.contains("equal after the round trip") && said.contains("demand good"), "{said}");
}

#[test]
fn prometheus_client_0_26_0_reads_the_metrics_of_a_node_with_a_partner_strictly() {
    let Pair { acme, .. } = Pair::connected("all");
    ask(&acme.dir, &["licence", "issue", "globex", "--reason", "the pilot"]);
    let mut command = Command::new(python("metrics-0"));
    command.arg(folder().join("metrics_read.py")).arg(format!("http://{}", acme.http));
    let said = must(command.arg(acme.dir.join("metrics.token")));
    assert!(said.contains("read strictly"), "{said}");
}

#[test]
fn the_curl_example_of_the_readme_trades_in_the_federation_of_comity_dev() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let root = place.path().join("federation").display().to_string();
    let script = folder().join("examples/trade.sh");
    let lines = std::fs::read_to_string(&script).expect("a script").lines().count();
    assert!(lines < 60, "{lines} lines");
    let log = place.path().join("dev.log");
    let mut dev = Process::start_apart(&["--json", "dev", "--input", "Cargo.toml", "--dir", &root], &log);
    wait_for("a federation that stays", 4 * PATIENCE, || {
        assert!(!dev.ended(), "{}{}", dev.said(), dev.complained());
        dev.said().contains("\"step\":\"stays\"").then_some(())
    });
    let ended = ran(Command::new("sh").arg(&script).arg(format!("{root}/alpha/2")));
    // Its nodes end with it.
    dev.signal("INT");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(said.contains("delivered: the escrow is submitted"), "{said}");
    assert!(said.contains("paid: the escrow is released, the worker has 495000 minor units"), "{said}");
}

#[test]
fn the_a2a_example_of_the_readme_runs() {
    let node = Single::up();
    let mut command = Command::new(python("a2a-1"));
    command.arg(folder().join("examples/a2a_trade.py"));
    command.args([format!("http://{}", node.http), node.token("admission.token")]);
    let said = must(&mut command);
    assert!(said.contains("released for 500000 minor units"), "{said}");
}

/// A program that ends with the test.
struct Beside(Child);

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_worker_by_a2a_sdk_1_3_0_has_its_own_server_behind_its_node_and_is_hired_from_another_domain() {
    let python = python("a2a-server-1");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let globex = Single::configured("globex", &format!("endpoint_hosts = [\"127.0.0.1:{port}\"]"));
    let pair = Pair::of(Single::named("acme"), globex, "all");
    let mut command = Command::new(python);
    command.arg(folder().join("examples/a2a_worker.py"));
    command.args([&format!("http://{}", pair.globex.http), &pair.globex.token("admission.token"), &port.to_string()]);
    let _worker = Beside(command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}")));
    ask(&pair.acme.dir, &["agent", "register", "alice"]);
    ask(&pair.acme.dir, &["faucet", "claim", "alice"]);
    wait_for("the worker's card", PATIENCE, || {
        let found = ask(&pair.acme.dir, &["discover", "text.count"]);
        (found["agents"][0]["home_known"] == true).then_some(())
    });
    let words = ["--task", "to be or not to be", "--max-price", "0.50", "--from", "alice"];
    let said = ask(&pair.acme.dir, &[&["delegate", "start", "text.count"], &words[..]].concat());
    assert_eq!((&said["state"], &said["paid"]), (&"done".into(), &"500000".into()), "{said:#}");
    assert_eq!(said["result"], "eyJ3b3JkcyI6Nn0=", "{{\"words\":6}}");
}

#[test]
fn the_example_of_the_readme_runs() {
    let said = run("mcp-2", "examples/mcp_trade.py", &[]);
    assert!(said.contains("released; the worker has 0.495"), "{said}");
}

#[test]
fn the_typescript_example_of_the_readme_hires_the_worker_of_another_domain() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let (dir, log) = (place.path().join("federation"), place.path().join("dev.log"));
    let npm = Npm::installed();
    let mut dev = Process::start_apart(&["--json", "dev", "--dir", &dir.display().to_string()], &log);
    let stays = wait_for("a federation that stays", 4 * PATIENCE, || {
        assert!(!dev.ended(), "{}{}", dev.said(), dev.complained());
        let said = dev.said();
        let steps = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        steps.into_iter().find(|step| step["step"] == "stays")
    });
    let facts = &stays["facts"];
    let token = std::fs::read_to_string(text(facts, "admission_token_file")).expect("a token");
    let ended = ran(npm.script("examples/hire.ts").args([&text(facts, "mcp"), token.trim()]));
    // Its nodes end with it.
    dev.signal("INT");
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{said}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(said.contains("the result is whole") && said.contains(" is released"), "{said}");
}

/// Seconds for which requests are made up from the description of the native API, all runs together; `COMITY_FUZZ_SECONDS`
/// says otherwise.
const FUZZ_SECONDS: u64 = 50;
/// What must hold of every answer: no 5xx; status, headers, media type and body as described; credentials are asked for.
const FUZZ_CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
response_headers_conformance,response_schema_conformance,unsupported_method,allow_header_conformance,ignored_auth";

#[test]
fn schemathesis_4_32_5_finds_no_server_error_and_no_answer_that_is_not_described() {
    let program = python("schemathesis-4").with_file_name("schemathesis");
    let seconds = std::env::var("COMITY_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(FUZZ_SECONDS);
    let node = Single::up();
    let agent = text(&ask(&node.dir, &["agent", "register", "curious", "--custodial"]), "token");
    let place = tempfile::tempdir().expect("a temporary directory");
    for token in [node.token("api.token"), agent] {
        let mut command = Command::new(&program);
        command.current_dir(place.path()).arg("--config-file").arg(folder().join("schemathesis.toml"));
        command.args(["--no-color", "run", &format!("http://{}/api/v1/openapi.json", node.http), "--seed", "5"]);
        command.args(["--checks", FUZZ_CHECKS, "--max-time", &(seconds / 2).max(1).to_string()]);
        command.args(["--request-timeout", "30", "--header", &format!("Authorization: Bearer {token}")]);
        must(&mut command);
    }
    let status: Value = node.api().get("/api/v1/status").expect("a node that still answers");
    assert_eq!(status["role"], "leader", "{status}");
}
