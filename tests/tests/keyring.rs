//! The root key sealed at rest, certificates made where there is no network, and renewed without a restart.

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
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Within this a revocation is heeded everywhere while connected, on a machine whose cores are free.
const HEEDED_WITHIN: Duration = Duration::from_secs(2);

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

/// A file that only its owner may read.
fn secret(dir: &Path, name: &str, words: &str) -> PathBuf {
    fs::create_dir_all(dir).expect("a directory");
    let path = dir.join(name);
    fs::write(&path, words).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    path
}

fn word(path: &Path) -> String {
    path.display().to_string()
}

fn serial(node: &Single, which: &str) -> Option<u64> {
    ask(&node.dir, &["keyring", "show"])[which]["serial"].as_u64()
}

#[test]
fn a_node_with_a_sealed_root_key_runs_and_refuses_only_what_the_root_key_signs() {
    let mut node = Single::nothing();
    let elsewhere = tempfile::tempdir().expect("a directory");
    let good = word(&secret(elsewhere.path(), "good", "correct horse\n"));
    let wrong = word(&secret(elsewhere.path(), "wrong", "correct house\n"));
    let short = word(&secret(elsewhere.path(), "short", "horse"));
    let (http, mesh) = (node.http.to_string(), node.mesh.to_string());
    let init = ["init", "--http", &http, "--mesh", &mesh, "--passphrase-file"];
    let with = |file: &str| init.into_iter().chain([file]).map(str::to_owned).collect::<Vec<_>>();
    let run = |file: &str| try_ask(&node.dir, &with(file).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(run(&short).refusal(), "passphrase_too_short");
    assert_eq!(run(&word(&elsewhere.path().join("none"))).refusal(), "bad_passphrase_file");
    assert_eq!(run(&good).code, 0);
    let file = fs::read_to_string(node.dir.join("domain.key")).expect("the root key's file");
    assert!(file.starts_with("comity sealed key 1\n"), "{file}");

    // With another passphrase it does not start; nothing is tried with it.
    let refused = try_ask(&node.dir, &["up", "--passphrase-file", &wrong]);
    assert_eq!((refused.code, refused.refusal()), (1, "wrong_passphrase"), "{}", refused.text);

    // Without one it runs.
    node.start(&[]);
    node.wait_until_founded();
    assert_eq!(text(&ask(&node.dir, &["status"]), "root_key"), "sealed");
    ask(&node.dir, &["agent", "register", "alice"]);
    assert_eq!(try_ask(&node.dir, &["join-token"]).refusal(), "root_key_sealed");
    assert_eq!(try_ask(&node.dir, &["peer", "invite", "--cap", "1"]).refusal(), "root_key_sealed");
    assert_eq!(try_ask(&node.dir, &["keyring", "prepare"]).refusal(), "passphrase_missing");

    // With it everything is as before.
    node.process = None;
    node.start(&["--passphrase-file", &good]);
    node.wait_until_founded();
    assert_eq!(text(&ask(&node.dir, &["status"]), "root_key"), "open");
    assert!(text(&ask(&node.dir, &["join-token"]), "token").starts_with("cmjoin1"));
    assert_eq!(try_ask(&node.dir, &["keyring", "encrypt", "--passphrase-file", &good]).refusal(), "already_sealed");
}

#[test]
fn a_root_key_away_from_the_network_certifies_a_running_node_which_nobody_stops_knowing() {
    let founder = Single::up();
    let token = text(&ask(&founder.dir, &["join-token"]), "token");
    let mut guest = Single::nothing();
    guest.start(&["--join", &token]);
    guest.wait_until_founded();
    let knows_guest = || {
        let members = ask(&founder.dir, &["members"]);
        let key = guest.home().node.public().to_string();
        let guest =
            members["members"].as_array().expect("members").iter().find(|member| member["node"] == key)?.clone();
        Some((text(&guest, "state"), text(&guest, "standing")))
    };
    wait_for("the guest among the members", PATIENCE, knows_guest);

    // The machine without a network has the sealed root key and nothing else.
    let vault = tempfile::tempdir().expect("a directory");
    let passphrase = word(&secret(vault.path(), "passphrase", "correct horse"));
    ask(&founder.dir, &["keyring", "encrypt", "--passphrase-file", &passphrase]);
    let root = vault.path().join("root");
    fs::copy(founder.dir.join("domain.key"), &root).expect("a copy");
    let (root, nowhere) = (word(&root), vault.path().join("nothing"));
    let (asked, made) = (word(&vault.path().join("request")), vault.path().join("certificate"));
    let before = serial(&guest, "certificate");
    ask(&guest.dir, &["keyring", "request", "--out", &asked]);
    let certify = ["keyring", "certify", &asked, "--root", &root, "--out", &word(&made), "--passphrase-file"];
    let with = |file: &str| {
        let args: Vec<&str> = certify.into_iter().chain([file]).collect();
        try_ask(&nowhere, &args)
    };
    let wrong = word(&secret(vault.path(), "wrong", "correct house"));
    assert_eq!(with(&wrong).refusal(), "wrong_passphrase");
    assert_eq!(with(&passphrase).code, 0);

    // For this node of this domain only, and whole.
    let made = word(&made);
    assert_eq!(try_ask(&founder.dir, &["keyring", "prepare", &made]).refusal(), "certificate_of_other_node");
    let cut = word(&vault.path().join("cut"));
    let whole = fs::read_to_string(&made).expect("a certificate");
    fs::write(&cut, &whole[..whole.len() - 9]).expect("a file");
    assert_eq!(try_ask(&guest.dir, &["keyring", "prepare", &cut]).refusal(), "bad_certificate");
    assert_eq!(try_ask(&guest.dir, &["keyring", "activate"]).refusal(), "nothing_prepared");
    let other = Single::up();
    assert_eq!(try_ask(&other.dir, &["keyring", "prepare", &made]).refusal(), "certificate_of_other_domain");
    let foreign = word(&other.dir.join("domain.key"));
    let refused = try_ask(&nowhere, &["keyring", "certify", &asked, "--root", &foreign]);
    assert_eq!(refused.refusal(), "request_of_other_domain", "{}", refused.text);

    ask(&guest.dir, &["keyring", "prepare", &made]);
    assert_eq!(serial(&guest, "certificate"), before, "prepared is not in use");
    let shown = ask(&guest.dir, &["keyring", "activate"]);
    assert_eq!((shown["before"]["serial"].as_u64(), shown["next"].is_null()), (before, true));
    assert!(serial(&guest, "certificate") > before);
    // The domain goes on: the next verb goes through the node whose certificate has just changed.
    ask(&guest.dir, &["agent", "register", "bob"]);
    assert_eq!(knows_guest(), Some(("alive".to_owned(), "own".to_owned())));
    ask(&guest.dir, &["keyring", "retire"]);
    assert_eq!(try_ask(&guest.dir, &["keyring", "retire"]).refusal(), "nothing_to_retire");
    assert_eq!(try_ask(&guest.dir, &["keyring", "prepare", &made]).refusal(), "certificate_older");
}

/// What a node takes another one for.
fn standing(at: &Single, of: &Single) -> String {
    let key = of.home().node.public().to_string();
    let members = ask(&at.dir, &["members"]);
    let member = members["members"].as_array().expect("members").iter().find(|member| member["node"] == key).cloned();
    member.map(|member| text(&member, "standing")).unwrap_or_default()
}

#[test]
fn a_revoked_certificate_makes_its_holder_a_stranger_until_it_shows_another_one() {
    let (founder, globex) = (Single::up(), Single::up());
    let token = text(&ask(&founder.dir, &["peer", "invite", "--cap", "1000"]), "token");
    ask(&globex.dir, &["peer", "accept", &token, "--cap", "500"]);
    ask(&founder.dir, &["peer", "approve", &globex.domain().to_string()]);
    let token = text(&ask(&founder.dir, &["join-token"]), "token");
    let mut guest = Single::nothing();
    guest.start(&["--join", &token]);
    guest.wait_until_founded();
    let both = || (standing(&founder, &guest), standing(&globex, &guest));
    let known = ("own".to_owned(), "peer".to_owned());
    wait_for("the guest, known to both", PATIENCE, || (both() == known).then_some(()));

    let taken = serial(&guest, "certificate").expect("a serial").to_string();
    let own = serial(&founder, "certificate").expect("a serial").to_string();
    let revoke = |at: &Single, serial: &str, reason: &str| {
        try_ask(&at.dir, &["keyring", "revoke", serial, "--reason", reason]).refusal().to_owned()
    };
    assert_eq!(revoke(&founder, &taken, " "), "reason_missing");
    assert_eq!(revoke(&founder, &own, "by mistake"), "own_certificate");
    assert_eq!(revoke(&guest, &own, "revenge"), "no_domain_key");

    let slowness = Slowness::measure();
    let begun = Instant::now();
    assert_eq!(revoke(&founder, &taken, "the machine was stolen"), "");
    let strange = ("stranger".to_owned(), "stranger".to_owned());
    wait_for("the revocation at both", PATIENCE, || (both() == strange).then_some(()));
    let (heeded, slow) = (begun.elapsed(), slowness.factor());
    println!("revocation heeded by domain and peer within {:.2} s, machine slower by {slow:.1}", heeded.as_secs_f64());
    assert!(heeded < HEEDED_WITHIN.mul_f64(slow), "after {heeded:?}, machine slower by {slow:.1}");
    assert_eq!(revoke(&founder, &taken, "again"), "already_revoked");
    let shown = ask(&founder.dir, &["keyring", "show"]);
    assert_eq!(shown["revoked"][0].to_string(), taken);

    // The machine was found: its key is certified again, under another serial.
    let request = word(&guest.dir.join("request"));
    let certificate = word(&founder.dir.join("certificate"));
    ask(&guest.dir, &["keyring", "request", "--out", &request]);
    ask(&founder.dir, &["keyring", "certify", &request, "--out", &certificate]);
    ask(&guest.dir, &["keyring", "prepare", &certificate]);
    ask(&guest.dir, &["keyring", "activate"]);
    wait_for("the guest, known again", PATIENCE, || (both() == known).then_some(()));
}
