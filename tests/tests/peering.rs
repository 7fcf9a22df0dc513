//! Two operators who have never met connect their domains by hand, trade, and part without losing a cent.

use comity_proto::{envelope::Signed as _, treaty::Invitation};
use comity_tests::{
    PATIENCE,
    cli::{Said, ask, try_ask},
    single::Single,
    slowness::Slowness,
    wait_for,
};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Within this a change is seen by the peer while connected, on a machine whose cores are free.
const SEEN_WITHIN: Duration = Duration::from_secs(2);

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

/// A fresh domain of one. `hold_votes_ms` keeps its transfers in flight for so long.
fn domain(name: &str, hold_votes_ms: u64) -> Single {
    let mut node = Single::nothing();
    let (http, mesh) = (node.http.to_string(), node.mesh.to_string());
    ask(&node.dir, &["init", "--domain", name, "--http", &http, "--mesh", &mesh]);
    if hold_votes_ms > 0 {
        let path = node.dir.join("config.toml");
        let config = std::fs::read_to_string(&path).expect("a configuration");
        std::fs::write(&path, format!("hold_votes_ms = {hold_votes_ms}\n{config}")).expect("written");
    }
    node.start(&[]);
    node.wait_until_founded();
    node
}

fn state(node: &Single, peer: &str) -> String {
    text(&ask(&node.dir, &["peer", "show", peer]), "state")
}

/// What an agent has of every asset together, minor units.
fn holds(node: &Single, agent: &str) -> u64 {
    let shown = ask(&node.dir, &["account", "show", agent]);
    let balances = shown["balances"].as_array().expect("balances").iter();
    balances.map(|balance| text(balance, "available").parse::<u64>().expect("minor units")).sum()
}

fn connect(acme: &Single, globex: &Single) {
    let token = text(&ask(&acme.dir, &["peer", "invite", "--cap", "1000"]), "token");
    ask(&globex.dir, &["peer", "accept", &token, "--cap", "500", "--export", "all"]);
    ask(&acme.dir, &["peer", "approve", "globex"]);
}

fn refusal(said: &Said) -> String {
    assert_eq!(said.code, 1, "{}", said.text);
    said.refusal().to_owned()
}

fn is_over(acme: &Single, transfer: &str) -> Option<String> {
    let shown = ask(&acme.dir, &["transfer", "show", transfer]);
    (shown["finished"] == true).then(|| text(&shown, "state"))
}

#[test]
fn five_commands_connect_two_fresh_domains_and_leaving_in_mid_transfer_loses_nothing() {
    let (acme, globex) = (domain("acme", 1_500), domain("globex", 0));
    let begun = Instant::now();
    let token = text(&ask(&acme.dir, &["peer", "invite", "--cap", "1000"]), "token");
    let asked = ask(&globex.dir, &["peer", "accept", &token, "--cap", "500", "--export", "all"]);
    assert_eq!(text(&asked, "state"), "one-way");
    let seen = ask(&acme.dir, &["peer", "show", "globex"]);
    assert_eq!(text(&seen, "state"), "pending");
    assert_eq!(text(&seen, "fingerprint"), text(&asked, "fingerprint"), "both compare the same words");
    assert_eq!((text(&seen, "cap"), text(&seen, "their_cap")), ("1000000000".to_owned(), "500000000".to_owned()));
    let signed = ask(&acme.dir, &["peer", "approve", "globex"]);
    assert_eq!((text(&signed, "state"), signed["untold"].clone()), ("mutual".to_owned(), Value::Bool(false)));
    assert_eq!(state(&globex, "acme"), "mutual");

    ask(&acme.dir, &["agent", "register", "alice"]);
    ask(&acme.dir, &["faucet", "claim", "alice"]);
    let bob = text(&ask(&globex.dir, &["agent", "register", "bob"]), "agent");
    let to = format!("{bob}@globex");
    let pay = ["transfer", "send", "--from", "alice", "--to", &to, "0.10"];
    let first = text(&ask(&acme.dir, &pay), "transfer");
    assert_eq!(wait_for("the first payment", PATIENCE, || is_over(&acme, &first)), "committed");
    println!("invitation to first payment: {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!((holds(&acme, "alice"), holds(&globex, "bob")), (900_000, 99_500));

    let slowness = Slowness::measure();
    let suspended = Instant::now();
    ask(&globex.dir, &["peer", "suspend", "acme", "--reason", "audit"]);
    wait_for("the suspension at the peer", PATIENCE, || (state(&acme, "globex") == "suspended").then_some(()));
    let seen = suspended.elapsed();
    let slow = slowness.factor();
    println!("suspension seen by the peer within {:.2} s, machine slower by {slow:.1}", seen.as_secs_f64());
    assert!(seen < SEEN_WITHIN.mul_f64(slow), "seen after {seen:?}, machine slower by {slow:.1}");
    assert_eq!(refusal(&try_ask(&acme.dir, &pay)), "treaty_suspended");
    let why = ask(&acme.dir, &["peer", "show", "globex"]);
    assert_eq!(text(&why["theirs"], "reason"), "audit");
    assert_eq!(refusal(&try_ask(&acme.dir, &["peer", "resume", "globex", "--reason", "no"])), "wrong_state");
    ask(&globex.dir, &["peer", "resume", "acme", "--reason", "audit is over"]);
    wait_for("the resumption at the peer", PATIENCE, || (state(&acme, "globex") == "mutual").then_some(()));

    // The vote is held back: the transfer is in flight while one side leaves.
    let last = text(&ask(&acme.dir, &pay), "transfer");
    assert_eq!(is_over(&acme, &last), None);
    ask(&globex.dir, &["peer", "revoke", "acme", "--reason", "we part"]);
    wait_for("the revocation at the peer", PATIENCE, || (state(&acme, "globex") == "revoked").then_some(()));
    assert_eq!(wait_for("the payment under way", PATIENCE, || is_over(&acme, &last)), "committed");
    assert_eq!((holds(&acme, "alice"), holds(&globex, "bob")), (800_000, 199_000));
    assert_eq!(refusal(&try_ask(&acme.dir, &pay)), "treaty_revoked");
    assert_eq!(holds(&acme, "alice"), 800_000);
    // They part with equal books, and nothing goes back any more.
    let closing = || ask(&acme.dir, &["peer", "show", "globex"])["closing"].clone();
    let closing = wait_for("both statements", PATIENCE, || Some(closing()).filter(|closing| closing["fits"] == true));
    assert_eq!(closing["redeem_until_ms"], Value::Null);
}

#[test]
fn an_invitation_is_for_one_domain_once_as_it_was_written_and_drained_is_drained() {
    let (acme, globex, initech) = (domain("acme", 0), domain("globex", 0), domain("initech", 0));
    let accept = |node: &Single, token: &str| try_ask(&node.dir, &["peer", "accept", token, "--cap", "5"]);
    let token = text(&ask(&acme.dir, &["peer", "invite", "--cap", "1000"]), "token");
    let mut edited = token.clone().into_bytes();
    let middle = edited.len() / 2;
    edited[middle] = if edited[middle] == b'a' { b'b' } else { b'a' };
    let edited = String::from_utf8(edited).expect("letters");
    assert_eq!(refusal(&accept(&globex, &edited)), "bad_invitation");
    assert_eq!(refusal(&accept(&globex, "hello")), "bad_invitation");
    let mine = text(&ask(&globex.dir, &["peer", "invite", "--cap", "1"]), "token");
    assert_eq!(refusal(&accept(&globex, &mine)), "self_dealing");

    let for_globex = ["peer", "invite", "--cap", "1000", "--for", &globex.domain().to_string()];
    let bound = text(&ask(&acme.dir, &for_globex), "token");
    assert_eq!(refusal(&accept(&initech, &bound)), "invitation_for_another");
    let root = acme.home().domain_keys.expect("it founded its domain").root;
    let invitation = Invitation::parse(&token).expect("as printed").into_inner();
    let past = Invitation { ends_at_ms: comity_tests::now_ms() - 1, ..invitation.clone() };
    assert_eq!(refusal(&accept(&globex, &Invitation::text(&past.seal(&root)))), "invitation_expired");
    // Written by the right hand, but not as it was given out.
    let dearer = Invitation { cap: 9, ..invitation.clone() };
    assert_eq!(refusal(&accept(&initech, &Invitation::text(&dearer.seal(&root)))), "terms_changed");
    let never = Invitation { secret: [7; 32], ..invitation };
    assert_eq!(refusal(&accept(&initech, &Invitation::text(&never.seal(&root)))), "invitation_unknown");

    assert_eq!(refusal(&try_ask(&acme.dir, &["peer", "approve", "globex"])), "unknown_treaty");
    assert_eq!(accept(&globex, &token).code, 0);
    assert_eq!(refusal(&accept(&initech, &token)), "invitation_used");
    assert_eq!(refusal(&try_ask(&globex.dir, &["peer", "approve", "acme"])), "nothing_to_approve");
    ask(&acme.dir, &["peer", "deny", "globex", "--reason", "unknown to us"]);
    wait_for("the denial at the peer", PATIENCE, || (state(&globex, "acme") == "revoked").then_some(()));
    connect(&acme, &globex);

    let next = ask(&globex.dir, &["peer", "refresh", "acme", "--cap", "700"]);
    assert_eq!((text(&next, "state"), text(&next, "cap")), ("mutual".to_owned(), "700000000".to_owned()));
    let next = ask(&acme.dir, &["peer", "approve", "globex"]);
    assert_eq!((next["version"].as_u64(), text(&next, "their_cap")), (Some(2), "700000000".to_owned()));

    ask(&acme.dir, &["agent", "register", "alice"]);
    ask(&acme.dir, &["faucet", "claim", "alice"]);
    let bob = text(&ask(&globex.dir, &["agent", "register", "bob"]), "agent");
    let to = format!("{bob}@globex");
    ask(&acme.dir, &["peer", "drain", "globex", "--reason", "the project ends"]);
    wait_for("the drain at the peer", PATIENCE, || (state(&globex, "acme") == "redeem-only").then_some(()));
    // Each side has both statements, and they are the same two.
    let closing = |node: &Single, peer: &str| ask(&node.dir, &["peer", "show", peer])["closing"].clone();
    let ours = wait_for("both statements", PATIENCE, || {
        let ours = closing(&acme, "globex");
        (ours["fits"] == true && ours["told"] == true).then_some(ours)
    });
    let theirs = closing(&globex, "acme");
    let roots = |one: &Value, other: &Value| (text(one, "log_root"), text(other, "log_root"));
    assert_eq!(roots(&ours["ours"], &ours["theirs"]), roots(&theirs["theirs"], &theirs["ours"]));
    let pay = ["transfer", "send", "--from", "alice", "--to", &to, "0.10"];
    assert_eq!(refusal(&try_ask(&acme.dir, &pay)), "treaty_draining");
    assert_eq!(refusal(&try_ask(&acme.dir, &["peer", "resume", "globex", "--reason", "or not"])), "wrong_state");
    assert_eq!(refusal(&try_ask(&acme.dir, &["peer", "suspend", "nobody", "--reason", "x"])), "unknown_treaty");
    assert_eq!(refusal(&try_ask(&acme.dir, &["peer", "suspend", "globex", "--reason", " "])), "reason_missing");
}

#[test]
fn a_peer_that_was_away_is_told_when_it_is_back_and_the_next_leader_owes_the_same() {
    let (mut acme, mut globex) = (domain("acme", 0), domain("globex", 0));
    connect(&acme, &globex);
    acme.process = None;
    let begun = Instant::now();
    wait_for("a lost connection", PATIENCE, || {
        (ask(&globex.dir, &["peer", "show", "acme"])["connected"] == 0).then_some(())
    });
    println!("the connection was missed after {:.1} s", begun.elapsed().as_secs_f64());
    let said = ask(&globex.dir, &["peer", "suspend", "acme", "--reason", "audit"]);
    assert_eq!((text(&said, "state"), said["untold"].clone()), ("suspended".to_owned(), Value::Bool(true)));
    // Neither side remembers a connection: what is owed, and where, stands in the ledgers.
    globex.process = None;
    globex.start(&[]);
    globex.wait_until_founded();
    acme.start(&[]);
    acme.wait_until_founded();
    wait_for("the suspension at the peer", PATIENCE, || (state(&acme, "globex") == "suspended").then_some(()));
    wait_for("its receipt", PATIENCE, || {
        (ask(&globex.dir, &["peer", "show", "acme"])["untold"] == false).then_some(())
    });
}
