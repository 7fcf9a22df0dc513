//! `comity dev`: the story that a newcomer sees, and the ways in which it may end badly.

use comity_tests::{
    PATIENCE,
    cli::{self, Said},
    slowness::Slowness,
};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One federation at a time: six nodes are enough for a busy machine, and the story's own bounds are in seconds.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn story(more: &[&str]) -> Said {
    let mut args = vec!["--json", "dev", "--once", "--input", "Cargo.toml"];
    args.extend(more);
    cli::run(&args, 4 * PATIENCE)
}

fn step<'a>(said: &'a Said, name: &str) -> Option<&'a Value> {
    said.documents.iter().find(|line| line["step"] == name)
}

fn conserved(said: &Said) -> &Value {
    let verdict = said.last();
    assert_eq!(verdict["step"], "verdict", "{}", said.text);
    assert_eq!(verdict["conserved"], true, "{verdict}");
    assert_eq!(verdict["in_doubt"], 0, "{verdict}");
    verdict
}

#[test]
fn the_story_ends_with_the_worker_paid_and_money_conserved() {
    let _alone = alone();
    let slowness = Slowness::measure();
    let said = story(&[]);
    let slow = slowness.factor();
    let verdict = conserved(&said);
    assert_eq!(said.code, 0, "{}", said.text);
    assert_eq!(verdict["payee_received"], "4925250", "{verdict}");
    let card_ms = verdict["card_everywhere_ms"].as_u64().expect("a figure");
    assert!(
        (card_ms as f64) < 1_000.0 * slow,
        "the card was everywhere after {card_ms} ms, machine slower by {slow:.1}"
    );
    println!("{verdict}");
}

#[test]
fn a_worker_that_dies_is_not_paid_and_the_payer_has_its_money_back() {
    let _alone = alone();
    let said = story(&["--worker", "dies"]);
    let verdict = conserved(&said);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(step(&said, "refunded").is_some(), "{}", said.text);
    assert!(step(&said, "released").is_none(), "{}", said.text);
    assert_eq!(verdict["payee_received"], "0", "{verdict}");
}

#[test]
fn a_worker_whose_result_is_not_what_it_signed_for_is_not_paid() {
    let _alone = alone();
    let said = story(&["--worker", "wrong-hash"]);
    let verdict = conserved(&said);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(step(&said, "rejected").is_some(), "{}", said.text);
    assert!(step(&said, "released").is_none(), "{}", said.text);
    assert_eq!(verdict["payee_received"], "0", "{verdict}");
}

#[test]
fn a_transfer_whose_leader_is_killed_between_vote_and_decision_ends() {
    let _alone = alone();
    let slowness = Slowness::measure();
    let said = story(&["--kill-leader"]);
    let slow = slowness.factor();
    let verdict = conserved(&said);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(step(&said, "killed").is_some(), "{}", said.text);
    let recovered = step(&said, "recovered").unwrap_or_else(|| panic!("{}", said.text));
    let doubt_ms = recovered["facts"]["in_doubt_ms"].as_u64().expect("a figure");
    assert!((doubt_ms as f64) < 10_000.0 * slow, "in doubt for {doubt_ms} ms, machine slower by {slow:.1}");
    assert_eq!(verdict["payee_received"], "4925250", "{verdict}");
    println!("in doubt for {doubt_ms} ms after the kill");
}

fn secrets(root: &Path, name: &str) -> Vec<String> {
    let homes = ["alpha", "beta"].into_iter().flat_map(|domain| (1..=3).map(move |node| format!("{domain}/{node}")));
    homes.map(|home| fs::read_to_string(root.join(home).join(name)).expect(name).trim().to_owned()).collect()
}

#[test]
fn no_agent_knows_an_operators_token_and_each_knows_only_its_own_domain() {
    let _alone = alone();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let root = dir.path().join("federation");
    let said = story(&["--dir", &root.display().to_string()]);
    assert_eq!(said.code, 0, "{}", said.text);
    let operators = secrets(&root, "api.token");
    let admissions = secrets(&root, "admission.token");
    for (role, own) in [("orchestrator", 0..3), ("worker", 3..6)] {
        let config = fs::read_to_string(root.join(format!("{role}.json"))).expect("the agent's configuration");
        let log = fs::read_to_string(root.join(format!("{role}.log"))).expect("the agent's log");
        for (index, operator) in operators.iter().enumerate() {
            assert!(
                !config.contains(operator) && !log.contains(operator),
                "{role} has the operator's token of {index}"
            );
        }
        for (index, admission) in admissions.iter().enumerate() {
            assert_eq!(config.contains(admission), own.contains(&index), "{role} and the admission token of {index}");
        }
    }
}
