//! Audit by others, with real processes: two domains that traded, one exports, the other judges the file without asking
//! anybody.

use comity_ledger::checkpoint::Checkpoint;
use comity_proto::{envelope::Signed as _, ids::Hash};
use comity_tests::{
    PATIENCE,
    cli::{Said, ask, run, try_ask},
    single::Single,
    wait_for,
};
use comity_verify::{
    document::{Head, Kind, Reader},
    verify,
};
use serde_json::Value;
use std::{fs, path::Path};

/// Asks no node: there is no data directory.
fn judge(file: &Path, against: Option<&Path>) -> Said {
    let (file, against) = (file.display().to_string(), against.map(|path| path.display().to_string()));
    let mut args = vec!["--json", "audit", "verify", &file];
    args.extend(against.iter().flat_map(|path| ["--against", path.as_str()]));
    run(&args, PATIENCE)
}

/// One operator invites, the other signs, the first signs too.
fn befriend(one: &Single, other: &Single) {
    let token = text(&ask(&one.dir, &["peer", "invite", "--cap", "1000"]), "token");
    ask(&other.dir, &["peer", "accept", &token, "--cap", "1000"]);
    ask(&one.dir, &["peer", "approve", &other.domain().to_string()]);
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

/// Pays across and waits until both sides have posted it.
fn pay_across(from: &Single, payer: &str, to: &str, amount: &str) {
    let sent = ask(&from.dir, &["transfer", "send", "--from", payer, "--to", to, amount]);
    let id = text(&sent, "transfer");
    wait_for("the end of a transfer", PATIENCE, || {
        let shown = try_ask(&from.dir, &["transfer", "show", &id]);
        matches!(shown.last()["state"].as_str(), Some("committed" | "closed")).then_some(())
    });
}

struct Traded {
    alpha: Single,
    beta: Single,
}

/// Two domains of one; an agent of each; money went both ways.
fn traded() -> Traded {
    let (alpha, beta) = (Single::up(), Single::up());
    for node in [&alpha, &beta] {
        node.issue(1_000_000_000);
        let id = text(&ask(&node.dir, &["agent", "register", "agent"]), "agent");
        fs::write(node.dir.join("agent.id"), id).expect("a file");
        ask(&node.dir, &["faucet", "claim", "agent"]);
    }
    befriend(&alpha, &beta);
    for (from, to) in [(&alpha, &beta), (&beta, &alpha)] {
        let id = fs::read_to_string(to.dir.join("agent.id")).expect("its id");
        pay_across(from, "agent", &format!("{id}@{}", to.domain()), "0.25");
    }
    Traded { alpha, beta }
}

fn minor(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("minor units: {value}"))
}

#[test]
fn an_exported_history_is_judged_by_anybody_and_a_flipped_byte_is_named() {
    let Traded { alpha, beta } = traded();
    let (older, whole) = (alpha.dir.join("older.checkpoint"), alpha.dir.join("alpha.history"));
    ask(&alpha.dir, &["ledger", "checkpoint", &older.display().to_string()]);
    ask(&alpha.dir, &["agent", "register", "late"]);
    let written = ask(&alpha.dir, &["ledger", "export", &whole.display().to_string()]);

    let said = judge(&whole, Some(&older));
    let verdict = said.last().clone();
    assert_eq!((said.code, &verdict["holds"]), (0, &Value::Bool(true)), "{}", said.text);
    assert_eq!((&verdict["events"], &verdict["root"]), (&written["events"], &written["root"]));
    assert_eq!(verdict["domain"].as_str(), Some(alpha.domain().to_string().as_str()));
    assert!(verdict["against"].as_u64() < verdict["events"].as_u64(), "{verdict}");
    // What the auditor computed is what the domain's own books say, and what the peer wrapped is what is reserved.
    let own = &verdict["assets"][0];
    let books = ask(&alpha.dir, &["account", "list"]);
    let line = |name: &str| books["accounts"].as_array().into_iter().flatten().find(|line| line["account"] == name);
    assert_eq!(own["supply"], line("issuance").expect("an issuance")["amount"]);
    let reserve = minor(&own["reserves"][0]["amount"]);
    let theirs = beta.dir.join("beta.history");
    ask(&beta.dir, &["ledger", "export", &theirs.display().to_string()]);
    let other = judge(&theirs, None).last().clone();
    assert_eq!(minor(&other["assets"][1]["supply"]), reserve, "reserve equals wrapped units");
    assert_eq!(judge(&whole, Some(&theirs)).refusal(), "other_domain");

    every_damage_is_named(&whole);
    assert_eq!(judge(&whole.with_extension("nowhere"), None).refusal(), "unreadable");
}

/// A flip at many places through the library, one through the command line.
fn every_damage_is_named(whole: &Path) {
    let bytes = fs::read(whole).expect("the export");
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(verify(damaged.as_slice(), None).is_err(), "byte {at} of {}", bytes.len());
    }
    let mut damaged = bytes.clone();
    let at = bytes.len() - 6;
    damaged[at] ^= 1;
    let file = whole.with_extension("damaged");
    fs::write(&file, &damaged).expect("a file");
    let said = judge(&file, None);
    assert_eq!((said.code, said.refusal()), (1, "mark"), "{}", said.text);
    let detail = said.last()["error"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(": event "), "the event is named: {detail}");
    fs::write(&file, &bytes[..at]).expect("a file");
    assert_eq!(judge(&file, None).refusal(), "truncated");
}

#[test]
fn a_history_that_a_domain_rewrites_with_its_own_key_is_caught_by_the_kept_checkpoint() {
    let alpha = Single::up();
    alpha.issue(1_000_000_000);
    let kept = alpha.dir.join("kept.checkpoint");
    ask(&alpha.dir, &["ledger", "checkpoint", &kept.display().to_string()]);

    ask(&alpha.dir, &["agent", "register", "alice"]);

    // An honest domain proves to whoever kept it that it only added to its history.
    let short = alpha.dir.join("short.extension");
    let path = |path: &Path| path.display().to_string();
    ask(&alpha.dir, &["ledger", "extension", "--since", &path(&kept), &path(&short)]);
    let said = judge(&short, Some(&kept));
    assert_eq!(said.code, 0, "{}", said.text);
    assert_eq!(said.last()["against"], said.last()["older"]["events"], "{}", said.text);
    assert!(fs::metadata(&short).expect("a file").len() <= 2_000);

    // The domain's own key signs another root over the same number of events.
    let honest = fs::read(&kept).expect("the checkpoint");
    let (head, _) = Reader::open(honest.as_slice()).expect("our own document");
    let checkpoint = *head.judge().expect("an honest signature").checkpoint();
    let lie = Checkpoint { root: Hash([7; 32]), ..checkpoint }.seal(&alpha.home().node);
    let lying = Head { kind: Kind::Checkpoint, checkpoint: lie, ..head };
    let mut bytes = Vec::new();
    lying.write(&mut bytes).expect("memory");
    let file = alpha.dir.join("lying.checkpoint");
    fs::write(&file, &bytes).expect("a file");
    assert_eq!(judge(&file, None).code, 0, "alone it is a good signature");
    let said = judge(&file, Some(&kept));
    assert_eq!((said.code, said.refusal()), (1, "same_size_other_root"), "{}", said.text);

    // The two signatures together prove it to anybody, without the domain and without whoever found them.
    let proof = alpha.dir.join("alpha.equivocation");
    let accuse = |one: &Path, other: &Path| {
        run(&["--json", "audit", "accuse", &path(one), &path(other), &path(&proof)], PATIENCE)
    };
    assert_eq!(accuse(&kept, &kept).refusal(), "no_contradiction");
    assert_eq!(accuse(&kept, &file).code, 0);
    let said = judge(&proof, None);
    assert_eq!((said.code, &said.last()["document"]), (0, &Value::from("equivocation")), "{}", said.text);
    assert_eq!(said.last()["domain"].as_str(), Some(alpha.domain().to_string().as_str()));

    // Asked to extend what its key signed elsewhere, the node signs its own past: that contradicts, too.
    let asked = try_ask(&alpha.dir, &["ledger", "extension", "--since", &path(&file), &path(&short)]);
    assert_eq!(asked.refusal(), "same_size_other_root", "{}", asked.text);
    assert_eq!(accuse(&file, &short).code, 0, "the extension is evidence");
    assert_eq!(judge(&proof, None).code, 0);
}

/// What `watcher` says of `subject`, once `holds` says so.
fn seen(watcher: &Single, subject: &Single, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let id = subject.domain().to_string();
    wait_for(what, PATIENCE, || {
        let list = try_ask(&watcher.dir, &["audit", "list"]);
        let of = |peer: &&Value| peer["domain"] == id.as_str();
        list.last()["peers"].as_array()?.iter().find(of).filter(|peer| holds(peer)).cloned()
    })
}

/// A checkpoint of `liar` over `size` events that it never had, signed with its real key.
fn forged(liar: &Single, size: u64, file: &Path) -> String {
    let kept = liar.dir.join("own.checkpoint");
    ask(&liar.dir, &["ledger", "checkpoint", &kept.display().to_string()]);
    let honest = fs::read(&kept).expect("the checkpoint");
    let (head, _) = Reader::open(honest.as_slice()).expect("our own document");
    let checkpoint = *head.judge().expect("an honest signature").checkpoint();
    let lie = Checkpoint { size, root: Hash([7; 32]), ..checkpoint }.seal(&liar.home().node);
    let mut bytes = Vec::new();
    Head { checkpoint: lie, ..head }.write(&mut bytes).expect("memory");
    fs::write(file, &bytes).expect("a file");
    file.display().to_string()
}

#[test]
fn peers_cosign_each_other_and_a_second_history_is_found_out_and_told_to_all() {
    let [alpha, beta, gamma] = ["alpha", "beta", "gamma"].map(Single::witness);
    for (one, other) in [(&alpha, &beta), (&beta, &gamma), (&alpha, &gamma)] {
        befriend(one, other);
    }
    for (watcher, subject) in [(&beta, &alpha), (&alpha, &beta), (&gamma, &alpha)] {
        seen(watcher, subject, "a cosigned checkpoint", |peer| peer["cosigned_size"].as_u64() > Some(0));
    }
    let before = seen(&beta, &alpha, "alpha's checkpoint", |peer| peer["size"].as_u64() > Some(0));
    ask(&alpha.dir, &["agent", "register", "alice"]);
    let grown = seen(&beta, &alpha, "alpha's next checkpoint", |peer| peer["size"].as_u64() > before["size"].as_u64());
    seen(&alpha, &beta, "beta's cosignature of it", |peer| peer["cosigned_size"].as_u64() >= grown["size"].as_u64());
    let honest = beta.dir.join("alpha.checkpoint");
    ask(&alpha.dir, &["ledger", "checkpoint", &honest.display().to_string()]);
    let tell = |file: &str| ask(&beta.dir, &["audit", "tell", file])["contradicts"].clone();
    assert_eq!(tell(&honest.display().to_string()), false, "what it said to us is what it says to others");

    // A restart forgets nothing: what was kept is on the disk.
    let mut beta = beta;
    beta.process.take().expect("it runs").kill();
    beta.start(&[]);
    beta.wait_until_founded();
    let again = seen(&beta, &alpha, "what was kept", |peer| !peer["size"].is_null());
    assert!(again["size"].as_u64() >= grown["size"].as_u64(), "{again}");
    seen(&beta, &alpha, "a fresh look at alpha", |peer| peer["age_ms"].as_u64() < Some(1_500));

    // A checkpoint of a size that beta does not hold: alpha itself signs what it says of that size.
    let lie = forged(&alpha, 2, &beta.dir.join("lie.checkpoint"));
    wait_for("alpha's answer", PATIENCE, || {
        (ask(&beta.dir, &["audit", "tell", &lie])["contradicts"] == true).then_some(())
    });
    // Everybody hears it and judges it alone: also the liar, and a domain that never saw the forgery.
    for node in [&beta, &gamma, &alpha] {
        seen(node, &alpha, "the proof against alpha", |peer| peer["accused"] == true);
    }
    let proof = gamma.dir.join("alpha.equivocation");
    ask(&gamma.dir, &["audit", "proof", &alpha.domain().to_string(), &proof.display().to_string()]);
    let said = judge(&proof, None);
    assert_eq!((said.code, &said.last()["document"]), (0, &Value::from("equivocation")), "{}", said.text);
    assert_eq!(said.last()["domain"].as_str(), Some(alpha.domain().to_string().as_str()));

    // Of a size that gamma holds: no question is needed.
    let held = seen(&gamma, &beta, "beta's checkpoint", |peer| peer["size"].as_u64() > Some(0));
    let lie = forged(&beta, held["size"].as_u64().expect("a size"), &gamma.dir.join("lie.checkpoint"));
    assert_eq!(ask(&gamma.dir, &["audit", "tell", &lie])["contradicts"], true);
    seen(&alpha, &beta, "the proof against beta", |peer| peer["accused"] == true);
}
