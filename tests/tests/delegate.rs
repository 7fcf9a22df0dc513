//! Delegation through everything that can go wrong with a worker, its node, the directory or the node that delegates:
//! somebody does the work and is paid once, or the money is back.

use comity_node::{cli::client::Client, service::error::ServiceError};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::Party,
    envelope::Signed as _,
    ids::{Hash, TaskId},
    task::PaymentRequest,
};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::{ask, try_ask},
    pair::{Pair, session, text},
    single::Single,
    wait_for, wire,
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::path::Path;

/// What the task is, and what it comes to.
const TASK: &str = "to be or not to be";
const RESULT: &str = r#"{"words":6}"#;
/// Seconds for a worker: enough for one that works on a slow machine, and waited for where one does not.
const TIMEOUT_S: u32 = 15;

/// A custodial agent of a node.
struct Account {
    agent: String,
    token: String,
    door: Client,
}

impl Account {
    fn open(node: &Single, name: &str) -> Account {
        let made = ask(&node.dir, &["agent", "register", name, "--custodial"]);
        let (agent, token) = (text(&made, "agent"), text(&made, "token"));
        Account { agent, door: node.api().with_token(token.clone()), token }
    }

    fn payer(node: &Single) -> Account {
        let payer = Account::open(node, "payer");
        payer.errand("claim", "claim_faucet", json!({}));
        payer
    }

    fn worker(node: &Single, name: &str, price: &str) -> Account {
        let worker = Account::open(node, name);
        let card = json!({ "name": name, "capabilities": ["text.count"], "price": price });
        let _: Value = worker.door.post("/api/v1/custody/card", &card).expect("a card");
        worker
    }

    fn errand(&self, key: &str, verb: &str, arguments: Value) -> Value {
        let body = json!({ "verb": verb, "arguments": arguments });
        let done = self.door.post_with_key("/api/v1/custody/errands", &body, Some(key));
        done.unwrap_or_else(|error| panic!("{verb}: {error}"))
    }

    fn balance(&self) -> u64 {
        balance(&self.door, &self.agent)
    }

    /// The next task that waits for it.
    fn task(&self) -> Value {
        wait_for("work", PATIENCE, || {
            let next: Value = self.door.get("/api/v1/tasks/next?wait_ms=500").ok()?;
            (!next["task"].is_null()).then(|| next["task"].clone())
        })
    }

    /// Signs for a result in the escrow, wherever that lives.
    fn hand_in(&self, task: &Value, result: &str) {
        let escrow = text(task, "escrow");
        let arguments = json!({ "escrow": escrow, "result": result, "home": text(&task["from"], "domain") });
        self.errand(&format!("deliver-{escrow}"), "deliver", arguments);
    }

    /// Gives the result and asks for its price.
    fn finish(&self, task: &Value, result: &str, amount: &str) {
        let body = json!({ "result": BASE64.encode(result.as_bytes()), "amount": amount });
        let path = format!("/api/v1/tasks/{}/finish", text(task, "task"));
        let _: Value = self.door.post(&path, &body).unwrap_or_else(|error| panic!("{error}"));
    }

    fn works(&self, price: &str) {
        let task = self.task();
        assert_eq!(BASE64.decode(text(&task, "body").as_bytes()).expect("bytes"), TASK.as_bytes());
        self.hand_in(&task, RESULT);
        self.finish(&task, RESULT, price);
    }

    fn delegate(&self, key: &str) -> String {
        text(&try_delegate(&self.door, key, order(&[])).unwrap_or_else(|error| panic!("{error}")), "delegation")
    }

    fn refused(&self, key: &str, more: &[(&str, Value)]) -> String {
        try_delegate(&self.door, key, order(more)).expect_err("it was taken").code
    }
}

fn order(more: &[(&str, Value)]) -> Value {
    let mut order = json!({
        "capability": "text.count", "body": BASE64.encode(TASK.as_bytes()), "max_price": "0.50", "timeout_s": TIMEOUT_S,
        "schema": { "type": "object", "required": ["words"], "properties": { "words": { "type": "integer" } } },
    });
    more.iter().for_each(|(name, value)| order[*name] = value.clone());
    order
}

fn try_delegate(door: &Client, key: &str, order: Value) -> Result<Value, ServiceError> {
    door.post_with_key("/api/v1/delegations", &order, Some(key))
}

fn balance(door: &Client, agent: &str) -> u64 {
    let account: Value = door.get(&format!("/api/v1/accounts/{agent}")).expect("an account");
    account["balances"][0]["available"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// How it stands, as soon as this holds of it.
fn until(door: &Client, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, PATIENCE, || {
        let view: Value = door.get(&format!("/api/v1/delegations/{id}")).ok()?;
        let over = matches!(view["state"].as_str(), Some("done" | "failed" | "canceled"));
        assert!(holds(&view) || !over, "{what}: {view:#}");
        holds(&view).then_some(view)
    })
}

fn done(door: &Client, id: &str) -> Value {
    let view = until(door, id, "the end of a delegation", |view| view["state"] == "done");
    assert_eq!(BASE64.decode(text(&view, "result").as_bytes()).expect("bytes"), RESULT.as_bytes());
    assert_eq!(text(&view, "result_sha256"), Hash::of(RESULT.as_bytes()).to_string());
    view
}

/// Whether this happened.
fn happened(view: &Value, what: &str) -> bool {
    view["lines"].as_array().into_iter().flatten().any(|line| line["what"] == what)
}

fn why(attempt: &Value) -> String {
    text(attempt, "why")
}

#[test]
fn a_worker_that_is_silent_is_not_paid_and_the_next_one_is() {
    let node = Single::up();
    let (mute, able, payer) =
        (Account::worker(&node, "mute", "0.10"), Account::worker(&node, "able", "0.20"), Account::payer(&node));
    let before = payer.balance();
    let id = payer.delegate("one");
    assert_eq!(payer.delegate("one"), id, "the same key is the same delegation");
    assert_eq!(payer.refused("one", &[("max_price", "0.40".into())]), "idempotency_key_reused");
    let ignored = mute.task();
    able.works("0.20");
    let view = done(&payer.door, &id);
    let attempts = view["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 2, "{view:#}");
    assert_eq!((&attempts[0]["agent"], &attempts[0]["paid"]), (&json!(mute.agent), &json!("0")));
    assert_eq!((&attempts[1]["agent"], &attempts[1]["paid"]), (&json!(able.agent), &json!("200000")));
    assert!(why(&attempts[0]).starts_with("no result"), "{view:#}");
    let escrow: Value = node.api().get(&format!("/api/v1/escrows/{}", text(&ignored, "escrow"))).expect("an escrow");
    assert_eq!(escrow["state"], "refunded");
    assert_eq!((before - payer.balance(), mute.balance()), (200_000, 0));
    let denied: Value = payer.door.get("/api/v1/delegations/denied").expect("a list");
    assert_eq!(denied["denied"], json!([]), "silence is no lie");
}

#[test]
fn a_result_that_does_not_hold_is_disputed_and_its_worker_hired_no_more() {
    let node = Single::up();
    let (liar, sloppy) = (Account::worker(&node, "liar", "0.10"), Account::worker(&node, "sloppy", "0.15"));
    let (able, payer) = (Account::worker(&node, "able", "0.20"), Account::payer(&node));
    let before = payer.balance();
    let id = payer.delegate("one");
    let task = liar.task();
    liar.hand_in(&task, "something else");
    liar.finish(&task, RESULT, "0.10");
    let task = sloppy.task();
    sloppy.hand_in(&task, "[]");
    sloppy.finish(&task, "[]", "0.15");
    able.works("0.20");
    let view = done(&payer.door, &id);
    let attempts = view["attempts"].as_array().expect("attempts");
    assert!(why(&attempts[0]).contains("handed in to the escrow"), "{view:#}");
    assert!(why(&attempts[1]).contains("breaks `type`"), "{view:#}");
    assert_eq!((before - payer.balance(), liar.balance(), sloppy.balance()), (200_000, 0, 0));
    // The evidence stands in the domain's log, by its hash.
    let bearer = format!("Bearer {}", payer.token);
    let log = wire::ask(node.http, "GET", "/api/v1/events?follow=false&after=0", &[("authorization", &bearer)], b"");
    let log = String::from_utf8(log.body).expect("text");
    for attempt in &attempts[..2] {
        let hash = text(attempt, "evidence_sha256");
        assert_eq!(Hash::of(text(attempt, "evidence").as_bytes()).to_string(), hash);
        assert!(log.lines().any(|line| line.contains("escrow_disputed") && line.contains(&hash)), "{hash}: {log}");
    }
    // The next time neither is asked.
    let id = payer.delegate("two");
    able.works("0.20");
    let view = done(&payer.door, &id);
    assert_eq!(view["attempts"].as_array().map(Vec::len), Some(1), "{view:#}");
    let denied: Value = payer.door.get("/api/v1/delegations/denied").expect("a list");
    let who: Vec<&Value> = denied["denied"].as_array().into_iter().flatten().map(|one| &one["agent"]).collect();
    assert_eq!(who, [&json!(liar.agent), &json!(sloppy.agent)], "{denied:#}");
    // What is denied is its owner's own, and can be taken back.
    assert_eq!(able.door.get::<Value>("/api/v1/delegations/denied").expect("a list")["denied"], json!([]));
    ask(&node.dir, &["delegate", "allow", &liar.agent, "--reason", "it was mended"]);
    let again = try_ask(&node.dir, &["delegate", "allow", &liar.agent, "--reason", "it was mended"]);
    assert_eq!(again.refusal(), "unknown_denied_worker");
}

#[test]
fn a_node_that_is_killed_at_every_step_goes_on_by_itself_and_pays_once() {
    let mut node = Single::up();
    let able = Account::worker(&node, "able", "0.20");
    let payer = text(&ask(&node.dir, &["agent", "register", "payer"]), "agent");
    ask(&node.dir, &["faucet", "claim", "payer"]);
    let before = balance(&node.api(), &payer);
    // A worker has until the node is back, four times.
    let order = order(&[("from", "payer".into()), ("timeout_s", 600.into())]);
    let id = text(&try_delegate(&node.api(), "one", order.clone()).expect("begun"), "delegation");
    let again = |node: &mut Single| {
        node.process.as_mut().expect("it runs").kill();
        node.start(&[]);
        node.wait_until_founded();
    };
    let door = node.api();
    until(&door, &id, "the escrow", |view| happened(view, "locked"));
    again(&mut node);
    until(&door, &id, "the task", |view| happened(view, "task_given"));
    again(&mut node);
    let task = able.task();
    able.hand_in(&task, RESULT);
    again(&mut node);
    let same = able.task();
    assert_eq!((&same["task"], &same["escrow"]), (&task["task"], &task["escrow"]), "the same work");
    able.finish(&same, RESULT, "0.20");
    until(&door, &id, "a checked result", |view| happened(view, "verified"));
    again(&mut node);
    let view = done(&door, &id);
    assert_eq!(view["attempts"].as_array().map(Vec::len), Some(1), "{view:#}");
    assert_eq!(before - balance(&door, &payer), 200_000);
    let escrows: Value = door.get(&format!("/api/v1/escrows?agent={payer}")).expect("escrows");
    assert_eq!(escrows["escrows"].as_array().map(Vec::len), Some(1), "{escrows:#}");
    let told = try_delegate(&door, "one", order).expect("the same again");
    assert_eq!((&told["state"], &told["delegation"]), (&json!("done"), &json!(id)));
}

#[test]
fn a_token_is_not_kept_so_its_delegation_goes_on_when_its_owner_is_back_or_the_money_is() {
    let mut node = Single::up();
    let (able, payer) = (Account::worker(&node, "able", "0.20"), Account::payer(&node));
    let before = payer.balance();
    let more = [("timeout_s", json!(600))];
    let id = text(&try_delegate(&payer.door, "one", order(&more)).expect("begun"), "delegation");
    let short =
        text(&try_delegate(&payer.door, "two", order(&[("timeout_s", json!(20))])).expect("begun"), "delegation");
    for id in [&id, &short] {
        until(&payer.door, id, "the escrow", |view| happened(view, "locked") && happened(view, "task_given"));
    }
    node.process.as_mut().expect("it runs").kill();
    node.start(&[]);
    node.wait_until_founded();
    // The operator sees that it sleeps, and cannot wake it.
    for id in [&id, &short] {
        let seen: Value = node.api().get(&format!("/api/v1/delegations/{id}")).expect("a view");
        assert_eq!((&seen["waits_for_its_token"], &seen["state"]), (&json!(true), &json!("hiring")), "{seen:#}");
    }
    // What nobody delivered comes back without anybody.
    wait_for("the money of the one that nobody wakes", PATIENCE, || {
        (payer.balance() == before - 200_000).then_some(())
    });
    let seen: Value = payer.door.get(&format!("/api/v1/delegations/{id}")).expect("a view");
    assert_eq!(seen["waits_for_its_token"], false, "{seen:#}");
    able.works("0.20");
    done(&payer.door, &id);
    assert_eq!(
        (
            before - payer.balance(),
            node.api().get::<Value>(&format!("/api/v1/delegations/{short}")).expect("a view")["paid"].clone()
        ),
        (200_000, json!("0"))
    );
}

/// Delivers, and asks for payment with a demand that somebody else signed.
fn forge(node: &Single, worker: &Account) {
    let task = worker.task();
    worker.hand_in(&task, RESULT);
    let task_id: TaskId = text(&task, "task").parse().expect("an id");
    let thief = Agent::fresh(node.domain());
    let demand = PaymentRequest {
        task_id,
        escrow_id: text(&task, "escrow").parse().expect("an id"),
        milestone: None,
        payee: Party { domain: node.domain(), agent: worker.agent.parse().expect("an id") },
        asset: AssetId { issuer: node.domain(), code: AssetCode::new("USD").expect("a code") },
        amount: 200_000,
        result_hash: Hash::of(RESULT.as_bytes()),
    };
    for (kind, data) in [("result", RESULT.as_bytes().to_vec()), ("finished", demand.seal(thief.signer.key()).to_vec())]
    {
        let body = json!({ "kind": kind, "data": BASE64.encode(&data) });
        let _: Value = worker.door.post(&format!("/api/v1/tasks/{task_id}/events"), &body).expect("told");
    }
}

#[test]
fn a_forged_claim_for_payment_is_refused_counted_by_its_claimed_name_and_repeated_alarms() {
    let node = Single::up();
    let (worker, payer) = (Account::worker(&node, "worker", "0.20"), Account::payer(&node));
    let before = payer.balance();
    for (key, count) in [("one", 1), ("two", 2)] {
        let id = payer.delegate(key);
        forge(&node, &worker);
        let view = until(&payer.door, &id, "its end", |view| view["state"] == "failed");
        assert!(why(&view["attempts"][0]).contains(&format!("in the name of {}", worker.agent)), "{view:#}");
        assert!(happened(&view, "disputed") && happened(&view, "refunded") && !happened(&view, "released"), "{view:#}");
        let book: Value = payer.door.get("/api/v1/delegations/denied").expect("a list");
        let forged = &book["forged"][0];
        assert_eq!((&forged["claimed"], &forged["count"]), (&json!(worker.agent), &json!(count)), "{book:#}");
        assert_eq!(forged["alert"], count > 1, "{book:#}");
        assert_eq!(book["denied"][0]["agent"], worker.agent.as_str(), "{book:#}");
        ask(&node.dir, &["delegate", "allow", &worker.agent, "--reason", "to see it again"]);
    }
    assert_eq!((payer.balance(), worker.balance()), (before, 0));
}

/// Removes what a node that is stopped has kept of the directory.
fn forget_cards(dir: &Path) {
    let mut removed = 0;
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cards.redb")) {
                std::fs::remove_file(path).expect("removed");
                removed += 1;
            }
        }
    }
    assert!(removed > 0, "no cards in {}", dir.display());
}

#[test]
fn when_nothing_is_found_the_kept_list_serves_with_its_age_and_the_provider_that_is_there() {
    let mut pair = Pair::connected("all");
    let (far, near) = (Account::worker(&pair.globex, "far", "0.10"), Account::worker(&pair.acme, "near", "0.20"));
    let payer = Account::payer(&pair.acme);
    wait_for("both cards", PATIENCE, || {
        let found: Value = payer.door.get("/api/v1/discover?capability=text.count").ok()?;
        let usable = found["agents"].as_array()?.iter().filter(|card| card["home_known"] == true).count();
        (usable == 2).then_some(())
    });
    // Nobody is cheap enough, but who there is was seen.
    let first = try_delegate(&payer.door, "one", order(&[("max_price", "0.05".into())])).expect("begun");
    until(&payer.door, &text(&first, "delegation"), "no candidate", |view| view["why"] == "no candidate");
    for node in [&mut pair.acme, &mut pair.globex] {
        node.process.as_mut().expect("it runs").kill();
    }
    forget_cards(&pair.acme.dir);
    pair.acme.start(&[]);
    pair.acme.wait_until_founded();
    let before = payer.balance();
    let id = payer.delegate("two");
    near.works("0.20");
    let view = done(&payer.door, &id);
    let failed = view["lines"].as_array().into_iter().flatten().filter(|line| line["what"] == "discovery_failed");
    assert_eq!(failed.count(), 3, "{view:#}");
    assert!(view["kept_list_age_ms"].as_u64().is_some_and(|age| age > 0), "{view:#}");
    let who: Vec<&Value> = view["attempts"].as_array().into_iter().flatten().map(|one| &one["agent"]).collect();
    assert_eq!(who, [&json!(far.agent), &json!(near.agent)], "{view:#}");
    assert_eq!(before - payer.balance(), 200_000);
}

#[test]
fn a_connection_that_drops_in_the_middle_of_the_work_costs_time_and_nothing_else() {
    let mut pair = Pair::connected("all");
    let (far, payer) = (Account::worker(&pair.globex, "far", "0.10"), Account::payer(&pair.acme));
    wait_for("its card", PATIENCE, || {
        let found: Value = payer.door.get("/api/v1/discover?capability=text.count").ok()?;
        (found["agents"][0]["home_known"] == true).then_some(())
    });
    let before = payer.balance();
    let order = order(&[("timeout_s", json!(600))]);
    let id = text(&try_delegate(&payer.door, "one", order).expect("begun"), "delegation");
    let task = far.task();
    pair.globex.process.as_mut().expect("it runs").kill();
    pair.globex.start(&[]);
    pair.globex.wait_until_founded();
    let same = far.task();
    assert_eq!(same["task"], task["task"], "the same work comes again");
    // The way back to the escrow's home may not stand yet: the same errand again is the same command.
    wait_for("the hand-in", PATIENCE, || {
        let arguments = json!({ "escrow": same["escrow"], "result": RESULT, "home": text(&same["from"], "domain") });
        let body = json!({ "verb": "deliver", "arguments": arguments });
        far.door.post_with_key::<Value>("/api/v1/custody/errands", &body, Some("deliver")).ok()
    });
    far.finish(&same, RESULT, "0.10");
    let view = done(&payer.door, &id);
    assert_eq!(view["attempts"].as_array().map(Vec::len), Some(1), "{view:#}");
    assert_eq!(before - payer.balance(), 100_000);
}

#[test]
fn what_is_no_delegation_is_refused_by_name_and_a_cancelled_one_hires_nobody_else() {
    let node = Single::up();
    let (mute, payer) = (Account::worker(&node, "mute", "0.01"), Account::payer(&node));
    let _also = Account::worker(&node, "also", "0.02");
    for (more, code) in [
        (("from", json!("payer")), "agent_missing"),
        (("timeout_s", json!(0)), "bad_timeout"),
        (("review_minutes", json!(1_000_000)), "bad_timeout"),
        (("schema", json!({ "pattern": "^a" })), "schema_not_supported"),
        (("capability", json!("?")), "bad_capability"),
        (("max_price", json!("much")), "bad_amount"),
        (("on_silence", json!("sulk")), "bad_text"),
        (("body", json!("%")), "bad_base64"),
        (("arbiter", json!("nobody")), "unknown_agent"),
        (("body", json!(BASE64.encode(&vec![b'x'; (1 << 20) + 1]))), "task_too_large"),
    ] {
        assert_eq!(payer.refused("bad", std::slice::from_ref(&more)), code, "{}", more.0);
    }
    let operator = node.api();
    let by_operator =
        |more: &[(&str, Value)]| try_delegate(&operator, "k", order(more)).expect_err("it was taken").code;
    assert_eq!(by_operator(&[]), "agent_missing");
    assert_eq!(by_operator(&[("from", "nobody".into())]), "no_such_key");
    // An agent that holds its own key signs for itself.
    let own = Agent::registered(&operator, node.domain(), "own");
    let refused = try_delegate(&session(&operator, &own), "k", order(&[])).expect_err("it was taken");
    assert_eq!(refused.code, "own_key");
    let id = payer.delegate("one");
    let by_others = mute.door.get::<Value>(&format!("/api/v1/delegations/{id}")).expect_err("another's");
    assert_eq!(by_others.code, "unknown_delegation");
    let newcomer = operator.with_token(node.token("admission.token"));
    let refused = newcomer.get::<Value>("/api/v1/delegations/denied").expect_err("no agent");
    assert_eq!(refused.code, "not_for_newcomers");
    mute.task();
    let cancel = format!("/api/v1/delegations/{id}/cancel");
    let _: Value = payer.door.post(&cancel, &json!({})).expect("cancelled");
    let view = until(&payer.door, &id, "its end", |view| view["state"] == "canceled");
    assert_eq!(view["attempts"].as_array().map(Vec::len), Some(1), "{view:#}");
    assert_eq!(payer.door.post::<Value>(&cancel, &json!({})).expect_err("again").code, "delegation_ended");
    let long = [("timeout_s", json!(600))];
    for number in 0..16 {
        try_delegate(&payer.door, &format!("k{number}"), order(&long)).expect("begun");
    }
    assert_eq!(payer.refused("k16", &long), "too_many_delegations");
    let listed: Value = payer.door.get("/api/v1/delegations").expect("a list");
    assert_eq!(listed["delegations"].as_array().map(Vec::len), Some(17));
}

#[test]
fn the_command_line_waits_and_tells() {
    let node = Single::up();
    let able = Account::worker(&node, "able", "0.20");
    ask(&node.dir, &["agent", "register", "payer"]);
    ask(&node.dir, &["faucet", "claim", "payer"]);
    let schema = node.dir.join("schema.json");
    std::fs::write(&schema, r#"{"type":"object","required":["words"]}"#).expect("a file");
    let schema = schema.display().to_string();
    let args = ["delegate", "start", "text.count", "--task", TASK, "--max-price", "0.50", "--from", "payer"];
    let said = std::thread::scope(|scope| {
        scope.spawn(|| able.works("0.20"));
        ask(&node.dir, &[&args[..], &["--schema", &schema]].concat())
    });
    assert_eq!((&said["state"], &said["paid"]), (&json!("done"), &json!("200000")), "{said:#}");
    let id = text(&said, "delegation");
    assert_eq!(ask(&node.dir, &["delegate", "show", &id])["result"], said["result"]);
    assert_eq!(ask(&node.dir, &["delegate", "list"])["delegations"][0]["delegation"], id.as_str());
    let detached = ask(&node.dir, &[&args[..], &["--detach", "--key", "later"]].concat());
    let id = text(&detached, "delegation");
    assert_eq!(ask(&node.dir, &["delegate", "cancel", &id, "--reason", "enough"])["delegation"], id.as_str());
    let nobody = ["delegate", "start", "text.paint", "--task", TASK, "--max-price", "0.50", "--from", "payer"];
    let said = try_ask(&node.dir, &nobody);
    assert_eq!(said.refusal(), "not_delegated", "{}", said.text);
    assert_eq!(ask(&node.dir, &["delegate", "denied"])["denied"], json!([]));
}
