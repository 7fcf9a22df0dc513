//! Two domains of three nodes each, as processes.

use super::{PATIENCE, now_ms, process::Process, single::free_addresses, wait_for};
use comity_ledger::statement::{SupplyStatement, verify_pair};
use comity_node::{
    cli::{client::Client, context},
    dev::plan::{DomainPlan, NodePlan, Plan},
    signer::{Signer, fresh_id},
};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::{Command, Verb},
    ids::DomainId,
};
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;

/// One node.
pub struct Node {
    /// Its directory, addresses and tokens.
    pub plan: NodePlan,
    /// Its operator's door.
    pub api: Client,
    process: Option<Process>,
}

impl Node {
    /// Not running yet.
    pub fn of(plan: NodePlan) -> Node {
        let api = Client::new(format!("http://{}", plan.http), plan.operator_token.clone());
        Node { plan, api, process: None }
    }

    /// Starts its process on its disk.
    pub fn start(&mut self) {
        let dir = self.plan.dir.display().to_string();
        self.process = Some(Process::start(&["up", "--data", &dir], &self.plan.dir.join("node.log")));
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Whether it was started and not killed.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Its own view, if it answers.
    pub fn status(&self) -> Option<Value> {
        self.api.get("/api/v1/status").ok()
    }

    /// Whether it knows a leader and the genesis.
    pub fn is_ready(&self) -> bool {
        self.status().is_some_and(|status| status["founded"] == true && !status["leader"].is_null())
    }

    /// The last lines of its log.
    pub fn last_words(&self) -> String {
        let said = self.process.as_ref().map(Process::said).unwrap_or_default();
        let lines: Vec<&str> = said.lines().rev().take(8).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// One domain.
pub struct Domain {
    /// Its keys and roster.
    pub plan: DomainPlan,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

impl Domain {
    /// Its id.
    pub fn id(&self) -> DomainId {
        self.plan.id()
    }

    /// The asset that it issues.
    pub fn asset(&self) -> AssetId {
        AssetId { issuer: self.id(), code: native() }
    }

    /// Its first node's door.
    pub fn api(&self) -> &Client {
        &self.nodes[0].api
    }

    /// Its operator.
    pub fn operator(&self) -> Signer {
        Signer::operator(self.plan.keys.operator.clone(), self.id())
    }

    /// What the operator asks for must succeed.
    ///
    /// # Panics
    /// When one command is refused.
    pub fn operate(&self, verbs: Vec<Verb>) {
        let commands = verbs.into_iter().map(|verb| Command { request_id: fresh_id(), verb }).collect();
        let batch = self.operator().sign_all(commands, now_ms());
        let answer = context::submit(self.api(), &batch).unwrap_or_else(|error| panic!("{error}"));
        for result in answer["results"].as_array().expect("results") {
            assert_eq!(result["success"], true, "the operator was refused: {result}");
        }
    }

    /// Money into the treasury, and from there into the faucet.
    pub fn issue(&self, amount: u64, faucet: u64) {
        self.operate(vec![Verb::Issue { code: native(), to: None, amount }, Verb::FundFaucet { amount: faucet }]);
    }

    /// Signs a treaty with `peer`, which signs too and may not know yet; with so much of the other's asset, minor units.
    /// All agents of both may see and hire each other.
    pub fn trust(&self, peer: &Domain, cap: u64) {
        let treaty = self.plan.known().treaty_with(&peer.plan.known(), cap).expect("nicknames");
        let admits = self.plan.known().admits(&peer.plan.known()).expect("a reason");
        self.operate(vec![treaty, admits]);
    }

    /// What its replicas hold: each with its violated invariant, if any, and in doubt.
    pub fn digests(&self) -> Vec<Option<Value>> {
        self.nodes.iter().map(|node| node.api.get("/api/v1/ledger/digest").ok()).collect()
    }

    fn statements(&self, peer: &Domain) -> Vec<SupplyStatement> {
        let path = format!("/api/v1/ledger/statement/{}", peer.id());
        let read = |node: &Node| serde_json::from_value(node.api.get(&path).ok()?).ok();
        self.nodes.iter().filter_map(read).collect()
    }
}

fn native() -> AssetCode {
    AssetCode::new(comity_node::founding::ASSET_CODE).expect("a code of three letters")
}

/// Both domains.
pub struct Federation {
    /// `alpha` and `beta`.
    pub domains: [Domain; 2],
    /// Goes last: the nodes write here.
    _dir: TempDir,
}

impl Federation {
    /// Six nodes with empty ledgers and no treaty.
    ///
    /// # Panics
    /// When they are not ready in time.
    pub fn start() -> Federation {
        Federation::holding_votes(0)
    }

    /// As [`Federation::trading`], and alpha hears every vote only after its deadline.
    pub fn with_votes_held() -> Federation {
        let federation = Federation::holding_votes(600_000);
        federation.equip();
        federation
    }

    /// Votes wait for so long, ms, before the payer's domain takes them in.
    fn holding_votes(ms: u64) -> Federation {
        super::world();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let plan = Plan::make(dir.path(), &free_addresses(Plan::ADDRESSES), now_ms(), ms)
            .unwrap_or_else(|error| panic!("{error}"));
        let domains = plan.domains.map(|mut plan| {
            let mut nodes: Vec<Node> = plan.nodes.drain(..).map(Node::of).collect();
            nodes.iter_mut().for_each(Node::start);
            Domain { plan, nodes }
        });
        let federation = Federation { domains, _dir: dir };
        federation.wait_until_ready();
        federation
    }

    /// Six nodes, a treaty, and money in both treasuries and faucets.
    pub fn trading() -> Federation {
        let federation = Federation::start();
        federation.equip();
        federation
    }

    fn equip(&self) {
        let [alpha, beta] = &self.domains;
        for (own, peer) in [(alpha, beta), (beta, alpha)] {
            own.trust(peer, 1_000_000_000_000);
            own.issue(1_000_000_000_000, 100_000_000_000);
        }
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.domains.iter().flat_map(|domain| &domain.nodes)
    }

    /// Waits until every running node knows a leader.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait_until_ready(&self) {
        for node in self.nodes().filter(|node| node.runs()) {
            let begun = std::time::Instant::now();
            while !node.is_ready() {
                assert!(begun.elapsed() < PATIENCE, "{} is not ready:\n{}", node.plan.name, node.last_words());
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// What does not hold now; empty when all replicas of a domain agree byte for byte, no invariant is violated, nothing is
    /// in doubt and every pair of statements fulfils the supply equation.
    pub fn objections(&self) -> Vec<String> {
        let mut objections = Vec::new();
        for domain in &self.domains {
            let mut seen = Vec::new();
            for (node, digest) in domain.nodes.iter().zip(domain.digests()) {
                let Some(digest) = digest else {
                    objections.push(format!("{} gives no digest", node.plan.name));
                    continue;
                };
                if !digest["violation"].is_null() || digest["in_doubt"] != 0 {
                    objections.push(format!("{}: {digest}", node.plan.name));
                }
                seen.push((digest["applied_index"].clone(), digest["digest"].clone()));
            }
            seen.dedup();
            if seen.len() != 1 {
                objections.push(format!("replicas of {} differ: {seen:?}", domain.plan.name));
            }
        }
        let [alpha, beta] = &self.domains;
        let (of_alpha, of_beta) = (alpha.statements(beta), beta.statements(alpha));
        if (of_alpha.len(), of_beta.len()) != (alpha.nodes.len(), beta.nodes.len()) {
            objections.push("a replica gives no statement".to_owned());
        }
        for (a, b) in of_alpha.iter().flat_map(|a| of_beta.iter().map(move |b| (a, b))) {
            if let Err(discrepancy) = verify_pair(a, b) {
                objections.push(format!("supply equation: {discrepancy:?}"));
            }
        }
        objections
    }

    /// Waits until there is nothing to object.
    ///
    /// # Panics
    /// After `patience`, with what does not hold.
    pub fn must_agree(&self, patience: Duration) {
        let begun = std::time::Instant::now();
        loop {
            let objections = self.objections();
            if objections.is_empty() {
                return;
            }
            assert!(begun.elapsed() < patience, "after {patience:?}: {objections:#?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Waits until a transfer between domains has ended; gives its record at `api`.
///
/// # Panics
/// After `patience`.
pub fn ended(api: &Client, transfer: &str, patience: Duration) -> Value {
    wait_for(&format!("the end of transfer {transfer}"), patience, || {
        let view: Value = api.get(&format!("/api/v1/transfers/{transfer}")).ok()?;
        (view["finished"] == true).then_some(view)
    })
}
