//! What a peer shows of its log: what is true is kept here word for word, what is not is refused by name.

use crate::support::{
    World, converse, domain_of, key_of, pair,
    projections::{checkpoint_at, concerning, shown},
    root_of, roster_of,
};
use bytes::Bytes;
use comity_ledger::{Event, EventKind, Outcome, checkpoint::Checkpoint};
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    identity::Roster,
    ids::Hash,
    projection::{Projection, ProvedEvent},
};
use std::collections::BTreeSet;

fn said(alpha: &mut World, shown: &Projection) -> Outcome {
    alpha.apply(vec![EntryItem::Projection(shown.encode())]).outcomes[0][0]
}

/// Alpha's agent has paid beta's, and beta's has paid back.
fn traded() -> (World, World) {
    let (mut alpha, mut beta) = pair();
    alpha.rich("alice", 1_000_000);
    beta.rich("bob", 1_000_000);
    let (alice, bob) = (alpha.party("alice"), beta.party("bob"));
    assert_eq!(alpha.transfer("alice", bob, 1_000), Outcome::Begun);
    converse(&mut alpha, &mut beta);
    assert_eq!(beta.transfer("bob", alice, 500), Outcome::Begun);
    converse(&mut alpha, &mut beta);
    (alpha, beta)
}

/// Everything that alpha answers to what beta shows.
pub(super) fn outcomes() -> BTreeSet<Outcome> {
    let (mut alpha, beta) = traded();
    let (size, ours) = (beta.history.len() as u64, concerning(&beta, alpha.home));
    let ends = [&beta.history[ours[1] as usize], &beta.history[ours[2] as usize]];
    let ends = ends.map(|bytes| Event::from_bytes(bytes).expect("an event").kind);
    assert!(matches!(ends[0], EventKind::TransferFinished { commit: true, .. }), "alpha's payment: {ends:?}");
    assert!(matches!(ends[1], EventKind::TransferDecided { commit: true, .. }), "beta's: {ends:?}");

    // The treaty alone at first, in a tree that is not the newest.
    assert_eq!(said(&mut alpha, &shown(&beta, &ours[..1], 0, size - 1)), Outcome::Applied);
    refusals(&mut alpha, &beta, &ours);
    let whole = shown(&beta, &ours, size - 1, size);
    assert_eq!(said(&mut alpha, &whole), Outcome::Applied);
    assert_eq!(said(&mut alpha, &whole), Outcome::Exists);
    assert_eq!(said(&mut alpha, &shown(&beta, &ours[..1], 0, size - 1)), Outcome::Exists, "an old one again");

    let kept = alpha.history.iter().filter_map(|bytes| match Event::from_bytes(bytes).expect("an event").kind {
        EventKind::EventProjected(told) => Some((told.index, told.event.0.to_vec())),
        _ => None,
    });
    let wanted = ours.iter().map(|index| (*index, beta.history[*index as usize].clone()));
    assert!(kept.eq(wanted), "word for word, each once, in their order");
    let state = alpha.ledger.peer_state(&beta.home).expect("a peer").projected.clone();
    assert_eq!((state.size(), state.count), (size, ours.len() as u64));
    assert_eq!(concerning(&alpha, beta.home).len(), ours.len(), "what was projected concerns nobody again");
    alpha.given
}

/// Alpha holds beta's tree of all events but one, and the first event that concerns it.
fn refusals(alpha: &mut World, beta: &World, ours: &[u64]) {
    let size = beta.history.len() as u64;
    let (held, next) = (size - 1, [ours[1]]);
    let honest = || shown(beta, &next, held, size);
    let with = |edit: &dyn Fn(&mut Projection)| {
        let mut shown = honest();
        edit(&mut shown);
        shown
    };
    let event = |edit: fn(&mut ProvedEvent)| with(&|shown| edit(&mut shown.excerpt.events[0]));
    let extends = |edit: fn(&mut Vec<Hash>)| with(&|shown| edit(&mut shown.excerpt.extends));
    let signed = |by: &str, checkpoint: Checkpoint| with(&|shown| shown.checkpoint = checkpoint.seal(&key_of(by)));
    let voters = vec![key_of("another voter").public()];
    let next_roster = Roster { domain: beta.home, epoch: 2, voters, seats: vec![] }.seal(&root_of("beta"));
    let others: Vec<u64> = (0..size).filter(|index| !ours.contains(index)).collect();
    let lie = Checkpoint { root: Hash([9; 32]), ..checkpoint_at(beta, size) };
    let table = [
        ("a hash too many", event(|event| event.path.push(Hash([0; 32]))), Outcome::ProofTooLong),
        ("a hash too few", event(|event| event.path.truncate(1)), Outcome::ProofTooShort),
        ("another path", event(|event| event.path[0].0[0] ^= 1), Outcome::RootDiffers),
        ("another place", event(|event| event.index += 1), Outcome::RootDiffers),
        ("outside of the tree", event(|event| event.index = 1 << 40), Outcome::UnknownCheckpoint),
        ("another event", with(&|shown| shown.excerpt.events[0].event = changed(beta, ours[1])), Outcome::RootDiffers),
        ("no event", event(|event| event.event = Bytes::from_static(&[0xff; 9])), Outcome::Malformed),
        ("a byte behind it", with(&|shown| shown.excerpt.events[0].event = longer(beta, ours[1])), Outcome::Malformed),
        ("it does not extend the last", extends(|proof| proof[0].0[0] ^= 1), Outcome::RootDiffers),
        ("it proves too much", extends(|proof| proof.push(Hash([0; 32]))), Outcome::ProofTooLong),
        ("it proves nothing", extends(Vec::clear), Outcome::ProofTooShort),
        ("somebody else's business", shown(beta, &others[others.len() - 1..], held, size), Outcome::WrongDomain),
        ("signed by a stranger", signed("a stranger", checkpoint_at(beta, size)), Outcome::BadSignature),
        ("a root that is none", signed("domain beta", lie), Outcome::RootDiffers),
        ("a roster of another domain", with(&|shown| shown.roster = roster_of("gamma")), Outcome::BadSignature),
        ("not by its roster", with(&|shown| shown.roster = next_roster.clone()), Outcome::BadSignature),
    ];
    let before = alpha.ledger.freeze();
    for (what, shown, outcome) in table {
        assert_eq!(said(alpha, &shown), outcome, "{what}");
        assert_eq!(alpha.ledger.checkpoint().map(|now| now.root), before.checkpoint().map(|now| now.root), "{what}");
        assert_eq!(alpha.ledger.peer_state(&beta.home), before.peer_state(&beta.home), "{what} changes nothing");
    }
    let older = shown(beta, &next, 0, held - 1);
    assert_eq!(said(alpha, &older), Outcome::UnknownCheckpoint, "a tree that is older than the last");
    assert_eq!(said(alpha, &shown(alpha, &[0], 0, 3)), Outcome::WrongDomain, "its own log");
    let gamma = World::new("gamma");
    assert_eq!(said(alpha, &shown(&gamma, &[0], 0, 1)), Outcome::PeerNotTrusted, "a domain without a treaty");
    assert_eq!(gamma.home, domain_of("gamma"));
}

/// It happened a moment later than the log says.
fn changed(beta: &World, index: u64) -> Bytes {
    let event = Event::from_bytes(&beta.history[index as usize]).expect("an event");
    Event { stamp_ms: event.stamp_ms + 1, ..event }.to_bytes().into()
}

fn longer(beta: &World, index: u64) -> Bytes {
    [beta.history[index as usize].as_slice(), &[0]].concat().into()
}

/// Above a roster that is known, an older one's voter says nothing.
#[test]
fn a_voter_of_an_older_roster_shows_nothing() {
    let (mut alpha, beta) = traded();
    let voters = vec![key_of("another voter").public()];
    let newer = Roster { domain: beta.home, epoch: 2, voters, seats: vec![] }.seal(&root_of("beta"));
    let (size, ours) = (beta.history.len() as u64, concerning(&beta, alpha.home));
    let honest = shown(&beta, &ours[..1], 0, size);
    let checkpoint = checkpoint_at(&beta, size).seal(&key_of("another voter"));
    let newer = Projection { roster: newer, checkpoint, ..honest.clone() };
    assert_eq!(said(&mut alpha, &newer), Outcome::Applied);
    let older = shown(&beta, &ours[1..], size, size);
    assert_eq!(said(&mut alpha, &older), Outcome::NotAVoter);
}
