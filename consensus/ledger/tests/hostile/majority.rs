//! A decision above the amount of the treaty, with too few words of voters, or with wrong ones.

use crate::support::{World, agent_of, document_with, domain_of, id_of, key_of, root_of, usd};
use bytes::Bytes;
use comity_ledger::{
    Outcome,
    settlement::{IncomingState, content_of},
};
use comity_proto::{
    command::{Party, Verb},
    entry::EntryItem,
    envelope::Signed as _,
    identity::{Roster, seats_of},
    ids::{DomainId, Hash, TransferId},
    settlement::{Decision, DecisionWord, Prepare, SettlementBatch, SettlementMessage, Source},
};
use std::collections::BTreeSet;

const ABOVE: u64 = 1_000;

/// A roster of beta with these keys, each with the name of its voter.
fn listing(epoch: u64, keys: &[(&str, &str)]) -> Bytes {
    let mut listed: Vec<_> = keys.iter().map(|(key, holder)| (key_of(key).public(), *holder)).collect();
    listed.sort();
    let (voters, holders): (Vec<_>, Vec<_>) = listed.into_iter().unzip();
    Roster { domain: domain_of("beta"), epoch, voters, seats: seats_of(&holders) }.seal(&root_of("beta"))
}

/// The roster of beta: three voters since epoch 2.
fn roster() -> Bytes {
    listing(2, &[("one", "one"), ("two", "two"), ("three", "three")])
}

/// From epoch 3 on the first of them has the next key prepared, and the one before it still counts.
fn rotating() -> Bytes {
    listing(3, &[("one", "one"), ("one next", "one"), ("one before", "one"), ("two", "two"), ("three", "three")])
}

fn heard(alpha: &mut World, messages: Vec<SettlementMessage>) -> Outcome {
    heard_under(roster(), alpha, messages)
}

fn heard_under(roster: Bytes, alpha: &mut World, messages: Vec<SettlementMessage>) -> Outcome {
    let (from, to) = (domain_of("beta"), domain_of("alpha"));
    let batch = SettlementBatch { from, to, incarnation: 1, roster, messages };
    let applied = alpha.apply(vec![EntryItem::Settlement(batch.seal(&key_of("one")))]);
    *applied.outcomes[0].last().expect("an answer")
}

/// A payment to alice that alpha has voted yes on.
fn voted(alpha: &mut World, word: &str, amount: u64) -> Prepare {
    let prepare = Prepare {
        transfer: TransferId(id_of(word)),
        origin: domain_of("beta"),
        source: Source::Agent(agent_of("bob")),
        recipient: Party { domain: domain_of("alpha"), agent: agent_of("alice") },
        asset: usd("beta"),
        amount,
        decide_by_ms: alpha.now_ms + 5_000,
    };
    assert_eq!(heard(alpha, vec![SettlementMessage::Prepare(prepare.clone())]), Outcome::Applied);
    prepare
}

fn decided(prepare: &Prepare, commit: bool) -> SettlementMessage {
    let (transfer, content, decide_by_ms) = (prepare.transfer, content_of(prepare), prepare.decide_by_ms);
    let vote_evidence = commit.then_some(Hash([1; 32]));
    SettlementMessage::Decision(Decision { transfer, content, commit, vote_evidence, decide_by_ms })
}

fn word(signer: &str, about: &DecisionWord) -> SettlementMessage {
    SettlementMessage::Word(about.seal(&key_of(signer)))
}

/// Alpha and beta agree that above [`ABOVE`] most voters sign.
fn alpha() -> World {
    let mut alpha = World::new("alpha");
    alpha.rich("alice", 1);
    let mut document = document_with(&alpha, "beta", 1_000_000);
    document.parties.iter_mut().flat_map(|part| &mut part.caps).for_each(|cap| cap.majority_above = Some(ABOVE));
    let (ours, theirs) = (document.seal(&root_of("alpha")), document.seal(&root_of("beta")));
    let verb = Verb::ApproveTreaty { document: ours, countersigned: theirs, roster: roster() };
    assert_eq!(alpha.operator(verb), Outcome::Applied);
    alpha
}

/// Everything that alpha answers to decisions that few have signed.
pub(super) fn outcomes() -> BTreeSet<Outcome> {
    let mut alpha = alpha();
    let small = voted(&mut alpha, "small", ABOVE);
    assert_eq!(heard(&mut alpha, vec![decided(&small, true)]), Outcome::Applied, "one voter is enough for that much");
    let prepare = voted(&mut alpha, "large", ABOVE + 1);
    let right = DecisionWord {
        origin: domain_of("beta"),
        to: domain_of("alpha"),
        incarnation: 1,
        roster_epoch: 2,
        transfer: prepare.transfer,
        content: content_of(&prepare),
        commit: true,
    };
    let old = DecisionWord { roster_epoch: 1, ..right };
    let others = [
        DecisionWord { commit: false, ..right },
        DecisionWord { to: DomainId([9; 32]), ..right },
        DecisionWord { transfer: small.transfer, ..right },
        DecisionWord { content: Hash([9; 32]), ..right },
        DecisionWord { origin: domain_of("gamma"), ..right },
        DecisionWord { incarnation: 2, ..right },
    ];
    let one = || word("one", &right);
    let mut refused = vec![
        (vec![], Outcome::MajorityMissing),
        (vec![one()], Outcome::MajorityMissing),
        (vec![one(), word("a stranger", &right)], Outcome::NotAVoter),
    ];
    refused.extend(others.map(|other| (vec![one(), word("two", &other)], Outcome::MajorityMissing)));
    for (mut messages, outcome) in refused {
        messages.push(decided(&prepare, true));
        assert_eq!(heard(&mut alpha, messages), outcome);
        let known = alpha.ledger.incoming_transfer(domain_of("beta"), prepare.transfer).expect("voted");
        assert!(matches!(known.state, IncomingState::Voted { .. }), "{outcome} changes nothing");
    }
    let with = |second, prepare| vec![one(), second, decided(prepare, true)];
    assert_eq!(heard(&mut alpha, with(one(), &prepare)), Outcome::SignerTwice);
    assert_eq!(heard(&mut alpha, with(word("two", &old), &prepare)), Outcome::OldRoster);
    let mut flipped = right.seal(&key_of("two")).to_vec();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let forged = vec![one(), SettlementMessage::Word(flipped.into()), decided(&prepare, true)];
    assert_eq!(heard(&mut alpha, forged), Outcome::BadSignature);
    assert_eq!(heard(&mut alpha, vec![decided(&prepare, false)]), Outcome::MajorityMissing, "an abort is a decision");
    let enough = vec![one(), word("three", &right), decided(&prepare, true)];
    assert_eq!(heard(&mut alpha, enough), Outcome::Applied);
    assert_eq!(alpha.ledger.balance(&agent_of("alice"), &usd("beta")), 2 * ABOVE + 1 - 2 * 5, "less both fees");
    while_keys_change(&mut alpha);
    alpha.given
}

/// A voter with three keys on the roster is one voter, and no more words are needed than before.
fn while_keys_change(alpha: &mut World) {
    let prepare = voted(alpha, "while keys change", 2 * ABOVE);
    let about = DecisionWord {
        origin: domain_of("beta"),
        to: domain_of("alpha"),
        incarnation: 1,
        roster_epoch: 3,
        transfer: prepare.transfer,
        content: content_of(&prepare),
        commit: true,
    };
    let mut said = |signers: &[&str]| {
        let words = signers.iter().map(|signer| word(signer, &about));
        heard_under(rotating(), alpha, words.chain([decided(&prepare, true)]).collect())
    };
    assert_eq!(said(&["one", "one next", "one before"]), Outcome::SignerTwice);
    assert_eq!(said(&["one next"]), Outcome::MajorityMissing);
    assert_eq!(said(&["one next", "three"]), Outcome::Applied);
}
