//! What one domain lets the other see and hire: nothing without a rule, and exactly what the preview says with one.

use comity_proto::{command::Verb, ids::EscrowId};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::{ask, try_ask},
    pair::{Pair, failed, give, publish, session, text},
    single::Single,
    wait_for,
};
use serde_json::{Value, json};

fn discovers(node: &Single, capability: &str) -> usize {
    let found = ask(&node.dir, &["discover", capability]);
    found["agents"].as_array().map_or(0, Vec::len)
}

/// What the peer is shown of one agent: seen, hired for, hires.
fn preview(node: &Single, peer: &str, agent: &Agent) -> (bool, Vec<String>, bool) {
    let answer = ask(&node.dir, &["export", "preview", peer]);
    let agents = answer["agents"].as_array().expect("agents");
    let id = agent.id.to_string();
    let line = agents.iter().find(|line| line["agent"] == id.as_str()).expect("the agent has a card");
    let hired = line["hired_for"].as_array().expect("a list").iter();
    (
        line["seen"] == true,
        hired.map(|text| text.as_str().unwrap_or_default().to_owned()).collect(),
        line["hires"] == true,
    )
}

fn refusal(node: &Single, args: &[&str]) -> String {
    let said = try_ask(&node.dir, args);
    assert_eq!(said.code, 1, "{}", said.text);
    said.refusal().to_owned()
}

#[test]
fn nothing_is_seen_or_hired_across_a_treaty_without_a_rule_and_exactly_what_the_preview_says_with_one() {
    let Pair { acme, globex } = Pair::connected("none");
    let alice = Agent::funded(&acme.api(), acme.domain(), "alice");
    let bob = Agent::registered(&globex.api(), globex.domain(), "bob");
    publish(&globex.api(), &bob, "text.statistics", 1);
    let (at_acme, at_globex) = (session(&acme.api(), &alice), session(&globex.api(), &bob));
    assert_eq!(preview(&globex, "acme", &bob), (false, vec![], false));
    assert_eq!(discovers(&acme, "text.statistics"), 0);

    // Outward: alice's own domain does not let her hire.
    let escrow_id = EscrowId([1; 16]);
    let terms = alice.terms(&bob, acme.asset(), 100_000);
    let lock = || Verb::LockEscrow { escrow_id, terms: terms.clone() };
    assert_eq!(alice.submit(&acme.api(), lock()).expect_err("no rule").code, "not_exported");
    assert_eq!(give(&at_acme, &alice, &bob, "text.statistics").expect_err("no rule").code, "not_exported");
    ask(&acme.dir, &["export", "add", "globex", "--direction", "out", "--reason", "we buy"]);
    alice.must(&acme.api(), lock());

    // Inward: bob's domain does not let him be hired, whatever the other one allows.
    let task = give(&at_acme, &alice, &bob, "text.statistics").expect("it leaves");
    assert_eq!(failed(&at_acme, task), "not_exported");
    let working = Agent { signer: bob.signer.towards(acme.domain()), ..bob.clone() };
    let accept = || working.submit(&globex.api(), Verb::AcceptEscrow { escrow_id });
    assert_eq!(accept().expect_err("no rule").code, "not_exported");

    let id = bob.id.to_string();
    let rule = ["acme", "--agent", &id, "--capability", "text", "--direction", "in"];
    let with = |verb, reason| [&["export", verb][..], &rule, &["--reason", reason]].concat();
    ask(&globex.dir, &with("add", "the pilot"));
    assert_eq!(preview(&globex, "acme", &bob), (true, vec!["text.statistics".to_owned()], false));
    wait_for("the card at the peer", PATIENCE, || (discovers(&acme, "text.statistics") == 1).then_some(()));
    accept().expect("he may be hired now");
    let task = give(&at_acme, &alice, &bob, "text.statistics").expect("it leaves");
    let taken: Value = at_globex.get("/api/v1/tasks/next?wait_ms=10000").expect("a task");
    assert_eq!(text(&taken["task"], "task"), task.to_string(), "{taken}");
    let other = give(&at_acme, &alice, &bob, "payroll").expect("it leaves");
    assert_eq!(failed(&at_acme, other), "not_exported", "for this he is not hired");

    // An edition that offers more than the rules admit is not shown; the last one that they admit stays.
    publish(&globex.api(), &bob, "payroll", 2);
    assert_eq!(preview(&globex, "acme", &bob), (false, vec![], false));

    // Rules are data: listed, taken back as they were given, each with its reason; none counts in a suspended treaty.
    let rules = ask(&globex.dir, &["export", "list"]);
    assert_eq!((rules["exports"].as_array().map(Vec::len), &rules["exports"][0]["dormant"]), (Some(1), &Value::Null));
    assert_eq!(refusal(&globex, &with("remove", " ")), "reason_missing");
    ask(&globex.dir, &["peer", "suspend", "acme", "--reason", "audit"]);
    assert_eq!(text(&ask(&globex.dir, &["export", "list"])["exports"][0], "dormant"), "treaty_suspended");
    assert_eq!(text(&ask(&globex.dir, &["export", "preview", "acme"]), "dormant"), "treaty_suspended");
    ask(&globex.dir, &["peer", "resume", "acme", "--reason", "audit is over"]);
    ask(&globex.dir, &with("remove", "the pilot is over"));
    assert_eq!(refusal(&globex, &with("remove", "again")), "unknown_export");
    wait_for("the resumption", PATIENCE, || {
        let task = give(&at_acme, &alice, &bob, "text.statistics").ok()?;
        (failed(&at_acme, task) == "not_exported").then_some(())
    });

    let post = |path: &str, body: Value| globex.api().post::<Value>(path, &body).expect_err("refused").code;
    let odd = json!({ "direction": "up", "reason": "x" });
    assert_eq!(post("/api/v1/exports", odd), "bad_direction");
    let odd = json!({ "direction": "in", "reason": "x", "capability": "No" });
    assert_eq!(post("/api/v1/exports", odd), "bad_capability");
    let odd = json!({ "direction": "in", "reason": "x", "agent": "x" });
    assert_eq!(post("/api/v1/exports", odd), "bad_agent_id");
    let as_agent = at_globex.post::<Value>("/api/v1/exports", &json!({ "direction": "in", "reason": "x" }));
    assert_eq!(as_agent.expect_err("an agent").code, "operator_only");
}

#[test]
fn five_commands_let_agents_of_two_fresh_domains_see_and_hire_each_other() {
    let Pair { acme, globex } = Pair::connected("all");
    let bob = Agent::registered(&globex.api(), globex.domain(), "bob");
    publish(&globex.api(), &bob, "text.statistics", 1);
    wait_for("the card at the peer", PATIENCE, || (discovers(&acme, "text") == 1).then_some(()));
    assert_eq!(preview(&globex, "acme", &bob), (true, vec!["text.statistics".to_owned()], true));
}
