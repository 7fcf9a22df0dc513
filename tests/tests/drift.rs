//! Two domains that disagree about the money between them say so within seconds, and begin nothing new until they agree.

use comity_tests::{
    PATIENCE,
    cli::{ask, try_ask},
    single::Single,
    slowness::Slowness,
    wait_for,
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Within this a drift is shown, on a machine whose cores are free.
const SHOWN_WITHIN: Duration = Duration::from_secs(15);

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy(&source, &target);
        } else {
            fs::copy(&source, &target).expect("a copy");
        }
    }
}

/// Stops a node in an orderly way, changes its data directory, and starts it again.
fn while_stopped(node: &mut Single, change: impl FnOnce(&Path)) {
    assert_eq!(node.process.take().expect("it runs").signal("TERM"), Some(0), "an orderly stop");
    change(&node.dir);
    node.start(&[]);
    node.wait_until_founded();
}

fn drift(node: &Single, peer: &str) -> Value {
    ask(&node.dir, &["drift", "show", peer])["drift"].clone()
}

fn has_drifted(node: &Single, peer: &str) -> bool {
    drift(node, peer).as_object().is_some_and(|found| found.contains_key("supply"))
}

#[test]
fn a_domain_that_comes_back_from_an_old_copy_is_in_drift_until_it_has_its_books_again() {
    let (acme, mut globex) = (Single::named("acme"), Single::named("globex"));
    let token = text(&ask(&acme.dir, &["peer", "invite", "--cap", "1000"]), "token");
    ask(&globex.dir, &["peer", "accept", &token, "--cap", "500"]);
    ask(&acme.dir, &["peer", "approve", "globex"]);
    ask(&acme.dir, &["agent", "register", "alice"]);
    ask(&acme.dir, &["faucet", "claim", "alice"]);
    let bob = text(&ask(&globex.dir, &["agent", "register", "bob"]), "agent");
    let to = format!("{bob}@globex");
    let pay = ["transfer", "send", "--from", "alice", "--to", &to, "0.10"];
    let is_over = |transfer: &str| {
        let shown = ask(&acme.dir, &["transfer", "show", transfer]);
        (shown["finished"] == true).then(|| text(&shown, "state"))
    };
    let copies = tempfile::tempdir().expect("a temporary directory");
    let (old, new) = (copies.path().join("old"), copies.path().join("new"));
    while_stopped(&mut globex, |dir| copy(dir, &old));
    let paid = text(&ask(&acme.dir, &pay), "transfer");
    assert_eq!(wait_for("the payment", PATIENCE, || is_over(&paid)), "committed");
    let scanned = ask(&acme.dir, &["drift", "scan"]);
    assert_eq!(scanned["peers"][0]["drift"], serde_json::json!({}), "{scanned}");
    assert!(!scanned["peers"][0]["judged_ms"].is_null(), "it was compared: {scanned}");

    let slowness = Slowness::measure();
    while_stopped(&mut globex, |dir| {
        copy(dir, &new);
        fs::remove_dir_all(dir).expect("removed");
        copy(&old, dir);
    });
    let begun = Instant::now();
    wait_for("the drift at both", PATIENCE, || {
        (has_drifted(&acme, "globex") && has_drifted(&globex, "acme")).then_some(())
    });
    let shown = begun.elapsed();
    let slow = slowness.factor();
    println!("drift shown by both after {:.1} s, machine slower by {slow:.1}", shown.as_secs_f64());
    assert!(shown < SHOWN_WITHIN.mul_f64(slow), "shown after {shown:?}, machine slower by {slow:.1}");
    let refused = try_ask(&acme.dir, &pay);
    assert_eq!((refused.code, refused.refusal()), (1, "peer_in_drift"), "{}", refused.text);
    // The log says it, too: an event, and a rule for every node whatever its own door has found.
    let noted = || {
        let shown: Value = acme.api().get("/api/v1/ledger/events?last=50").expect("events");
        shown.to_string().contains("DriftNoted")
    };
    wait_for("the note in the log", PATIENCE, || noted().then_some(()));
    // Nothing local is touched.
    ask(&acme.dir, &["agent", "register", "carol"]);
    ask(&acme.dir, &["transfer", "send", "--from", "alice", "--to", "carol", "0.10"]);

    while_stopped(&mut globex, |dir| {
        fs::remove_dir_all(dir).expect("removed");
        copy(&new, dir);
    });
    let is_lifted = |node: &Single, peer: &str| ask(&node.dir, &["drift", "show", peer])["quarantine"] == "none";
    wait_for("agreement", PATIENCE, || (!has_drifted(&acme, "globex") && !has_drifted(&globex, "acme")).then_some(()));
    wait_for("the end of quarantine", PATIENCE, || is_lifted(&acme, "globex").then_some(()));
    let last = text(&ask(&acme.dir, &pay), "transfer");
    assert_eq!(wait_for("the next payment", PATIENCE, || is_over(&last)), "committed");
}
