//! What a peer's log says about a domain stands in that domain's log with its proof, and in nobody else's: real processes.

use comity_ledger::{Event, EventKind};
use comity_proto::{
    identity::Roles,
    projection::Excerpt,
    relay::{Answer, Question},
};
use comity_tests::{
    PATIENCE,
    cli::{Said, ask, run, try_ask},
    pair::text,
    rogue::Rogue,
    single::Single,
    wait_for,
};
use serde_json::Value;
use std::{fs, path::Path};

/// Asks no node: there is no data directory.
fn judge(file: &Path) -> Said {
    run(&["--json", "audit", "verify", &file.display().to_string()], PATIENCE)
}

fn befriend(one: &Single, other: &Single) {
    let token = text(&ask(&one.dir, &["peer", "invite", "--cap", "1000"]), "token");
    ask(&other.dir, &["peer", "accept", &token, "--cap", "1000"]);
    ask(&one.dir, &["peer", "approve", &other.domain().to_string()]);
}

fn agent(of: &Single) -> String {
    of.issue(1_000_000_000);
    let id = text(&ask(&of.dir, &["agent", "register", "agent"]), "agent");
    ask(&of.dir, &["faucet", "claim", "agent"]);
    format!("{id}@{}", of.domain())
}

/// What `of` holds of the log of `peer`, newest first.
fn held(of: &Single, peer: &Single) -> Vec<Value> {
    let answer = ask(&of.dir, &["audit", "events", &peer.domain().to_string(), "--last", "500"]);
    answer["events"].as_array().expect("events").clone()
}

/// The event of this kind about this transfer, once it is held.
fn told(of: &Single, peer: &Single, kind: &str, transfer: &str) -> Value {
    wait_for("a projected event", PATIENCE, || {
        let is_it = |event: &Value| event["kind"] == kind && event["data"]["transfer"] == transfer;
        held(of, peer).into_iter().find(is_it)
    })
}

#[test]
fn what_a_peers_log_says_about_us_stands_in_ours_with_its_proof_and_in_nobody_elses() {
    let [alpha, beta, mut gamma] = ["alpha", "beta", "gamma"].map(Single::witness);
    for (one, other) in [(&alpha, &beta), (&beta, &gamma), (&alpha, &gamma)] {
        befriend(one, other);
    }
    let (_, to) = (agent(&alpha), agent(&beta));
    let sent = ask(&alpha.dir, &["transfer", "send", "--from", "agent", "--to", &to, "0.25"]);
    let transfer = text(&sent, "transfer");

    // Each side holds the other's end of it.
    let posted = told(&alpha, &beta, "transfer_finished", &transfer);
    let decided = told(&beta, &alpha, "transfer_decided", &transfer);
    assert_eq!((&posted["data"]["commit"], &decided["data"]["commit"]), (&Value::from(true), &Value::from(true)));
    // And the treaty, as the other side's log has it.
    let agreed = held(&alpha, &beta).iter().any(|event| event["kind"] == "treaty_agreed");
    assert!(agreed, "{:?}", held(&alpha, &beta));

    one_event_is_judged_alone(&alpha, &beta, &posted);
    history_holds(&alpha, &beta);

    // Gamma has a treaty with both, and has seen alpha's log beyond that payment.
    let seen = wait_for("gamma's look at alpha", PATIENCE, || {
        let shown = ask(&gamma.dir, &["audit", "show", &alpha.domain().to_string()]);
        (shown["size"].as_u64() > decided["index"].as_u64()).then_some(shown)
    });
    let none = held(&gamma, &alpha);
    assert!(none.iter().all(|event| event["kind"].as_str().is_some_and(|kind| kind.starts_with("treaty"))), "{none:?}");
    asks_for_more(&mut gamma, &alpha, seen["size"].as_u64().expect("a size"));
}

/// A file for anybody; what was changed in it is refused by name.
fn one_event_is_judged_alone(alpha: &Single, beta: &Single, posted: &Value) {
    let file = alpha.dir.join("posted.event");
    let (peer, index) = (beta.domain().to_string(), posted["index"].to_string());
    let export = |index: &str| try_ask(&alpha.dir, &["audit", "export", &peer, index, &file.display().to_string()]);
    assert_eq!(export("4000000").refusal(), "unknown_event");
    assert_eq!(export(&index).code, 0);
    let said = judge(&file);
    let verdict = said.last();
    assert_eq!((said.code, &verdict["document"]), (0, &Value::from("inclusion")), "{}", said.text);
    assert_eq!((verdict["domain"].as_str(), &verdict["index"]), (Some(peer.as_str()), &posted["index"]));
    assert_eq!(verdict["event"]["TransferFinished"]["transfer"], posted["data"]["transfer"]);

    let bytes = fs::read(&file).expect("the file");
    let mut changed = bytes.clone();
    *changed.last_mut().expect("a path") ^= 1;
    fs::write(&file, &changed).expect("a file");
    let said = judge(&file);
    let detail = said.last()["error"]["detail"].as_str().unwrap_or_default();
    assert_eq!((said.code, said.refusal()), (1, "proof"), "{}", said.text);
    assert!(detail.contains("root_differs"), "{detail}");
    fs::write(&file, &bytes[..bytes.len() - 1]).expect("a file");
    assert_eq!(judge(&file).refusal(), "truncated");
}

/// The whole history of alpha proves what it holds of beta's.
fn history_holds(alpha: &Single, beta: &Single) {
    let file = alpha.dir.join("alpha.history");
    let count = held(alpha, beta).len() as u64;
    ask(&alpha.dir, &["ledger", "export", &file.display().to_string()]);
    let said = judge(&file);
    assert_eq!(said.code, 0, "{}", said.text);
    let peer = beta.domain().to_string();
    let lines = said.last()["projected"].as_array().cloned().unwrap_or_default();
    let line = lines.iter().find(|line| line["peer"] == peer.as_str()).unwrap_or_else(|| panic!("{}", said.text));
    assert!(line["events"].as_u64() >= Some(count), "{line}");
}

/// A node of gamma that asks for everything is shown what concerns gamma.
fn asks_for_more(gamma: &mut Single, alpha: &Single, size: u64) {
    gamma.process.take().expect("it runs").kill();
    let roles = Roles { voter: true, learner: false, gateway: true };
    let rogue = Rogue::towards(alpha, &gamma.home(), roles);
    let concerning = |from, held, size| rogue.ask(&Question::Concerning { from, held, size });
    let Ok(Answer::Excerpt(Excerpt { events, .. })) = concerning(0, 0, size) else { panic!("an excerpt") };
    assert!(!events.is_empty(), "the treaty with gamma");
    for shown in &events {
        let event = Event::from_bytes(&shown.event).expect("an event");
        assert_eq!(event.concerned(), [gamma.domain()], "{event:?}");
        assert!(!matches!(event.kind, EventKind::TransferDecided { .. }), "{event:?}");
    }
    let last = events.last().expect("one").index;
    assert_eq!(concerning(last + 1, size, size), Ok(Answer::Excerpt(Excerpt::default())), "there is no more");
    assert!(matches!(concerning(0, 0, 1 << 40), Ok(Answer::Behind(count)) if count >= size), "a tree of the future");
    for (held, size) in [(0, 0), (size, size - 1)] {
        let refused = concerning(0, held, size).expect_err("no such tree");
        assert!(refused.contains("a tree of"), "{refused}");
    }
}
