//! A proof that a domain decided one transfer in two ways, and how its two participants come by it.

use super::{
    three::{ISSUER, PAYEE, PAYER, Three},
    world::{World, domain, root, secret, transfer_id, usd},
};
use crate::{
    Ledger, Outcome,
    check::check,
    settlement::{IncomingState, content_of},
    treaty::TreatyState,
};
use alloc::{vec, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    identity::Roster,
    ids::{DomainId, Hash},
    keys::SecretKey,
    roots::{RootKey, RootKeys},
    settlement::{
        Decision, SettlementBatch, SettlementMessage, TWO_DECISIONS_NAME, TWO_DECISIONS_VERSION, two_batches,
    },
};

fn decision(n: u8, commit: bool) -> Decision {
    let vote_evidence = commit.then_some(Hash([1; 32]));
    Decision { transfer: transfer_id(n.into()), content: Hash([n; 32]), commit, vote_evidence, decide_by_ms: 1 }
}

/// What domain 0 said to somebody, by a voter, under a roster with these voters.
fn said(signer: &SecretKey, epoch: u64, voters: &[&SecretKey], decision: Decision) -> Bytes {
    let mut voters: Vec<_> = voters.iter().map(|key| key.public()).collect();
    voters.sort();
    let roster = Roster { domain: domain(0), epoch, voters, seats: vec![] }.seal(&root(0));
    let messages = vec![SettlementMessage::Decision(decision)];
    SettlementBatch { from: domain(0), to: DomainId([7; 32]), incarnation: 1, roster, messages }.seal(signer)
}

fn document(first: &Bytes, second: &Bytes) -> Bytes {
    let mut out = [TWO_DECISIONS_NAME.as_slice(), &TWO_DECISIONS_VERSION.to_be_bytes()].concat();
    for batch in [first, second] {
        out.extend(u32::try_from(batch.len()).expect("short").to_be_bytes());
        out.extend(batch);
    }
    out.into()
}

fn told(world: &mut World, document: Bytes) -> Outcome {
    world.homes[1].apply(vec![check(&EntryItem::Contradiction(document))]).outcomes[0][0]
}

fn state(world: &World) -> TreatyState {
    world.homes[1].ledger.treaty_state(&domain(0)).expect("a treaty")
}

#[test]
fn a_proof_about_a_transfer_of_others_suspends_the_treaty_until_the_operator_resumes_it() {
    let mut world = World::new();
    let voter = secret(11);
    let word = |commit| said(&voter, 1, &[&voter], decision(3, commit));
    let proof = document(&word(true), &word(false));
    let applied = world.homes[1].apply(vec![check(&EntryItem::Contradiction(proof.clone()))]);
    assert_eq!((applied.outcomes.concat(), applied.events.len()), (vec![Outcome::Applied], 1));
    let kept: Vec<Hash> = applied.evidence.iter().map(|(digest, _)| *digest).collect();
    assert_eq!(kept, [word(true), word(false)].map(|bytes| Hash::of(&bytes)), "both are kept");
    assert_eq!(state(&world), TreatyState::Suspended);
    assert_eq!(world.pay(1, 0, 0, transfer_id(1), usd(1), 5), Outcome::TreatySuspended);
    assert_eq!(told(&mut world, proof.clone()), Outcome::Exists);
    let copy = Ledger::from_chunks(world.homes[1].ledger.snapshot_chunks());
    assert_eq!(copy.as_ref(), Ok(&world.homes[1].ledger), "it is stored as it is");
    assert_eq!(world.set_treaty(1, true), Outcome::Applied);
    assert_eq!(state(&world), TreatyState::Mutual);
    assert_eq!(told(&mut world, proof), Outcome::Exists, "the operator has seen this one");
    assert_eq!(state(&world), TreatyState::Mutual);
    let next = |commit| said(&voter, 1, &[&voter], decision(4, commit));
    assert_eq!(told(&mut world, document(&next(false), &next(true))), Outcome::Applied, "and not the next one");
}

#[test]
fn what_is_no_proof_against_a_peer_is_refused_by_name_and_suspends_nobody() {
    let mut world = World::new();
    let (voter, other) = (secret(11), secret(12));
    let word = |n, commit| said(&voter, 1, &[&voter], decision(n, commit));
    let proof = document(&word(3, true), &word(3, false));
    let by = |key: &SecretKey, epoch, voters: &[&SecretKey]| {
        let word = |commit| said(key, epoch, voters, decision(3, commit));
        document(&word(true), &word(false))
    };
    let mut flipped = proof.to_vec();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let cases = [
        (document(&word(3, true), &word(4, false)), Outcome::Malformed),
        (document(&word(3, true), &word(3, true)), Outcome::Malformed),
        (proof.slice(..proof.len() - 1), Outcome::Malformed),
        ([proof.as_ref(), &[0]].concat().into(), Outcome::Malformed),
        (Bytes::from_static(b"comity-decided"), Outcome::Malformed),
        (flipped.into(), Outcome::BadSignature),
        (by(&other, 1, &[&voter]), Outcome::BadSignature),
    ];
    for (document, outcome) in cases {
        assert_eq!((told(&mut world, document), state(&world)), (outcome, TreatyState::Mutual));
    }
    assert!(two_batches(&proof).is_ok());
    let applied = world.homes[0].apply(vec![check(&EntryItem::Contradiction(proof.clone()))]);
    assert_eq!(applied.outcomes.concat(), [Outcome::WrongDomain], "nobody judges itself");
    let mut stranger = super::world::Home::new(1);
    let applied = stranger.apply(vec![check(&EntryItem::Contradiction(proof.clone()))]);
    assert_eq!(applied.outcomes.concat(), [Outcome::PeerNotTrusted]);
}

#[test]
fn whoever_changes_its_keys_between_two_words_has_still_said_both() {
    let (old, new) = (secret(11), secret(12));
    let before = |commit| said(&old, 1, &[&old], decision(3, commit));
    let after = |commit| said(&new, 2, &[&new], decision(3, commit));
    for (one, two) in [(before(true), after(false)), (after(true), before(false)), (before(true), before(false))] {
        for (first, second) in [(&one, &two), (&two, &one)] {
            let mut world = World::new();
            // Its newest roster is seen, and names neither of them.
            let newest = Roster { domain: domain(0), epoch: 3, voters: vec![secret(13).public()], seats: vec![] };
            assert_eq!(world.homes[1].ledger.adopt_roster(&newest, None), Ok(()));
            assert_eq!(told(&mut world, document(first, second)), Outcome::Applied);
            assert_eq!(state(&world), TreatyState::Suspended);
        }
    }
}

#[test]
fn a_root_key_that_was_replaced_since_spoke_for_its_domain_and_one_beside_the_known_line_never_did() {
    let following = |n| {
        let first = RootKey::from(root(0));
        RootKey::along(first.links_to(&secret(n)).expect("links"), secret(n)).expect("they hold")
    };
    let (second, fork, voter) = (following(60), following(61), secret(11));
    let word = |root: &RootKey, epoch, commit| {
        let roster = Roster { domain: domain(0), epoch, voters: vec![voter.public()], seats: vec![] }.seal(root);
        let messages = vec![SettlementMessage::Decision(decision(3, commit))];
        SettlementBatch { from: domain(0), to: DomainId([7; 32]), incarnation: 1, roster, messages }.seal(&voter)
    };
    let mut world = World::new();
    let treaty = world.homes[1].ledger.head.treaties.get_mut(&domain(0)).expect("a treaty");
    treaty.root = RootKeys::of(second.signer());
    let first = RootKey::from(root(0));
    let forked = document(&word(&first, 1, true), &word(&fork, 2, false));
    assert!(!world.homes[1].ledger.is_said_by_one(&forked));
    assert_eq!((told(&mut world, forked), state(&world)), (Outcome::RootKeyForked, TreatyState::Mutual));
    let honest = document(&word(&first, 9, true), &word(&second, 2, false));
    assert!(world.homes[1].ledger.is_said_by_one(&honest));
    assert_eq!((told(&mut world, honest), state(&world)), (Outcome::Applied, TreatyState::Suspended));
}

/// Both have voted yes; the origin tells each of them its own end.
fn two_ends(issuer_commits: bool) -> Three {
    let mut three = Three::new();
    assert_eq!(three.pay(transfer_id(1), 1_000), Outcome::Begun);
    for prepare in three.owed(PAYER) {
        three.deliver(&prepare);
    }
    let prepare = three.homes[PAYER].ledger.outgoing_transfer(&transfer_id(1)).expect("begun").prepare.clone();
    for (to, commit) in [(ISSUER, issuer_commits), (PAYEE, !issuer_commits)] {
        let (transfer, content, decide_by_ms) = (prepare.transfer, content_of(&prepare), prepare.decide_by_ms);
        let vote_evidence = commit.then_some(Hash([1; 32]));
        let decision = Decision { transfer, content, commit, vote_evidence, decide_by_ms };
        let (_, answers) = three.deliver(&(PAYER, to, SettlementMessage::Decision(decision)));
        // The issuer's word to the payee's domain, and what that one says to it.
        for backing in answers.iter().filter(|(_, to, _)| *to == PAYEE) {
            three.deliver(backing).1.iter().filter(|(_, to, _)| *to == ISSUER).for_each(|answer| {
                three.deliver(answer);
            });
        }
    }
    for backing in three.owed(ISSUER).iter().filter(|(_, to, _)| *to == PAYEE) {
        let (_, answers) = three.deliver(backing);
        answers.iter().filter(|(_, to, _)| *to == ISSUER).for_each(|answer| {
            three.deliver(answer);
        });
    }
    three
}

#[test]
fn two_participants_that_were_told_different_ends_find_out_whichever_of_them_waits() {
    let key = (domain(PAYER), transfer_id(1));
    for (issuer_commits, waits, knows) in [(true, ISSUER, PAYEE), (false, PAYEE, ISSUER)] {
        let three = two_ends(issuer_commits);
        let stuck = three.homes[waits].ledger.ends_to_compare();
        let [(whom, of, evidence)] = stuck.as_slice() else { panic!("one that does not go on: {stuck:?}") };
        assert_eq!((*whom, *of), (domain(knows), key));
        assert!(three.homes[knows].ledger.ends_to_compare().is_empty());
        let messages = three.homes[waits].kept.get(evidence).expect("what the origin said").clone();
        let batch =
            SettlementBatch { from: domain(PAYER), to: domain(waits), incarnation: 1, roster: Bytes::new(), messages };
        let otherwise = three.homes[knows].ledger.told_otherwise(&batch).expect("a contradiction");
        let [SettlementMessage::Decision(here)] = three.homes[knows].kept[&otherwise].as_slice() else {
            panic!("a decision")
        };
        assert_eq!(here.commit, issuer_commits != (knows == PAYEE));
        assert_eq!(three.homes[waits].ledger.told_otherwise(&batch), None, "its own word is no contradiction");
    }
}

#[test]
fn honest_participants_have_nothing_to_compare() {
    let mut three = Three::new();
    assert_eq!(three.pay(transfer_id(1), 1_000), Outcome::Begun);
    three.settle_now();
    assert!((0..3).all(|side| three.homes[side].ledger.ends_to_compare().is_empty()));
    let key = (domain(PAYER), transfer_id(1));
    let record = three.homes[PAYEE].ledger.incoming_transfer(key.0, key.1).expect("posted");
    assert!(matches!(record.state, IncomingState::Finished { commit: true, .. }));
    let decision = Decision {
        transfer: key.1,
        content: record.content,
        commit: true,
        vote_evidence: Some(Hash([1; 32])),
        decide_by_ms: record.decide_by_ms,
    };
    let messages = vec![SettlementMessage::Decision(decision)];
    let (from, to) = (domain(PAYER), domain(ISSUER));
    let batch = SettlementBatch { from, to, incarnation: 1, roster: Bytes::new(), messages };
    assert_eq!(three.homes[PAYEE].ledger.told_otherwise(&batch), None);
}
