//! Documents without a history: that a log extends a kept checkpoint, and that a domain signed two histories.

mod document;
#[path = "../../ledger/tests/support/mod.rs"]
mod support;

use comity_ledger::checkpoint::Checkpoint;
use comity_proto::{envelope::Signed as _, ids::Hash};
use comity_verify::{
    Rule, Verdict,
    document::{Head, Inclusion, Kind},
    verdict::{checkpoints_of, contradiction},
};
use document::{checkpoint_over, equivocation, extension, file, head, judge, judged, root_key};
use support::{World, key_of, projections::shown};

fn world() -> World {
    let mut world = World::new("alpha");
    for name in ["alice", "bob", "carol", "dave"] {
        world.rich(name, 1_000);
    }
    world
}

fn refused(bytes: &[u8], kept: Option<&Checkpoint>) -> (Rule, String) {
    let kept = kept.map(|kept| judged("alpha", kept));
    let wrong = judge(bytes, kept.as_ref()).map(|_| ()).expect_err("a false document");
    (wrong.rule, wrong.detail)
}

#[test]
fn an_extension_is_proved_from_every_older_size_in_under_two_kilobytes() {
    let world = world();
    for older in 1..=world.history.len() {
        let bytes = extension("alpha", &world.history, older, |_| {});
        assert!(bytes.len() <= 2_000, "{} bytes", bytes.len());
        let kept = judged("alpha", &checkpoint_over("alpha", &world.history[..older]));
        match judge(&bytes, Some(&kept)) {
            Ok(Verdict::Extension { newer, older: brought, against: true }) => {
                assert_eq!(newer.checkpoint().size, world.history.len() as u64);
                assert_eq!(brought.checkpoint().size, older as u64);
            }
            other => panic!("from {older}: {other:?}"),
        }
        assert!(matches!(judge(&bytes, None), Ok(Verdict::Extension { against: false, .. })));
    }
}

#[test]
fn an_extension_that_proves_nothing_is_refused_by_name() {
    let events = world().history;
    let spoiled = |edit: fn(&mut Vec<Hash>)| refused(&extension("alpha", &events, 5, edit), None);
    for (edit, name) in [
        ((|proof| proof.push(Hash([0; 32]))) as fn(&mut Vec<Hash>), "proof_too_long"),
        (|proof| proof.truncate(1), "proof_too_short"),
        (|proof| proof[0].0[0] ^= 1, "older_root_differs"),
        (|proof| proof.truncate(0), "proof_too_short"),
    ] {
        let (rule, detail) = spoiled(edit);
        assert_eq!(rule, Rule::Proof);
        assert!(detail.starts_with(name), "{name}: {detail}");
    }
    let (rule, _) = spoiled(|proof| proof.resize(200, Hash([0; 32])));
    assert_eq!(rule, Rule::TooLarge);

    let honest = extension("alpha", &events, 5, |_| {});
    assert_eq!(refused(&honest, Some(&checkpoint_over("alpha", &events[..6]))).0, Rule::OtherSize);
    let mut rewritten = events[..5].to_vec();
    rewritten[1][0] ^= 1;
    assert_eq!(refused(&honest, Some(&checkpoint_over("alpha", &rewritten))).0, Rule::SameSizeOtherRoot);
    assert_eq!(refused(&[honest.as_slice(), &[0]].concat(), None).0, Rule::TrailingBytes);
    for at in 0..honest.len() {
        let mut flipped = honest.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(judge(&flipped, None).is_err(), "byte {at}");
    }
}

#[test]
fn one_event_is_proved_alone_and_a_false_one_is_refused_by_name() {
    let events = world().history;
    let honest = inclusion(&world(), 2, |_| {});
    assert!(honest.len() <= 2_000, "{} bytes", honest.len());
    match judge(&honest, None) {
        Ok(Verdict::Inclusion { judged, index: 2, event }) => {
            assert_eq!(judged.checkpoint().size, events.len() as u64);
            assert_eq!(event.to_bytes(), events[2]);
        }
        other => panic!("{other:?}"),
    }
    let kept = checkpoint_over("alpha", &events);
    assert!(judge(&honest, Some(&judged("alpha", &kept))).is_ok(), "of the size that was kept");
    assert_eq!(refused(&honest, Some(&checkpoint_over("alpha", &events[..4]))).0, Rule::OtherSize);
    for (edit, name) in [
        ((|rest| rest.path.push(Hash([0; 32]))) as fn(&mut Inclusion), "proof_too_long"),
        (|rest| rest.path.truncate(1), "proof_too_short"),
        (|rest| rest.path[0].0[0] ^= 1, "root_differs"),
        (|rest| rest.index += 1, "root_differs"),
        (|rest| rest.index = 1 << 40, "outside_tree"),
    ] {
        let (rule, detail) = refused(&inclusion(&world(), 2, edit), None);
        assert_eq!(rule, Rule::Proof);
        assert!(detail.starts_with(name), "{name}: {detail}");
    }
    for at in 0..honest.len() {
        let mut flipped = honest.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(judge(&flipped, None).is_err(), "byte {at}");
    }
}

/// An event of a world with its proof; `edit` may spoil it.
fn inclusion(of: &World, index: u64, edit: impl FnOnce(&mut Inclusion)) -> Vec<u8> {
    let shown = shown(of, &[index], 0, of.history.len() as u64);
    let proved = shown.excerpt.events.into_iter().next().expect("one event");
    let mut rest = Inclusion { index, event: proved.event, path: proved.path };
    edit(&mut rest);
    let head = head("alpha", shown.checkpoint);
    let mut out = file(&Head { kind: Kind::Inclusion, ..head }, &[]);
    rest.write(&mut out).expect("memory takes it");
    out
}

/// What the domain said, and what it said to somebody else.
fn two_faces() -> (Head, Head) {
    let events = world().history;
    let mut other = events.clone();
    other[3][0] ^= 1;
    let root = root_key("alpha");
    let say = |events: &[Vec<u8>]| {
        let head = head("alpha", checkpoint_over("alpha", events).seal(&root));
        Head { kind: Kind::Checkpoint, ..head }
    };
    (say(&events), say(&other))
}

#[test]
fn two_signed_histories_are_a_proof_that_needs_nobody() {
    let (one, other) = two_faces();
    let bytes = equivocation(&one, &other);
    assert!(bytes.len() <= 2_000, "{} bytes", bytes.len());
    match judge(&bytes, None) {
        Ok(Verdict::Equivocation { first, second }) => {
            assert_eq!(first.checkpoint().size, second.checkpoint().size);
            assert_ne!(first.checkpoint().root, second.checkpoint().root);
        }
        other => panic!("{other:?}"),
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        assert!(judge(&flipped, None).is_err(), "byte {at}");
    }
    let (found, rest) = contradiction(
        &checkpoints_of(file(&one, &[]).as_slice()).expect("a document"),
        &checkpoints_of(file(&other, &[]).as_slice()).expect("a document"),
    )
    .expect("signed")
    .expect("they contradict each other");
    let mut made = file(&found, &[]);
    rest.write(&mut made).expect("memory takes it");
    assert_eq!(made, bytes);
}

#[test]
fn nobody_is_accused_without_two_signatures_of_its_own() {
    let (one, other) = two_faces();
    assert_eq!(refused(&equivocation(&one, &one), None).0, Rule::NoContradiction);
    let events = world().history;
    let shorter = head("alpha", checkpoint_over("alpha", &events[..4]).seal(&root_key("alpha")));
    assert_eq!(refused(&equivocation(&one, &shorter), None).0, Rule::NoContradiction);
    let lie = Checkpoint { root: Hash([9; 32]), ..checkpoint_over("alpha", &events) };
    let forged = Head { checkpoint: lie.seal(&key_of("a stranger")), ..other.clone() };
    assert_eq!(refused(&equivocation(&one, &forged), None).0, Rule::CheckpointSigner);
    let kept = checkpoint_over("alpha", &events);
    assert_eq!(refused(&equivocation(&one, &other), Some(&kept)).0, Rule::OtherSize);
    assert_eq!(contradiction(std::slice::from_ref(&one), &[one.clone(), shorter]).expect("signed"), None);
}

#[test]
fn an_extension_that_signs_another_past_contradicts_the_kept_checkpoint() {
    let events = world().history;
    let mut rewritten = events.clone();
    rewritten[1][0] ^= 1;
    let kept = Head {
        kind: Kind::Checkpoint,
        ..head("alpha", checkpoint_over("alpha", &events[..5]).seal(&root_key("alpha")))
    };
    let shown = extension("alpha", &rewritten, 5, |_| {});
    let shown = checkpoints_of(shown.as_slice()).expect("a proper document");
    let (head, rest) = contradiction(&[kept], &shown).expect("signed").expect("two pasts");
    let mut proof = file(&head, &[]);
    rest.write(&mut proof).expect("memory takes it");
    assert!(matches!(judge(&proof, None), Ok(Verdict::Equivocation { .. })));
}
