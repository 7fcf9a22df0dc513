//! A domain under a domain, with real processes: both operators sign it, the child's ledger keeps it towards a third domain,
//! the parent sees how its child is, and leaving ends it.

use comity_tests::{
    PATIENCE,
    cli::{ask, try_ask},
    pair::text,
    single::Single,
    wait_for,
};
use serde_json::{Value, json};

fn invited(by: &Single) -> String {
    text(&ask(&by.dir, &["peer", "invite", "--cap", "1000"]), "token")
}

fn befriend(one: &Single, other: &Single, cap: &str) {
    ask(&other.dir, &["peer", "accept", &invited(one), "--cap", cap]);
    ask(&one.dir, &["peer", "approve", &other.domain().to_string()]);
}

fn children(of: &Single) -> Vec<Value> {
    ask(&of.dir, &["subnet", "list"])["children"].as_array().expect("children").clone()
}

/// Pays and says how it ended.
fn paid(from: &Single, to: &str, amount: &str) -> String {
    let sent = ask(&from.dir, &["transfer", "send", "--from", "agent", "--to", to, amount]);
    let id = text(&sent, "transfer");
    wait_for("the end of a transfer", PATIENCE, || {
        let shown = ask(&from.dir, &["transfer", "show", &id]);
        (shown["finished"] == true).then(|| text(&shown, "state"))
    })
}

#[test]
fn a_child_keeps_what_both_operators_signed_and_its_parent_sees_how_it_is() {
    let [acme, globex] = ["acme", "globex"].map(Single::named);
    let lab = Single::federated("lab");
    befriend(&acme, &lab, "1000");
    let refused = |args: &[&str]| try_ask(&acme.dir, args).refusal().to_owned();
    assert_eq!(refused(&["subnet", "offer", "lab", "--for", "Not A Capability"]), "bad_text");
    assert_eq!(refused(&["subnet", "show", "lab"]), "unknown_child");
    let path = format!("/api/v1/subnet/{}", lab.domain());
    let post = |body: &Value| acme.api().post::<Value>(&path, body).expect_err("it is refused").code;
    assert_eq!(post(&json!({ "place": "beside" })), "unknown_place");
    assert_eq!(post(&json!({ "place": "apart", "cap_max": "5" })), "limits_of_nobody");

    // One signature is an offer.
    let offered = ask(&acme.dir, &["subnet", "offer", "lab", "--cap-max", "0.50", "--for", "text"]);
    assert_eq!(offered["charter"]["child"].as_str(), Some(lab.domain().to_string().as_str()));
    assert!(children(&acme).is_empty(), "its operator has not signed");
    let asked = ask(&lab.dir, &["peer", "show", "acme"]);
    assert_eq!((&asked["charter"], &asked["fingerprint"]), (&offered["charter"], &offered["fingerprint"]));
    ask(&lab.dir, &["peer", "approve", "acme"]);
    wait_for("the child", PATIENCE, || (children(&acme).len() == 1).then_some(()));
    let below = ask(&lab.dir, &["subnet", "list"]);
    assert_eq!(below["parent"]["domain"].as_str(), Some(acme.domain().to_string().as_str()));
    assert_eq!(below["parent"]["charter"]["capabilities"], json!(["text"]));

    towards_a_third(&lab, &globex);
    let child = wait_for("a sign of life", PATIENCE, || {
        let shown = ask(&acme.dir, &["subnet", "show", "lab"]);
        (!shown["last_seen_ms"].is_null() && shown["alive"] == 1).then_some(shown)
    });
    assert_eq!((&child["state"], &child["in_doubt"], &child["drift"]), (&json!("mutual"), &json!(0), &json!({})));
    assert_eq!(ask(&acme.dir, &["subnet", "health"])["children"].as_array().map(Vec::len), Some(1));

    // Its card says whose it is, that it issues nothing, and whose money it uses; nothing is shown as zero.
    let above = json!(acme.domain().to_string());
    let supply = wait_for("the child's card", PATIENCE, || {
        let document = try_ask(&lab.dir, &["card", "domain", "show"]).last()["card"].clone();
        (document["parent"] == above).then(|| document["supply"].clone())
    });
    assert_eq!((&supply["standing"], &supply["issuer"]), (&json!("federated"), &above));
    assert_eq!(supply["assets"][0]["supply"], Value::Null, "{supply}");
    assert_eq!(try_ask(&lab.dir, &["faucet", "claim", "bob"]).refusal(), "faucet_spent");

    // Leaving needs nobody.
    ask(&lab.dir, &["peer", "drain", "acme", "--reason", "on our own"]);
    wait_for("the end of it", PATIENCE, || children(&acme).is_empty().then_some(()));
    assert!(ask(&lab.dir, &["subnet", "list"])["parent"].is_null());
}

/// The child promises nobody more than it may, and takes no more.
fn towards_a_third(lab: &Single, globex: &Single) {
    let token = invited(globex);
    let more = try_ask(&lab.dir, &["peer", "accept", &token, "--cap", "0.51"]);
    assert_eq!(more.refusal(), "exposure_exceeded", "{}", more.text);
    ask(&lab.dir, &["peer", "accept", &token, "--cap", "0.50"]);
    ask(&globex.dir, &["peer", "approve", "lab"]);
    globex.issue(1_000_000_000);
    ask(&globex.dir, &["agent", "register", "agent"]);
    ask(&globex.dir, &["faucet", "claim", "agent"]);
    let bob = text(&ask(&lab.dir, &["agent", "register", "bob"]), "agent");
    let to = format!("{bob}@{}", lab.domain());
    assert_eq!(paid(globex, &to, "0.40"), "committed");
    assert_eq!(paid(globex, &to, "0.20"), "aborted");
}
