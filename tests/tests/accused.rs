//! A domain that contradicts itself twice, with real processes: two histories change no treaty, and do not keep the proof of
//! two told ends, signed by different keys of its, from suspending it.

use comity_ledger::checkpoint::Checkpoint;
use comity_node::home::{Home, voter};
use comity_proto::{
    envelope::Signed as _,
    identity::Roster,
    ids::{DomainId, Hash, TransferId},
    keys::SecretKey,
    relay::{Answer, Question},
    roots::RootKey,
    settlement::{Decision, SettlementBatch, SettlementMessage},
};
use comity_tests::{
    PATIENCE,
    cli::ask,
    pair::{connect, text},
    rogue::Rogue,
    single::Single,
    wait_for,
};
use comity_verify::{
    Chain, decisions,
    document::{Head, Kind, Other},
};

/// A roster of alpha with one voter.
fn roster(home: &Home, by: &RootKey, epoch: u64, voter: &SecretKey) -> bytes::Bytes {
    Roster { domain: home.domain(), epoch, voters: vec![voter.public()], seats: vec![] }.seal(by)
}

/// Two trees of one size, each signed.
fn two_histories(home: &Home, root: &RootKey) -> Vec<u8> {
    let (domain, key) = (home.domain(), &home.node);
    let signed = |root| Checkpoint { domain, size: 3, root: Hash([root; 32]), stamp_ms: 1, log_index: 1 }.seal(key);
    let chain = Chain { domain, root_key: home.domain_key, roster: roster(home, root, 1, key) };
    let mut out = Vec::new();
    let other = Other { roster: chain.roster.clone(), checkpoint: signed(2) };
    Head { kind: Kind::Equivocation, chain, checkpoint: signed(1) }.write(&mut out).expect("memory takes it");
    other.write(&mut out).expect("memory takes it");
    out
}

/// What it said about one transfer, under this roster.
fn word(home: &Home, roster: bytes::Bytes, key: &SecretKey, commit: bool) -> bytes::Bytes {
    let vote_evidence = commit.then_some(Hash([4; 32]));
    let (transfer, content) = (TransferId([5; 16]), Hash([6; 32]));
    let messages =
        vec![SettlementMessage::Decision(Decision { transfer, content, commit, vote_evidence, decide_by_ms: 9 })];
    SettlementBatch { from: home.domain(), to: DomainId([7; 32]), incarnation: 1, roster, messages }.seal(key)
}

#[test]
fn who_was_caught_with_two_histories_is_suspended_for_two_ends_whatever_keys_signed_them() {
    let (mut alpha, beta) = (Single::named("alpha"), Single::witness("beta"));
    connect(&alpha, &beta, "all");
    alpha.process = None;
    let home = alpha.home();
    let root = &home.domain_keys.as_ref().expect("a founder").root;
    let rogue = Rogue::towards(&beta, &home, voter());
    let accuse = |document: bytes::Bytes| rogue.ask(&Question::Accusation(document));
    assert_eq!(accuse(two_histories(&home, root).into()), Ok(Answer::Taken(true)));
    let shown = || ask(&beta.dir, &["peer", "show", "alpha"]);
    assert_eq!(text(&shown(), "state"), "mutual", "that is for the operator");

    // One end by the voter of its first roster, the other one by the voter of its next.
    let next = SecretKey::from_seed(&[77; 32]);
    let ends = |root: &RootKey| {
        let before = word(&home, roster(&home, root, 1, &home.node), &home.node, true);
        decisions::document(&before, &word(&home, roster(&home, root, 9, &next), &next, false))
    };
    let stranger = RootKey::from(SecretKey::from_seed(&[78; 32]));
    assert_eq!(accuse(ends(&stranger)), Ok(Answer::Taken(false)), "no root key of alpha's");
    assert_eq!(accuse(ends(root)), Ok(Answer::Taken(true)));
    wait_for("the suspension", PATIENCE, || (text(&shown(), "state") == "suspended").then_some(()));
}
