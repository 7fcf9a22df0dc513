//! Another key for an operator, for every node of a domain and for the domain itself, under load, with real processes: no honest message is
//! refused, nothing acknowledged is lost, and each peer is known to have seen the new keys.
//!
//! `cargo test -p comity-tests --test rotation -- --nocapture` says how long each key took.

#[path = "kill/load.rs"]
mod load;

use comity_node::{cli::context, home::Home};
use comity_proto::{command::Verb, envelope::Signed as _, identity::NodeCertificate};
use comity_tests::{
    PATIENCE,
    cli::{ask, try_ask},
    federation::{Domain, Federation},
    now_ms, wait_for,
};
use load::{Load, Worker};
use serde_json::Value;
use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

fn rotate(dir: &Path, key: &str, words: &[&str]) -> Value {
    ask(dir, &[&["keyring"], words, &["--key", key, "--reason", "every year"]].concat())
}

fn refused(dir: &Path, words: &[&str]) -> String {
    try_ask(dir, &[&["keyring"], words].concat()).refusal().to_owned()
}

/// Waits until every peer has acknowledged what this node's domain changed.
fn seen_by_all(domain: &Domain) {
    wait_for("every peer to see the keys", PATIENCE, || {
        let status: Value = domain.api().get("/api/v1/status").ok()?;
        (status["keys_not_seen"].as_array()?.is_empty()).then_some(())
    });
}

/// The operator's key, from the first step to the last.
fn rotate_operator(domain: &Domain) {
    let dir = &domain.nodes[0].plan.dir;
    let first = Home::load(dir).expect("a home").domain_keys.expect("the founder").operator.public();
    let of = |view: &Value, name: &str| view["ledger"]["operator"][name].as_str().map(str::to_owned);
    assert_eq!(refused(dir, &["activate", "--key", "operator"]), "no_next_key");
    assert_eq!(refused(dir, &["retire", "--key", "operator"]), "no_key_to_retire");
    let revoke = |key: &str| refused(dir, &["revoke", key, "--key", "operator", "--reason", "lost"]);
    assert_eq!(revoke(&first.to_string()), "key_active");
    assert_eq!(revoke(&Home::load(dir).expect("a home").node.public().to_string()), "unknown_key");
    assert_eq!(revoke("did:key:zNobody"), "bad_key");
    let prepared = rotate(dir, "operator", &["prepare"]);
    let next = of(&prepared, "next").expect("the next key");
    assert_eq!(rotate(dir, "operator", &["prepare"])["ledger"]["operator"]["serial"], 1, "twice is once");
    // Taken back before it acts: the next preparation is of another key, not of that one again.
    rotate(dir, "operator", &["revoke", &next]);
    let again = of(&rotate(dir, "operator", &["prepare"]), "next").expect("another next key");
    assert_ne!(again, next);
    let next = again;
    seen_by_all(domain);
    let active = rotate(dir, "operator", &["activate", "--overlap-hours", "1"]);
    assert_eq!((of(&active, "active"), of(&active, "before")), (Some(next.clone()), Some(first.to_string())));
    // Whoever still holds the old key is heard until it is retired.
    domain.issue(1, 1);
    rotate(dir, "operator", &["retire"]);
    seen_by_all(domain);
    let code = domain.asset().code;
    let late = domain.operator().sign(Verb::Issue { code, to: None, amount: 1 }, now_ms());
    let late = context::submit(domain.api(), &late).expect_err("the key is retired");
    assert_eq!(late.code, "bad_signature");
    assert_eq!(Home::load(dir).expect("a home").domain_keys.expect("the founder").operator.public().to_string(), next);
}

/// A node's key: certified where the root key is, brought by the node, which starts again by itself.
fn rotate_node(domain: &Domain, index: usize) {
    let (founder, node) = (&domain.nodes[0], &domain.nodes[index]);
    let dir = &node.plan.dir;
    let old = Home::load(dir).expect("a home");
    assert_eq!(refused(dir, &["activate", "--key", "node"]), "no_next_key");
    let (asked, made) = (dir.join("request"), dir.join("certified"));
    let (asked, made) = (asked.display().to_string(), made.display().to_string());
    if index == 0 {
        rotate(dir, "node", &["prepare"]);
    } else {
        ask(dir, &["keyring", "request", "--key", "node", "--out", &asked]);
        assert_eq!(refused(dir, &["activate", "--key", "node"]), "next_key_not_certified");
        ask(&founder.plan.dir, &["keyring", "certify", &asked, "--out", &made]);
        rotate(dir, "node", &["prepare", &made]);
    }
    assert_eq!(refused(dir, &["activate"]), "certificate_of_next_key");
    rotate(dir, "node", &["activate"]);
    let next = Home::load(dir).expect("a home");
    assert_ne!(next.node.public(), old.node.public());
    assert_eq!(next.place, old.place);
    let shown = next.node.public().to_string();
    wait_for("the node under its next key", PATIENCE, || {
        let status = node.status()?;
        (status["node"] == shown.as_str() && !status["leader"].is_null()).then_some(())
    });
    seen_by_all(domain);
    rotate(dir, "node", &["retire"]);
    wait_for("the roster without the old key", PATIENCE, || {
        let keys: Value = node.api.get("/api/v1/keyring").ok()?;
        let own = &keys["node"];
        (own["active"] == shown.as_str() && own["before"].is_null()).then_some(())
    });
    // The certificate of the key that is gone is worth nothing any more.
    if index != 0 {
        let serial = NodeCertificate::open(&old.certificate).expect("a certificate").get().serial;
        ask(&founder.plan.dir, &["keyring", "revoke", &serial.to_string(), "--reason", "replaced"]);
    }
}

/// A certificate by the acting root key for a node that does not hold it.
fn certify(founder: &Path, dir: &Path) {
    let (asked, made) = (dir.join("request").display().to_string(), dir.join("certified").display().to_string());
    ask(dir, &["keyring", "request", "--out", &asked]);
    ask(founder, &["keyring", "certify", &asked, "--out", &made]);
    ask(dir, &["keyring", "prepare", &made]);
    ask(dir, &["keyring", "activate"]);
    ask(dir, &["keyring", "retire"]);
}

/// The domain's root key, from the first step to the last; one node is away while it changes.
fn rotate_root(domain: &mut Domain) {
    let (id, dir) = (domain.id(), domain.nodes[0].plan.dir.clone());
    let of = |view: &Value, name: &str| view["ledger"]["root"][name].as_str().map(str::to_owned);
    domain.nodes[2].kill();
    let next = of(&rotate(&dir, "root", &["prepare"]), "next").expect("the next key");
    rotate(&dir, "root", &["activate", "--overlap-hours", "1"]);
    domain.nodes[2].start();
    let founder = &domain.nodes[0];
    let known = wait_for("the founder under the new root key", PATIENCE, || {
        let known: Value = founder.api.get("/api/v1/keyring").ok()?;
        (known["old_certificates"].as_array()?.len() == 2).then_some(known)
    });
    assert_eq!(known["root"]["active"], next.as_str());
    let first = known["root"]["before"].as_str().expect("the key before").to_owned();
    assert_eq!(refused(&dir, &["retire", "--key", "root"]), "certificates_of_old_root");
    for node in &domain.nodes[1..] {
        wait_for("a node to certify", PATIENCE, || node.is_ready().then_some(()));
        certify(&dir, &node.plan.dir);
    }
    let retired = || {
        let said = try_ask(&dir, &["keyring", "retire", "--key", "root", "--reason", "every year"]);
        let waits = ["certificates_of_old_root", "key_not_in_roster", "no_leader", "node_unreachable"];
        assert!(said.code == 0 || waits.contains(&said.refusal()), "{}", said.text);
        (said.code == 0).then(|| said.last().clone())
    };
    let retired = wait_for("everybody to have a new certificate", PATIENCE, retired);
    assert_eq!((of(&retired, "active"), of(&retired, "before")), (Some(next), None));
    seen_by_all(domain);
    assert_eq!(domain.id(), id);
    assert_eq!(refused(&dir, &["revoke", &first, "--key", "root", "--reason", "again"]), "unknown_key");
}

#[test]
fn the_root_keys_of_two_domains_change_under_load_and_no_honest_message_is_refused() {
    let mut federation = Federation::trading();
    let load = Load::prepare(&federation);
    let stop = AtomicBool::new(false);
    let workers: Vec<Worker> = std::thread::scope(|scope| {
        let working: Vec<_> = load
            .workers
            .iter()
            .cloned()
            .map(|mut worker| {
                scope.spawn(|| {
                    worker.run(&stop);
                    worker
                })
            })
            .collect();
        for domain in &mut federation.domains {
            let begun = Instant::now();
            rotate_root(domain);
            println!("root key: {:.1} s", begun.elapsed().as_secs_f64());
        }
        stop.store(true, Ordering::Relaxed);
        working.into_iter().map(|thread| thread.join().expect("a worker that nobody refused")).collect()
    });
    federation.wait_until_ready();
    federation.must_agree(PATIENCE);
    println!("{}", load.verify(&federation, &workers));
}

#[test]
fn every_key_of_a_domain_changes_under_load_and_no_honest_message_is_refused() {
    let federation = Federation::trading();
    let load = Load::prepare(&federation);
    let stop = AtomicBool::new(false);
    let workers: Vec<Worker> = std::thread::scope(|scope| {
        let fresh = load.workers.to_vec();
        let working: Vec<_> = fresh
            .into_iter()
            .map(|mut worker| {
                scope.spawn(|| {
                    worker.run(&stop);
                    worker
                })
            })
            .collect();
        let [alpha, _] = &federation.domains;
        let timed = |what: &str, work: &dyn Fn()| {
            let begun = Instant::now();
            work();
            println!("{what}: {:.1} s", begun.elapsed().as_secs_f64());
        };
        timed("operator's key", &|| rotate_operator(alpha));
        for index in [1, 2, 0] {
            timed(&format!("key of node {index}"), &|| rotate_node(alpha, index));
        }
        stop.store(true, Ordering::Relaxed);
        working.into_iter().map(|thread| thread.join().expect("a worker that nobody refused")).collect()
    });
    federation.wait_until_ready();
    federation.must_agree(PATIENCE);
    println!("{}", load.verify(&federation, &workers));
}
