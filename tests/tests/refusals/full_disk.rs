//! A full disk: every client is told, the process ends by itself, and the restart knows what was acknowledged.

use comity_node::{cli::client::Client, service::error::Changed, signer::SignedBatch, signer::fresh_id};
use comity_proto::{command::Verb, envelope::Signed as _, session::SessionRequest, text::Memo};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    door::{Answer, envelope},
    now_ms,
    process::Process,
    single::Single,
    wait_for,
};
use serde_json::Value;
use std::{fs, process::Command, thread};

/// Clients that pay at the same time.
const PAYERS: usize = 4;
/// Many more payments than the room that is left in the files can hold.
const PAYMENTS_MAX: u64 = 20_000;

/// A file system of this size in memory; `None` where we may not mount one.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(megabytes: u32) -> Option<Tmpfs> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Tmpfs(dir))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a child that is just dying may still hold a file.
        let _unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// How paying ended: what was acknowledged, and the first payment that was not.
struct Ended {
    paid: u64,
    refused: SignedBatch,
    answer: Answer,
}

/// Pays one minor unit again and again until that is not acknowledged.
fn pay_until_refused(node: &Single, payer: &Agent, payee: &Agent) -> Ended {
    let memo = Memo::new(&"x".repeat(140)).expect("a memo");
    for paid in 0..PAYMENTS_MAX {
        let (transfer_id, _) = payer.pay(payee.party(), node.asset(), 1);
        let verb =
            Verb::Transfer { transfer_id, to: payee.party(), asset: node.asset(), amount: 1, memo: memo.clone() };
        let batch = payer.sign(verb);
        let answer = super::post(node, &batch);
        if answer.status != 200 {
            return Ended { paid, refused: batch, answer };
        }
    }
    panic!("{PAYMENTS_MAX} payments on a full disk");
}

/// The agent's session: its token.
fn session(node: &Single, agent: &Agent) -> Client {
    let own = node.home().node.public();
    let request = SessionRequest { agent: agent.id, node: own, nonce: fresh_id().0, issued_at_ms: now_ms() };
    let opened: Value =
        node.api().post("/api/v1/sessions", &envelope(&request.seal(agent.signer.key()))).expect("a session");
    node.api().with_token(opened["token"].as_str().expect("a token"))
}

#[test]
fn on_a_full_disk_nothing_is_acknowledged_that_is_not_there_after_the_restart() {
    let Some(disk) = Tmpfs::mount(256) else {
        println!("skipped: this account may not mount a small file system");
        return;
    };
    let mut node = Single::nothing();
    node.dir = disk.0.path().join("data");
    node.start(&[]);
    node.wait_until_founded();
    node.issue(1_000_000_000);
    let payers: Vec<Agent> =
        (0..PAYERS).map(|index| Agent::funded(&node.api(), node.domain(), &format!("payer{index}"))).collect();
    let payee = Agent::registered(&node.api(), node.domain(), "payee");
    let waiting = session(&node, &payee);
    let filler = disk.0.path().join("filler");
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/zero", "bs=4096"]).arg(format!("of={}", filler.display()));
    assert!(!dd.output().expect("dd runs").status.success(), "the disk is full");

    let (ends, poll) = thread::scope(|scope| {
        let paying: Vec<_> =
            payers.iter().map(|payer| scope.spawn(|| pay_until_refused(&node, payer, &payee))).collect();
        // A request that is under way for seconds, whenever the disk fails.
        let polling = scope.spawn(|| {
            loop {
                if let Err(refusal) = waiting.get::<Value>("/api/v1/tasks/next?wait_ms=30000") {
                    return refusal;
                }
            }
        });
        let ends: Vec<Ended> = paying.into_iter().map(|thread| thread.join().expect("it ended")).collect();
        (ends, polling.join().expect("it ended"))
    });

    assert_eq!((poll.code.as_str(), poll.changed), ("replica_failed", Changed::No), "{poll}");
    assert!(ends.iter().any(|end| end.answer.status != 0), "nobody heard why");
    for Ended { answer, .. } in ends.iter().filter(|end| !end.answer.found_no_door()) {
        assert_eq!(answer.refusal(), (503, "replica_failed"), "{answer:?}");
        assert_eq!(answer.kind, "application/problem+json", "{answer:?}");
        assert_eq!(answer.body["changed"], "unknown", "{answer:?}");
        let next = answer.body["next"].as_str().unwrap_or_default();
        assert!(next.contains("ask again with the same request id"), "{answer:?}");
    }
    must_end_with_its_reason(node.process.as_mut().expect("it was started"));

    fs::remove_file(&filler).expect("room again");
    node.process = None;
    node.start(&[]);
    node.wait_until_founded();
    let held = || wait_for("the books", PATIENCE, || payee.balance(&node.api(), &node.asset()).ok());
    let paid: u64 = ends.iter().map(|end| end.paid).sum();
    let found = held();
    println!("{paid} payments were acknowledged on a full disk, {found} found after the restart");
    // A payment that nobody acknowledged may have been written: its answer said so.
    assert!((paid..=paid + ends.len() as u64).contains(&found), "acknowledged {paid}, found {found}");
    // What the answer advised makes it known: each of them counts once.
    for end in &ends {
        let again = super::post(&node, &end.refused);
        assert_eq!(again.status, 200, "{again:?}");
    }
    assert_eq!(held(), paid + ends.len() as u64);
}

/// It ends by itself and does not go on half; its own error is the last thing that it says.
fn must_end_with_its_reason(process: &mut Process) {
    let ended = process.wait(PATIENCE);
    let said = process.said();
    assert_eq!(ended, Some(1), "{said}");
    let last: Value = serde_json::from_str(said.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("its own error is the last thing that it says: {said}"));
    assert_eq!(last["error"]["code"], "replica_failed", "{said}");
}
