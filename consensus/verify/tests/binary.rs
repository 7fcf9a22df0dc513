//! The binary: what it prints, and its exit codes.

mod document;
#[path = "../../ledger/tests/support/mod.rs"]
mod support;

use comity_proto::envelope::Signed as _;
use comity_verify::document::Kind;
use document::{checkpoint_over, file, head, honest, root_key};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use support::World;

fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("the test's own folder");
    path
}

fn run(arguments: &[&Path]) -> (Option<i32>, String) {
    let ran = Command::new(env!("CARGO_BIN_EXE_comity-verify")).args(arguments).output().expect("it starts");
    (ran.status.code(), String::from_utf8_lossy(&ran.stdout).into_owned())
}

#[test]
fn the_binary_says_what_it_checked_or_what_is_wrong() {
    let mut world = World::new("alpha");
    world.rich("alice", 1_000);
    let then = checkpoint_over("alpha", &world.history);
    let mut kept = head("alpha", then.seal(&root_key("alpha")));
    kept.kind = Kind::Checkpoint;
    let kept = written("kept.checkpoint", &file(&kept, &[]));
    world.rich("bob", 500);
    let whole = honest(&world);
    let history = written("alpha.history", &whole);

    let (code, said) = run(&[&history, Path::new("--against"), &kept]);
    assert_eq!(code, Some(0), "{said}");
    for line in ["supply      0.0015 of USD", "over 6 events, recomputed", "older checkpoint over 4 events", "holds"] {
        assert!(said.contains(line), "no `{line}` in:\n{said}");
    }

    let mut damaged = whole;
    let last = damaged.len() - 10;
    damaged[last] ^= 1;
    let (code, said) = run(&[&written("damaged.history", &damaged)]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("wrong       event 5: mark:"), "{said}");

    let (code, said) = run(&[Path::new("no such file")]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("unreadable"), "{said}");
}
