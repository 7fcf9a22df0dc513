//! A whole domain comes back from an older snapshot: its peer tells it what it has forgotten, and trade goes on.

use comity_ledger::statement::{SupplyStatement, verify_pair};
use comity_proto::amount::AssetId;
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::{ask, try_ask},
    federation::ended,
    pair::{Pair, text},
    single::Single,
    wait_for,
};
use serde_json::Value;

fn pay(from: (&Single, &Agent), to: &Agent, of: &Single, amount: u64) {
    let (id, verb) = from.1.pay(to.party(), of.asset(), amount);
    from.1.must(&from.0.api(), verb);
    assert_eq!(ended(&from.0.api(), &id.to_string(), PATIENCE)["state"], "committed");
}

fn statement(of: &Single, about: &Single) -> SupplyStatement {
    let path = format!("/api/v1/ledger/statement/{}", about.domain());
    serde_json::from_value(of.api().get(&path).expect("a statement")).expect("read")
}

/// What an agent has at home, in both monies.
fn both(home: &Single, agent: &Agent, monies: &[AssetId; 2]) -> [u64; 2] {
    monies.each_ref().map(|asset| agent.balance(&home.api(), asset).expect("a balance"))
}

#[test]
fn a_domain_restored_from_an_older_snapshot_agrees_with_its_peer_and_trades_on() {
    let Pair { mut acme, globex } = Pair::connected("all");
    let (alice, bob) =
        (Agent::funded(&acme.api(), acme.domain(), "alice"), Agent::funded(&globex.api(), globex.domain(), "bob"));
    pay((&acme, &alice), &bob, &acme, 10_000);
    pay((&globex, &bob), &alice, &globex, 20_000);

    let saved = ask(&acme.dir, &["snapshot", "save", "monday"]);
    let snapshot = text(&saved, "snapshot");
    let seen = ask(&acme.dir, &["snapshot", "inspect", &snapshot]);
    assert_eq!((text(&seen, "domain"), seen["incarnation"].as_u64()), (acme.domain().to_string(), Some(1)));
    assert_eq!(try_ask(&acme.dir, &["snapshot", "save", "monday"]).refusal(), "snapshot_exists");
    assert_eq!(try_ask(&acme.dir, &["snapshot", "save", "../out"]).refusal(), "bad_snapshot_name");

    // What the snapshot does not know: out, and back home in both monies.
    pay((&acme, &alice), &bob, &acme, 1_000);
    pay((&globex, &bob), &alice, &acme, 300);
    pay((&globex, &bob), &alice, &globex, 2_000);
    pay((&acme, &alice), &bob, &globex, 500);
    let monies = [acme.asset(), globex.asset()];
    let (alice_had, bob_had) = (both(&acme, &alice, &monies), both(&globex, &bob, &monies));

    let restore = ["snapshot", "restore", &snapshot];
    assert_eq!(try_ask(&acme.dir, &restore).refusal(), "data_directory_unusable", "the node runs");
    acme.process = None;
    assert_eq!(try_ask(&acme.dir, &["snapshot", "restore", "/nowhere"]).refusal(), "bad_snapshot");
    assert_eq!(try_ask(&globex.dir, &restore).refusal(), "snapshot_of_another_domain");
    let restored = ask(&acme.dir, &restore);
    assert!(restored["incarnation"].as_u64() > Some(1) && text(&restored, "kept").contains("ledger.before-"));

    acme.start(&[]);
    acme.wait_until_founded();
    wait_for("the end of the fence", PATIENCE, || {
        let status: Value = acme.api().get("/api/v1/status").ok()?;
        (status["fenced"] == false).then_some(())
    });
    assert_eq!(both(&acme, &alice, &monies), alice_had, "what globex could prove is posted again");
    assert_eq!(both(&globex, &bob, &monies), bob_had);
    assert_eq!(verify_pair(&statement(&acme, &globex), &statement(&globex, &acme)), Ok(()));
    let events = ask(&acme.dir, &["ledger", "events", "--last", "40"]);
    let lifted =
        events["events"].as_array().expect("events").iter().any(|event| event.to_string().contains("FenceLifted"));
    assert!(lifted, "{events}");
    assert_eq!(ask(&acme.dir, &["ledger", "reconcile"])["fenced"], false);

    pay((&acme, &alice), &bob, &acme, 100);
    pay((&globex, &bob), &alice, &acme, 50);
    assert_eq!(verify_pair(&statement(&acme, &globex), &statement(&globex, &acme)), Ok(()));
}
