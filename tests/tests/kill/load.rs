//! What the clients do while nodes die, and what must be found again afterwards.
//!
//! Each worker signs with ids of its own choosing and sends the same bytes to one node after the other until it has an
//! answer. Its receivers get money from nobody else, so a lost or a doubled payment shows in their balance to the unit.

use comity_node::{
    cli::client::Client,
    service::error::Kind,
    signer::{SignedBatch, fresh_escrow_id},
};
use comity_proto::{amount::AssetId, command::Verb};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    door,
    federation::{Domain, Federation},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Pause between two wishes of a worker: the machine shall be loaded, not choked.
const PAUSE: Duration = Duration::from_millis(5);
const LOCAL: u64 = 1_000;
const ACROSS: u64 = 2_000;
const LOCKED: u64 = 10_000;

#[derive(Clone)]
pub(crate) enum Doing {
    /// Money to an agent of the same domain.
    Local,
    /// Money to an agent of the other domain.
    Across,
    /// Locks, and releases every second one.
    Escrow,
}

/// One client, with what was acknowledged to it.
#[derive(Clone)]
pub(crate) struct Worker {
    domain: usize,
    doing: Doing,
    doors: Vec<Client>,
    payer: Agent,
    payee: Agent,
    asset: AssetId,
    turn: usize,
    /// Ids of payments or escrows.
    pub(crate) done: Vec<String>,
    /// Escrows that were released.
    pub(crate) released: Vec<String>,
    /// How often a node had to be asked again.
    pub(crate) retries: u64,
}

impl Worker {
    pub(crate) fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.turn += 1;
            match self.doing {
                Doing::Local => self.pay(LOCAL),
                Doing::Across => self.pay(ACROSS),
                Doing::Escrow => self.escrow(),
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn pay(&mut self, amount: u64) {
        let (id, verb) = self.payer.pay(self.payee.party(), self.asset, amount);
        self.acknowledged(&self.payer.sign(verb));
        self.done.push(id.to_string());
    }

    fn escrow(&mut self) {
        let escrow_id = fresh_escrow_id();
        let terms = self.payer.terms(&self.payee, self.asset, LOCKED);
        self.acknowledged(&self.payer.sign(Verb::LockEscrow { escrow_id, terms }));
        self.done.push(escrow_id.to_string());
        if self.turn.is_multiple_of(2) {
            let verb = Verb::ReleaseEscrow { escrow_id, milestone: None, verified_hash: None };
            self.acknowledged(&self.payer.sign(verb));
            self.released.push(escrow_id.to_string());
        }
    }

    /// Sends the same bytes until some node has answered; a refusal by the ledger would be a defect.
    fn acknowledged(&mut self, batch: &SignedBatch) {
        let body = door::envelope(&batch.envelope);
        let key = batch.request_id.to_string();
        let begun = Instant::now();
        loop {
            self.turn += 1;
            let door = &self.doors[self.turn % self.doors.len()];
            match door.post_with_key::<Value>("/api/v1/commands", &body, Some(&key)) {
                Ok(answer) => {
                    assert_eq!(answer["results"][0]["success"], true, "{answer}");
                    return;
                }
                Err(error)
                    if matches!(error.kind, Kind::Refused | Kind::BadInput | Kind::Forbidden | Kind::NotFound) =>
                {
                    panic!("refused under load: {error}");
                }
                Err(error) => assert!(begun.elapsed() < PATIENCE, "no answer: {error}"),
            }
            self.retries += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) struct Load {
    pub(crate) workers: Vec<Worker>,
}

/// What was found again.
#[derive(Default)]
pub(crate) struct Found {
    local: usize,
    locked: usize,
    released: usize,
    committed: usize,
    aborted: BTreeMap<String, usize>,
    retries: u64,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} local transfers, {} escrows locked and {} released, {} transfers across committed and {:?} aborted, all found \
             again; {} answers did not come and were asked for again",
            self.local, self.locked, self.released, self.committed, self.aborted, self.retries
        )
    }
}

fn view(domain: &Domain, path: &str) -> Value {
    domain.api().get(path).unwrap_or_else(|error| panic!("acknowledged, and then {path}: {error}"))
}

fn minor(view: &Value, name: &str) -> u64 {
    view[name].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{name} in {view}"))
}

impl Load {
    /// One worker of each kind in each domain, with money for hours.
    pub(crate) fn prepare(federation: &Federation) -> Load {
        let domains = &federation.domains;
        let mut workers = Vec::new();
        for (own, peer) in [(0, 1), (1, 0)] {
            for doing in [Doing::Local, Doing::Across, Doing::Escrow] {
                let (domain, other) = (&domains[own], &domains[peer]);
                let payee = if matches!(doing, Doing::Across) { other } else { domain };
                let worker = Worker {
                    domain: own,
                    doing,
                    doors: domain.nodes.iter().map(|node| node.api.clone()).collect(),
                    payer: Agent::registered(domain.api(), domain.id(), "payer"),
                    payee: Agent::registered(payee.api(), payee.id(), "payee"),
                    asset: domain.asset(),
                    turn: 0,
                    done: Vec::new(),
                    released: Vec::new(),
                    retries: 0,
                };
                let code = worker.asset.code;
                domain.operate(vec![Verb::Issue { code, to: Some(worker.payer.id), amount: 10_000_000_000 }]);
                workers.push(worker);
            }
        }
        Load { workers }
    }

    /// Every acknowledged command is there, once.
    pub(crate) fn verify(&self, federation: &Federation, workers: &[Worker]) -> Found {
        let mut found = Found::default();
        for worker in workers {
            let (own, other) = (&federation.domains[worker.domain], &federation.domains[1 - worker.domain]);
            assert!(!worker.done.is_empty(), "a worker did nothing: no load");
            found.retries += worker.retries;
            match worker.doing {
                Doing::Local => {
                    let expected = LOCAL * worker.done.len() as u64;
                    for node in &own.nodes {
                        assert_eq!(worker.payee.balance(&node.api, &worker.asset).expect("a balance"), expected);
                    }
                    found.local += worker.done.len();
                }
                Doing::Escrow => escrows(worker, own, &mut found),
                Doing::Across => across(worker, own, other, &mut found),
            }
        }
        found
    }
}

fn escrows(worker: &Worker, own: &Domain, found: &mut Found) {
    let mut paid = 0;
    for id in &worker.done {
        let escrow = view(own, &format!("/api/v1/escrows/{id}"));
        let open = if worker.released.contains(id) { 0 } else { LOCKED };
        assert_eq!(minor(&escrow, "open"), open, "{escrow}");
        paid += minor(&escrow, "paid") - minor(&escrow, "fee");
    }
    assert_eq!(paid, worker.released.len() as u64 * (LOCKED - LOCKED / 100), "released, less the fee of 1 %");
    assert_eq!(worker.payee.balance(own.api(), &worker.asset).expect("a balance"), paid);
    found.locked += worker.done.len();
    found.released += worker.released.len();
}

fn across(worker: &Worker, own: &Domain, other: &Domain, found: &mut Found) {
    let mut arrived = 0;
    for id in &worker.done {
        let transfer = view(own, &format!("/api/v1/transfers/{id}"));
        assert_eq!(transfer["finished"], true, "every transfer ends: {transfer}");
        match transfer["state"].as_str() {
            Some("committed") => {
                arrived += ACROSS - minor(&transfer, "fee");
                found.committed += 1;
            }
            Some("aborted") => {
                let reason = transfer["reason"].as_str().unwrap_or("not decided in time");
                *found.aborted.entry(reason.to_owned()).or_default() += 1;
            }
            _ => panic!("{transfer}"),
        }
    }
    assert_eq!(
        worker.payee.balance(other.api(), &worker.asset).expect("a balance"),
        arrived,
        "no payment twice, none lost"
    );
}
