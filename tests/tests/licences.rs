//! How much one domain lets the other ask: counted on the wire, refused by name, told to both.

use comity_node::service::error::ServiceError;
use comity_proto::{command::Verb, ids::EscrowId};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::{ask, try_ask},
    pair::{Pair, failed, give, publish, session},
    single::Single,
    wait_for,
};
use serde_json::Value;

fn refusal(node: &Single, args: &[&str]) -> String {
    let said = try_ask(&node.dir, args);
    assert_eq!(said.code, 1, "{}", said.text);
    said.refusal().to_owned()
}

fn grant(node: &Single, more: &[&str]) -> Value {
    let args = [&["licence", "issue", "acme", "--reason", "the pilot"][..], more].concat();
    ask(&node.dir, &args)
}

fn status_held(node: &Single, peer: &str) -> Option<String> {
    let shown = ask(&node.dir, &["peer", "show", peer]);
    shown["licence_held"]["status"].as_str().map(str::to_owned)
}

fn code<T>(answer: Result<T, ServiceError>) -> String {
    answer.err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_licence_is_told_counted_and_enforced_and_ends_with_its_revocation() {
    let Pair { acme, globex } = Pair::connected("all");
    let alice = Agent::funded(&acme.api(), acme.domain(), "alice");
    let bob = Agent::registered(&globex.api(), globex.domain(), "bob");
    let at_acme = session(&acme.api(), &alice);
    publish(&globex.api(), &bob, "text.statistics", 1);

    // Without a licence nobody counts; with one three events a minute, whatever they are.
    let shown = grant(&globex, &["--events", "3", "--agents", "1"]);
    assert_eq!(
        (shown["licence_granted"]["epoch"].as_u64(), shown["licence_granted"]["status"].as_str()),
        (Some(1), Some("active"))
    );
    wait_for("the licence at its holder", PATIENCE, || {
        (status_held(&acme, "globex").as_deref() == Some("active")).then_some(())
    });
    let task = || give(&at_acme, &alice, &bob, "text.statistics").expect("it leaves");
    let shown = || ask(&globex.dir, &["peer", "show", "acme"]);
    for _ in 0..3 {
        task();
    }
    wait_for("three tasks", PATIENCE, || (shown()["used"].as_u64() == Some(3)).then_some(()));
    assert_eq!(failed(&at_acme, task()), "licence_events");
    let shown = shown();
    assert!(shown["refused"].as_u64() >= Some(1), "{shown}");

    // A payment that begins is not heard, so it comes back when its time is up; a command for globex' ledger is not taken.
    let (id, pay) = alice.pay(bob.party(), acme.asset(), 1_000);
    alice.must(&acme.api(), pay);
    let there = Agent { signer: alice.signer.towards(globex.domain()), ..alice.clone() };
    let refused = code(there.submit(&acme.api(), Verb::CancelEscrow { escrow_id: EscrowId([1; 16]) }));
    assert!(refused.contains("licence_events"), "{refused}");
    let ended = comity_tests::federation::ended(&acme.api(), &id.to_string(), PATIENCE);
    assert_eq!(ended["state"], "aborted", "{ended}");

    // Cards of one agent of acme are kept, those of the next are not.
    grant(&globex, &["--events", "1000", "--agents", "1"]);
    publish(&acme.api(), &alice, "text.orders", 1);
    let discovers = |what: &str| ask(&globex.dir, &["discover", what])["agents"].as_array().map_or(0, Vec::len);
    wait_for("the first card", PATIENCE, || (discovers("text.orders") == 1).then_some(()));
    let carol = Agent::registered(&acme.api(), acme.domain(), "carol");
    let before = ask(&globex.dir, &["peer", "show", "acme"])["refused"].as_u64();
    publish(&acme.api(), &carol, "text.parcels", 1);
    wait_for("the refusal of the second", PATIENCE, || {
        (ask(&globex.dir, &["peer", "show", "acme"])["refused"].as_u64() > before).then_some(())
    });
    assert_eq!(discovers("text.parcels"), 0);

    let change = |word, status: &str| {
        ask(&globex.dir, &["licence", word, "acme", "--reason", "audit"]);
        let held = || (status_held(&acme, "globex").as_deref() == Some(status)).then_some(());
        wait_for("the change at the holder", PATIENCE, held);
    };
    change("suspend", "suspended");
    assert_eq!(failed(&at_acme, task()), "licence_suspended");
    change("resume", "active");
    change("revoke", "revoked");
    assert_eq!(failed(&at_acme, task()), "licence_revoked");
    assert_eq!(refusal(&globex, &["licence", "resume", "acme", "--reason", "no"]), "unknown_licence");
    grant(&globex, &[]);
    let other = task();
    let taken: Value = session(&globex.api(), &bob).get("/api/v1/tasks/next?wait_ms=10000").expect("a task");
    assert!(!taken["task"].is_null(), "{taken} {other}");
}

/// The words of a grant to acme.
fn issue<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["licence", "issue", "acme"][..], more].concat()
}

#[test]
fn a_licence_that_does_not_hold_is_refused_by_name() {
    let Pair { globex, .. } = Pair::connected("none");
    assert_eq!(refusal(&globex, &["licence", "suspend", "acme", "--reason", "x"]), "unknown_licence");
    assert_eq!(refusal(&globex, &issue(&["--reason", " "])), "reason_missing");
    assert_eq!(refusal(&globex, &issue(&["--reason", "x", "--tier", "Gold"])), "bad_tier");
    assert_eq!(refusal(&globex, &issue(&["--reason", "x", "--agents", "1001"])), "limit_exceeded_licence");
    assert_eq!(refusal(&globex, &issue(&["--reason", "x", "--days", "0"])), "licence_expired");
    assert_eq!(refusal(&globex, &["licence", "issue", "nobody", "--reason", "x"]), "unknown_treaty");
}

#[test]
fn a_token_reads_what_its_holder_is_shown_and_ends_with_its_licence() {
    let Pair { acme, globex } = Pair::connected("all");
    let bob = Agent::registered(&globex.api(), globex.domain(), "bob");
    publish(&globex.api(), &bob, "text.statistics", 1);
    let shown = grant(&globex, &["--bearer", "--events", "5"]);
    let token = shown["bearer_token"].as_str().expect("a token").to_owned();
    assert!(token.strip_prefix("cm_lic_").is_some_and(|hex| hex.len() == 64), "{token}");
    // It is shown this once; what is kept has only its hash.
    let kept = [ask(&globex.dir, &["peer", "show", "acme"]), ask(&globex.dir, &["ledger", "events"])];
    assert!(kept[0]["licence_granted"]["bearer"] == true && !format!("{kept:?}").contains(&token));

    let door = globex.api().with_token(&token);
    let reads = |path: &str| door.get::<Value>(&format!("/api/v1/federation/{path}"));
    let known = reads("whoami").expect("known");
    assert_eq!((&known["domain"], &known["by"]), (&acme.domain().to_string().into(), &"licence".into()));
    let cards = reads("agent-cards").expect("cards");
    assert_eq!(cards["cards"][0]["agent"], bob.id.to_string().as_str());
    assert_eq!(cards["cards"][0]["federation_metadata"]["source_registry"], globex.domain().to_string().as_str());

    // It opens nothing else, stands in no address, and another one is nobody's.
    let refused = |path: &str| door.get::<Value>(path).map(|_| ()).map_err(|error| error.code);
    assert_eq!(refused("/api/v1/status"), Err("bad_token".to_owned()));
    assert_eq!(refused(&format!("/api/v1/federation/agent-cards?since={token}")), Err("licence_in_url".to_owned()));
    let other = globex.api().with_token(token.replace(|c: char| c.is_ascii_digit(), "0"));
    let by = |client: &comity_node::cli::client::Client| {
        client.get::<Value>("/api/v1/federation/whoami").map(|_| ()).map_err(|error| error.code)
    };
    assert_eq!(by(&other), Err("bad_licence_token".to_owned()));
    assert_eq!(by(&globex.api()), Err("bad_licence_token".to_owned()), "the operator is no other domain");

    // Two of five reads are used up; then the quota and the licence's own state refuse by name.
    assert_eq!((0..3).map(|_| by(&door)).collect::<Vec<_>>(), vec![Ok(()); 3]);
    assert_eq!(by(&door), Err("licence_events".to_owned()));
    let change = |word: &str, code: &str| {
        ask(&globex.dir, &["licence", word, "acme", "--reason", "audit"]);
        wait_for("the refusal", PATIENCE, || (by(&door) == Err(code.to_owned())).then_some(()));
    };
    change("suspend", "licence_suspended");
    change("resume", "licence_events");
    change("revoke", "licence_revoked");
    // The next licence brings another token, or none.
    let fresh = grant(&globex, &["--bearer"])["bearer_token"].as_str().expect("a token").to_owned();
    wait_for("the new token", PATIENCE, || by(&globex.api().with_token(&fresh)).ok());
    assert_eq!(by(&door), Err("bad_licence_token".to_owned()));
    grant(&globex, &[]);
    wait_for("no token", PATIENCE, || by(&globex.api().with_token(&fresh)).err());
    let said = globex.process.as_ref().expect("it runs").said();
    assert!(!said.contains("cm_lic_"), "a token in the log: {said}");
}
