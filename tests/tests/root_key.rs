//! Another root key for a domain that trades, with real processes: the id stays, a peer that was away follows and trades,
//! an invitation by the new key is taken, and whoever audits an export that spans the change needs nothing else.

use comity_ledger::Outcome;
use comity_node::home::{Home, voter};
use comity_proto::{
    envelope::Signed as _,
    identity::NodeCertificate,
    key_step::{KeyChange, KeyStep},
    keys::SecretKey,
    roots::RootKey,
    text::Reason,
    treaty::TreatyPush,
};
use comity_tests::{
    PATIENCE,
    cli::{ask, run, try_ask},
    pair::text,
    rogue::Rogue,
    single::Single,
    wait_for,
};
use serde_json::Value;
use std::{fs, path::Path};

fn rotate(dir: &Path, words: &[&str]) -> Value {
    ask(dir, &[&["keyring"], words, &["--key", "root", "--reason", "every year"]].concat())
}

fn refused(dir: &Path, words: &[&str]) -> String {
    let words = [&["keyring"], words, &["--key", "root", "--reason", "every year"]].concat();
    try_ask(dir, &words).refusal().to_owned()
}

/// A root key as the ledger knows it.
fn root(view: &Value, name: &str) -> Option<String> {
    view["ledger"]["root"][name].as_str().map(str::to_owned)
}

fn befriend(one: &Single, other: &Single) {
    let token = text(&ask(&one.dir, &["peer", "invite", "--cap", "1000"]), "token");
    ask(&other.dir, &["peer", "accept", &token, "--cap", "1000"]);
    ask(&one.dir, &["peer", "approve", &other.domain().to_string()]);
}

fn funded(node: &Single) {
    node.issue(1_000_000_000);
    let id = text(&ask(&node.dir, &["agent", "register", "agent"]), "agent");
    fs::write(node.dir.join("agent.id"), id).expect("a file");
    ask(&node.dir, &["faucet", "claim", "agent"]);
}

fn pay_across(from: &Single, to: &Single) {
    let id = fs::read_to_string(to.dir.join("agent.id")).expect("its id");
    let whom = format!("{id}@{}", to.domain());
    let send = || try_ask(&from.dir, &["transfer", "send", "--from", "agent", "--to", &whom, "0.25"]);
    let sent = wait_for("a way to the peer", PATIENCE, || {
        let said = send();
        said.last()["transfer"].as_str().map(str::to_owned)
    });
    wait_for("the end of a transfer", PATIENCE, || {
        let shown = try_ask(&from.dir, &["transfer", "show", &sent]);
        matches!(shown.last()["state"].as_str(), Some("committed" | "closed")).then_some(())
    });
}

fn unseen(node: &Single) -> Vec<String> {
    let status: Value = node.api().get("/api/v1/status").expect("a status");
    let lists = status["keys_not_seen"].as_array().cloned().unwrap_or_default();
    lists.iter().filter_map(|list| list["key"].as_str().map(str::to_owned)).collect()
}

fn seen_by_all(node: &Single) {
    wait_for("every peer to see the keys", PATIENCE, || unseen(node).is_empty().then_some(()));
}

/// Every step, from the first to the last: the old key counts no more behind it. Answers the key that acts.
fn rotate_whole(node: &mut Single) -> String {
    let (dir, first) = (node.dir.clone(), Home::load(&node.dir).expect("a home").domain_key);
    let before = root(&ask(&dir, &["keyring", "show"]), "active").expect("a root key");
    assert_eq!(refused(&dir, &["activate"]), "no_next_key");
    assert_eq!(refused(&dir, &["retire"]), "no_key_to_retire");
    assert_eq!(refused(&dir, &["revoke", &before]), "key_active");
    assert_eq!(refused(&dir, &["revoke", "did:key:zNobody"]), "bad_key");
    let lost = root(&rotate(&dir, &["prepare"]), "next").expect("the next key");
    assert_eq!(root(&rotate(&dir, &["prepare"]), "next"), Some(lost.clone()), "twice is once");
    rotate(&dir, &["revoke", &lost]);
    let next = root(&rotate(&dir, &["prepare"]), "next").expect("another next key");
    assert_ne!(next, lost);
    assert_eq!(refused(&dir, &["activate", "--overlap-hours", "0"]), "overlap_too_short");
    rotate(&dir, &["activate", "--overlap-hours", "1"]);
    // It starts again by itself.
    let known = wait_for("the node under the new root key", PATIENCE, || {
        let known: Value = node.api().get("/api/v1/keyring").ok()?;
        known["old_certificates"].as_array()?.is_empty().then_some(known)
    });
    assert_eq!(
        (&known["root"]["active"], &known["root"]["before"]),
        (&Value::from(next.clone()), &Value::from(before))
    );
    node.wait_until_founded();
    // The roster follows by itself; until then the old key cannot be retired.
    wait_for("the roster by the new key", PATIENCE, || {
        let said = try_ask(&dir, &["keyring", "retire", "--key", "root"]);
        let waits = ["key_not_in_roster", "node_unreachable", "no_leader"].contains(&said.refusal());
        assert!(said.code == 0 || waits, "{}", said.text);
        (said.code == 0).then_some(())
    });
    let home = Home::load(&dir).expect("a home");
    assert_eq!((home.domain_key, home.root_named().map(|key| key.to_string())), (first, Some(next.clone())));
    let certificate = NodeCertificate::open(&home.certificate).expect("a certificate");
    assert_eq!((certificate.key().to_string(), *certificate.first_key()), (next.clone(), first));
    next
}

#[test]
fn a_peer_that_was_away_while_the_root_key_changed_comes_back_and_trades() {
    let (mut alpha, mut beta) = (Single::named("alpha"), Single::named("beta"));
    for node in [&alpha, &beta] {
        funded(node);
    }
    befriend(&alpha, &beta);
    pay_across(&alpha, &beta);
    let id = alpha.domain();
    beta.process = None;
    let second = rotate_whole(&mut alpha);
    assert_eq!(alpha.domain(), id, "the domain keeps its id");
    assert!(unseen(&alpha).contains(&"root".to_owned()));
    let third = rotate_whole(&mut alpha);
    assert_ne!(second, third);
    beta.start(&[]);
    beta.wait_until_founded();
    seen_by_all(&alpha);
    pay_across(&alpha, &beta);
    pay_across(&beta, &alpha);

    // A stranger is invited by the new key, and both sides sign with the keys that act.
    let gamma = Single::named("gamma");
    funded(&gamma);
    befriend(&alpha, &gamma);
    pay_across(&alpha, &gamma);
    pay_across(&gamma, &alpha);
    ask(&alpha.dir, &["peer", "suspend", "beta", "--reason", "holidays"]);
    ask(&alpha.dir, &["peer", "resume", "beta", "--reason", "back"]);
    pay_across(&alpha, &beta);

    let file = alpha.dir.join("alpha.history").display().to_string();
    ask(&alpha.dir, &["ledger", "export", &file]);
    let judged = run(&["audit", "verify", &file], PATIENCE);
    assert!(judged.text.contains("roster by root key 3, which the first one leads to"), "{}", judged.text);
}

/// What a status says of root keys beside the known ones, to programs and to people.
fn forks(node: &Single) -> (Value, String) {
    let data = node.dir.display().to_string();
    (ask(&node.dir, &["status"])["root_forks"].clone(), run(&["--data", &data, "status"], PATIENCE).text)
}

#[test]
fn a_root_key_beside_the_known_one_is_refused_and_shown_to_the_operator_with_its_domain() {
    let (mut alpha, beta) = (Single::named("alpha"), Single::named("beta"));
    befriend(&alpha, &beta);
    rotate(&alpha.dir, &["prepare"]);
    seen_by_all(&alpha);
    let (none, told) = forks(&beta);
    assert!(none == serde_json::json!([]) && told.contains("root forks none shown"), "{none}: {told}");
    assert!(ask(&beta.dir, &["peer", "show", "alpha"])["root_fork"].is_null());

    // A thief of alpha's first root key and of its node speaks for another one that follows.
    alpha.process = None;
    let home = Home::load(&alpha.dir).expect("a home");
    let first = &home.domain_keys.as_ref().expect("a founder").root;
    let fork = SecretKey::from_seed(&[77; 32]);
    let fork = RootKey::along(first.links_to(&fork).expect("links"), fork).expect("they hold");
    let (domain, place, key) = (home.domain(), Some(first.first()), fork.public());
    let reason = Reason::new("mine now").expect("a reason");
    let step = KeyStep {
        domain,
        place,
        serial: 9,
        change: KeyChange::Activate,
        key,
        overlap_ms: 0,
        proof: vec![].into(),
        reason,
    };
    let rogue = Rogue::towards(&beta, &home, voter());
    let word = TreatyPush::Key(step.seal(&fork));
    for times in 1..=2 {
        assert_eq!(rogue.say_of_treaty(&word), [Outcome::RootKeyForked.code()]);
        let (shown, told) = forks(&beta);
        assert_eq!((&shown[0]["domain"], &shown[0]["nickname"]), (&domain.to_string().into(), &"alpha".into()));
        assert!(shown[0]["times"] == times && shown[0]["age_ms"].is_u64(), "{shown}");
        assert!(told.contains(&format!("alpha: ANOTHER ROOT KEY WAS SHOWN (times: {times},")), "{told}");
        let peer = ask(&beta.dir, &["peer", "show", "alpha"]);
        assert_eq!((&peer["root_fork"]["times"], &peer["state"]), (&times.into(), &"mutual".into()));
    }
    let data = beta.dir.display().to_string();
    let told = run(&["--data", &data, "peer", "show", "alpha"], PATIENCE).text;
    assert!(told.contains("root key     ANOTHER ROOT KEY WAS SHOWN (times: 2,"), "{told}");
}
