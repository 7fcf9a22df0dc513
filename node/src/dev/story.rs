//! The story: found, treat, find, hire, work, verify, pay, and what the books say afterwards.

use super::{
    agents::AgentConfig,
    plan::{Plan, free_ports},
    processes::pause,
    report::Report,
    setup::{self, Agent, Domain},
    verdict::{self, Verdict},
};
use crate::{
    cli::{
        args::{DevArgs, WorkerMode},
        output::{Output, field, table},
    },
    founding::fresh_key,
    service::error::{Kind, ServiceError},
    storage::files,
};
use comity_proto::{amount::format_amount, ids::AgentId};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// What the hired agent works on unless the user names a file.
const README: &str = include_str!("../../../README.md");
const CAPABILITY: &str = "text.statistics";
/// The worker's price, minor units.
const PRICE: u64 = 5_000_000;
/// Votes are held back so long when a leader is to be killed between vote and decision.
const HOLD_VOTES_MS: u64 = 1_500;
/// How long a step of an agent may take.
const PATIENCE: Duration = Duration::from_secs(90);

struct Story<'a> {
    args: &'a DevArgs,
    report: Report,
    dir: PathBuf,
    domains: [Domain; 2],
    scout: AgentId,
    ready_ms: u64,
    card_everywhere_ms: u64,
    /// Works on while the federation stays.
    worker: Option<Agent>,
}

/// Runs it all.
pub(super) fn run(args: &DevArgs, output: Output) -> Result<ExitCode, ServiceError> {
    let (dir, temporary) = directory(args)?;
    let told = tell(args, output, &dir);
    // A temporary directory is of use only to look at what went wrong.
    if temporary && told.is_ok() {
        files::remove_tree(&dir);
    } else if temporary {
        eprintln!("comity: logs are in {}", dir.display());
    }
    told
}

fn directory(args: &DevArgs) -> Result<(PathBuf, bool), ServiceError> {
    if let Some(dir) = &args.dir {
        if files::list(dir).is_ok_and(|names| !names.is_empty()) {
            let detail = format!("{} is not empty", dir.display());
            let next = "name an empty directory, or none for a temporary one";
            return Err(ServiceError::new(Kind::Conflict, "directory_not_empty", detail, next));
        }
        return Ok((dir.clone(), false));
    }
    let mut tail = [0; 6];
    comity_runtime::entropy(&mut tail);
    Ok((std::env::temp_dir().join(format!("comity-dev-{}", HEXLOWER.encode(&tail))), true))
}

fn tell(args: &DevArgs, output: Output, dir: &Path) -> Result<ExitCode, ServiceError> {
    let report = Report::begin(output);
    report.heading("Two organisations, three nodes each, on this machine");
    let hold = if args.kill_leader { HOLD_VOTES_MS } else { 0 };
    let mut domains = setup::start(Plan::make(dir, &free_ports(Plan::ADDRESSES)?, comity_runtime::wall_ms(), hold)?)?;
    setup::wait_until_ready(&mut domains)?;
    let ready_ms = report.elapsed_ms();
    report.step(
        "ready",
        json!({ "ready_ms": ready_ms }),
        "alpha and beta have elected leaders and founded their ledgers",
    );
    setup::operate(&domains)?;
    report.step(
        "operated",
        json!({}),
        "both operators signed a treaty: without one, nothing is accepted from another domain",
    );
    let scout = setup::scout(&domains[0])?;
    report.step(
        "scout",
        json!({ "agent": scout }),
        "agent scout registered in alpha; it refers others by the code SCOUT",
    );
    let mut story =
        Story { args, report, dir: dir.to_owned(), domains, scout, ready_ms, card_everywhere_ms: 0, worker: None };
    let verdict = story.trade()?;
    let holds = verdict["conserved"] == true && verdict["in_doubt"] == 0 && verdict["ended_as_it_should"] == true;
    if !args.once {
        story.stay()?;
    }
    story.report.verdict(&verdict);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl Story<'_> {
    fn trade(&mut self) -> Result<Value, ServiceError> {
        self.report.heading("A trade between agents that never met");
        let mut worker = self.start_agent("worker")?;
        let arrived = self.hear(&mut worker, "arrived")?;
        let payee = field(&arrived, "agent");
        self.hear(&mut worker, "published")?;
        self.card_everywhere(&payee)?;
        self.worker = Some(worker);
        let begun_ms = self.report.elapsed_ms();
        let mut orchestrator = self.start_agent("orchestrator")?;
        self.hear(&mut orchestrator, "funded")?;
        self.report.step(
            "funded",
            json!({}),
            "agent orchestrator registered in alpha (referred by scout), claimed 20.00 USD",
        );
        let found = self.hear(&mut orchestrator, "found")?;
        let sentence = format!(
            "it found agent {} of {} for {CAPABILITY}: {} USD (card heard {} ms ago, {}, verified by {})",
            field(&found, "name"),
            field(&found, "home"),
            money(&field(&found, "price")),
            field(&found, "age_ms"),
            field(&found, "path"),
            field(&found, "verified_by")
        );
        self.report.step("found", found, &sentence);
        let locked = self.hear(&mut orchestrator, "locked")?;
        let sentence = format!("it locked {} USD in an escrow of alpha's ledger", money(&field(&locked, "amount")));
        self.report.step("locked", locked, &sentence);
        let sent = self.hear(&mut orchestrator, "task_sent")?;
        let sentence = format!("it sent the task, {} bytes, through the mesh to beta", field(&sent, "bytes"));
        self.report.step("task_sent", sent, &sentence);
        if self.mode() == WorkerMode::Honest {
            self.end_well(&mut orchestrator, &payee, begun_ms)
        } else {
            self.end_badly(&mut orchestrator, &payee, begun_ms)
        }
    }

    fn mode(&self) -> WorkerMode {
        self.args.worker.unwrap_or(WorkerMode::Honest)
    }

    fn end_well(&mut self, orchestrator: &mut Agent, payee: &str, begun_ms: u64) -> Result<Value, ServiceError> {
        let verified = self.hear(orchestrator, "verified")?;
        let report: Value = serde_json::from_str(&field(&verified, "report")).unwrap_or_default();
        self.report.step(
            "verified",
            verified,
            "the result arrived with a signed payment request; program code checked both",
        );
        self.report.block(&work_text(&report));
        self.hear(orchestrator, "released")?;
        self.report.step(
            "released",
            json!({}),
            "it released the escrow: alpha's fee 1 %, 15 % of it to scout, the rest to beta",
        );
        if self.args.kill_leader {
            self.kill_leader()?;
        }
        let received = self.wait_for_payee(payee)?;
        let trade_ms = self.report.elapsed_ms() - begun_ms;
        let sentence =
            format!("{} USD@alpha arrived at the worker in beta, less beta's fee of 0.5 %", money(&received));
        self.report.step("received", json!({ "payee_received": received, "trade_ms": trade_ms }), &sentence);
        let verdict = verdict::reach(&self.domains);
        self.books(payee, &verdict);
        // 5.00 less 1 %, less 0.5 % of that: the worked example of the specification.
        let expected = received == "4925250";
        Ok(self.document(&verdict, &received, trade_ms, expected))
    }

    fn end_badly(&mut self, orchestrator: &mut Agent, payee: &str, begun_ms: u64) -> Result<Value, ServiceError> {
        if self.mode() == WorkerMode::Dies {
            self.hear(orchestrator, "no_result")?;
            self.report.step("no_result", json!({}), "the worker died: no result before the deadline");
            self.hear(orchestrator, "refunded")?;
            self.report.step(
                "refunded",
                json!({}),
                "the escrow's deadline returned the whole amount to the orchestrator",
            );
        } else {
            let rejected = self.hear(orchestrator, "rejected")?;
            let sentence = format!("program code rejected the result: {}", field(&rejected, "why"));
            self.report.step("rejected", rejected, &sentence);
            self.hear(orchestrator, "disputed")?;
            self.report.step(
                "disputed",
                json!({}),
                "it disputed with the evidence's digest; without a ruling the terms refund",
            );
        }
        let verdict = self.wait_for_refund()?;
        self.books(payee, &verdict);
        let received = self.balance_of_payee(payee);
        let trade_ms = self.report.elapsed_ms() - begun_ms;
        let expected = received == "0";
        Ok(self.document(&verdict, &received, trade_ms, expected))
    }

    fn document(&self, verdict: &Verdict, received: &str, trade_ms: u64, expected: bool) -> Value {
        let nodes = self.domains.iter().flat_map(|domain| &domain.nodes);
        let resident: u64 = nodes.filter_map(|node| node.process.resident_bytes()).sum();
        json!({
            "step": "verdict", "ready_ms": self.ready_ms, "card_everywhere_ms": self.card_everywhere_ms,
            "trade_ms": trade_ms, "story_ms": self.report.elapsed_ms(), "rss_mb_total": resident / (1 << 20),
            "conserved": verdict.conserved, "in_doubt": verdict.in_doubt, "payee_received": received,
            "ended_as_it_should": expected, "objections": verdict.objections,
        })
    }

    fn start_agent(&self, role: &str) -> Result<Agent, ServiceError> {
        let domain = if role == "worker" { &self.domains[1] } else { &self.domains[0] };
        let mode = match self.mode() {
            WorkerMode::Honest => "honest",
            WorkerMode::WrongHash => "wrong-hash",
            WorkerMode::Dies => "dies",
        };
        let config = AgentConfig {
            nickname: role.to_owned(),
            seed: HEXLOWER.encode(&fresh_key().seed()),
            nodes: domain.nodes.iter().map(|node| format!("http://{}", node.plan.http)).collect(),
            admission: domain.nodes.iter().map(|node| node.plan.admission_token.clone()).collect(),
            referred_by: (role == "orchestrator").then(|| "SCOUT".to_owned()),
            capability: CAPABILITY.to_owned(),
            price: PRICE,
            input: (role == "orchestrator").then(|| self.input()).transpose()?,
            mode: mode.to_owned(),
            deliver_seconds: if self.mode() == WorkerMode::Dies { 3 } else { 60 },
        };
        setup::start_agent(role, &self.dir, &config)
    }

    /// The file of the user, or the project's README as it was when this program was built.
    fn input(&self) -> Result<PathBuf, ServiceError> {
        let Some(named) = self.args.input.clone() else {
            let path = self.dir.join("README.md");
            let written = files::write(&path, README.as_bytes(), files::Access::Public);
            return match written {
                Ok(()) => Ok(path),
                Err(error) => Err(ServiceError::bad_input("bad_input_file", error.to_string())),
            };
        };
        let exists = files::read_up_to(&named, u64::from(u32::MAX)).ok().flatten().is_some();
        if exists {
            return std::path::absolute(&named)
                .map_err(|error| ServiceError::bad_input("bad_input_file", error.to_string()));
        }
        let detail = format!("{} cannot be read", named.display());
        Err(ServiceError::bad_input("bad_input_file", detail))
    }

    /// Waits for a step of an agent.
    fn hear(&self, agent: &mut Agent, step: &str) -> Result<Value, ServiceError> {
        let begun = comity_runtime::now();
        loop {
            // A step may have been told together with later ones: they are kept by the agent's log.
            if let Some(news) = agent.next_of(step) {
                return Ok(news);
            }
            if agent.process.ended() && agent.next_of(step).is_none() || begun.elapsed() > PATIENCE {
                let detail =
                    format!("{} did not get to `{step}`:\n{}", agent.process.name(), agent.process.last_words());
                return Err(stuck(detail));
            }
            pause(Duration::from_millis(5));
        }
    }

    fn card_everywhere(&mut self, agent: &str) -> Result<(), ServiceError> {
        let begun = comity_runtime::now();
        let path = format!("/api/v1/cards/{agent}");
        let nodes: Vec<_> = self.domains.iter().flat_map(|domain| &domain.nodes).collect();
        while !nodes.iter().all(|node| node.api.get::<Value>(&path).is_ok()) {
            if begun.elapsed() > PATIENCE {
                return Err(stuck("the worker's card did not reach every node"));
            }
            pause(Duration::from_millis(5));
        }
        self.card_everywhere_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let sentence = format!(
            "agent worker registered in beta and published a signed card: on all six nodes after {} ms",
            self.card_everywhere_ms
        );
        self.report.step("card_everywhere", json!({ "card_everywhere_ms": self.card_everywhere_ms }), &sentence);
        Ok(())
    }

    fn balance_of_payee(&self, payee: &str) -> String {
        let account: Value = self.domains[1].api().get(&format!("/api/v1/accounts/{payee}")).unwrap_or_default();
        let issuer = self.domains[0].plan.id().to_string();
        let wrapped = account["balances"].as_array().into_iter().flatten().find(|line| field(line, "issuer") == issuer);
        wrapped.map_or_else(|| "0".to_owned(), |line| field(line, "available"))
    }

    fn wait_for_payee(&self, payee: &str) -> Result<String, ServiceError> {
        let begun = comity_runtime::now();
        loop {
            let received = self.balance_of_payee(payee);
            if received != "0" {
                return Ok(received);
            }
            if begun.elapsed() > PATIENCE {
                return Err(stuck("the payment did not arrive"));
            }
            pause(Duration::from_millis(5));
        }
    }

    /// Waits until alpha's books hold nothing in escrow any more.
    fn wait_for_refund(&self) -> Result<Verdict, ServiceError> {
        let begun = comity_runtime::now();
        loop {
            let books: Value = self.domains[0].api().get("/api/v1/accounts")?;
            let held = |line: &Value| field(line, "account") == "escrows (sum)" && field(line, "amount") != "0";
            if !books["accounts"].as_array().into_iter().flatten().any(held) {
                self.report.step("returned", json!({}), "nothing is left in escrow; the worker was not paid");
                return Ok(verdict::reach(&self.domains));
            }
            if begun.elapsed() > PATIENCE {
                return Err(stuck("the escrow was not refunded"));
            }
            pause(Duration::from_millis(50));
        }
    }

    /// Between beta's vote and alpha's decision.
    fn kill_leader(&mut self) -> Result<(), ServiceError> {
        let begun = comity_runtime::now();
        loop {
            let in_state = |domain: &Domain, state: &str| {
                let list: Value = domain.api().get("/api/v1/transfers?in_doubt=true").unwrap_or_default();
                list["transfers"].as_array().into_iter().flatten().any(|transfer| field(transfer, "state") == state)
            };
            if in_state(&self.domains[1], "voted") && in_state(&self.domains[0], "begun") {
                break;
            }
            if begun.elapsed() > PATIENCE {
                return Err(stuck("no transfer was seen between vote and decision"));
            }
            pause(Duration::from_millis(5));
        }
        let leader = self.domains[0].nodes.iter().position(|node| node.leads());
        let leader = leader.ok_or_else(|| ServiceError::not_found("leader", "of alpha"))?;
        let name = self.domains[0].nodes[leader].plan.name.clone();
        self.domains[0].nodes[leader].process.kill();
        let sentence = format!("beta has voted yes, alpha has not decided: killed alpha's leader {name} (kill -9)");
        self.report.step("killed", json!({ "node": name }), &sentence);
        let killed = comity_runtime::now();
        loop {
            let list: Value = self.domains[1].api().get("/api/v1/transfers?in_doubt=true").unwrap_or_default();
            if list["transfers"].as_array().is_some_and(Vec::is_empty) {
                break;
            }
            if killed.elapsed() > PATIENCE {
                return Err(stuck("the transfer did not end after the leader was killed"));
            }
            pause(Duration::from_millis(10));
        }
        let doubt_ms = u64::try_from(killed.elapsed().as_millis()).unwrap_or(u64::MAX);
        let sentence =
            format!("a new leader owed the same decision and sent it: in doubt for {doubt_ms} ms after the kill");
        self.report.step("recovered", json!({ "in_doubt_ms": doubt_ms }), &sentence);
        self.domains[0].nodes[leader].restart()?;
        self.report.step("restarted", json!({ "node": name }), "the killed node was started again on its disk");
        Ok(())
    }

    fn books(&self, payee: &str, verdict: &Verdict) {
        self.report.heading("What the books say");
        for domain in &self.domains {
            let books: Value = domain.api().get("/api/v1/accounts").unwrap_or_default();
            let rows = books["accounts"].as_array().into_iter().flatten().map(|line| {
                let asset = format!("{}@{}", field(line, "code"), field(line, "issuer_name"));
                vec![domain.plan.name.to_owned(), field(line, "account"), money(&field(line, "amount")), asset]
            });
            self.report.block(&table(&["DOMAIN", "ACCOUNT", "AMOUNT", "ASSET"], rows));
            self.report.block(" ");
        }
        let scout: Value = self.domains[0].api().get(&format!("/api/v1/accounts/{}", self.scout)).unwrap_or_default();
        let income = field(&scout["balances"][0], "available");
        self.report.block(&format!(
            "scout earned {} USD by referral; worker {payee} holds {} USD@alpha",
            money(&income),
            money(&self.balance_of_payee(payee))
        ));
        for statement in &verdict.statements {
            for line in statement["assets"].as_array().into_iter().flatten() {
                let text = |name: &str| {
                    let units = line[name].as_str().and_then(|text| text.parse().ok());
                    units.map_or_else(|| "not mine to know".to_owned(), |n| format_amount(n, 6))
                };
                self.report.block(&format!(
                    "supply statement of {}: supply {}, reserve for the other {}, wrapped here {}",
                    self.name_of(&field(statement, "domain")),
                    text("supply"),
                    text("reserve"),
                    text("wrapped")
                ));
            }
        }
        let sentence = if verdict.conserved {
            "all six replicas agree byte for byte, every invariant holds, reserves equal wrapped units: money is conserved"
        } else {
            "the books do NOT agree"
        };
        let facts =
            json!({ "conserved": verdict.conserved, "in_doubt": verdict.in_doubt, "statements": verdict.statements });
        self.report.step("books", facts, sentence);
        verdict.objections.iter().for_each(|objection| self.report.block(objection));
    }

    fn name_of(&self, domain: &str) -> &'static str {
        self.domains.iter().find(|known| known.plan.id().to_string() == domain).map_or("?", |known| known.plan.name)
    }

    /// Stays up until Ctrl-C, with three commands to try.
    fn stay(&self) -> Result<(), ServiceError> {
        let data = |domain: usize, node: usize| self.domains[domain].nodes[node].plan.dir.display().to_string();
        self.report.heading("The federation stays up; stop it with Ctrl-C. Try, in another terminal:");
        self.report.block(&format!("comity --data {} status", data(0, 0)));
        self.report.block(&format!("comity --data {} discover {CAPABILITY}", data(0, 1)));
        self.report.block(&format!("comity --data {} transfer list", data(1, 0)));
        let alpha = &self.domains[0].nodes[0].plan;
        let (mcp, token) = (format!("http://{}/mcp", alpha.http), alpha.dir.join("admission.token"));
        let sentence =
            format!("the worker takes tasks; a client of MCP finds it at {mcp}, with the token in {}", token.display());
        self.report.step("stays", json!({ "mcp": mcp, "admission_token_file": token }), &sentence);
        let handle = tokio::runtime::Handle::current();
        handle
            .block_on(tokio::signal::ctrl_c())
            .map_err(|error| ServiceError::new(Kind::Internal, "no_signals", error.to_string(), "end it from outside"))
    }
}

/// A step that did not come in time.
fn stuck(detail: impl Into<String>) -> ServiceError {
    ServiceError::new(Kind::Internal, "story_stuck", detail, "see the logs; keep them with --dir DIR")
}

fn money(minor: &str) -> String {
    minor.parse().map_or_else(|_| minor.to_owned(), |minor| format_amount(minor, 6))
}

fn work_text(report: &Value) -> String {
    let words = report["top_words"].as_array().into_iter().flatten();
    let words: Vec<String> = words.map(|word| format!("{} ({})", field(word, "word"), field(word, "count"))).collect();
    format!(
        "{} lines, {} words, {} bytes; most frequent: {}\nsha256 {}",
        field(report, "lines"),
        field(report, "words"),
        field(report, "bytes"),
        words.join(", "),
        field(report, "sha256")
    )
}
