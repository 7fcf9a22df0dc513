//! Histories for tests: what an honest domain exports, and what a lying one would.
#![allow(dead_code, reason = "each test program uses its part")]

use crate::support::{World, key_of, roster_of};
use bytes::Bytes;
use comity_ledger::{
    Event,
    checkpoint::Checkpoint,
    merkle::{CompactRange, leaf_hash},
};
use comity_proto::{envelope::Signed as _, keys::SecretKey};
use comity_verify::{
    Chain, Judged, Verdict, Wrong,
    document::{Head, Kind, write_event},
    verify,
};

/// The root key of a domain, which is also its only voter.
pub(crate) fn root_key(domain: &str) -> SecretKey {
    key_of(&format!("domain {domain}"))
}

pub(crate) fn chain_of(domain: &str) -> Chain {
    let key = root_key(domain).public();
    Chain { domain: crate::support::domain_of(domain), root_key: key, roster: roster_of(domain) }
}

/// The tree over these events.
pub(crate) fn tree(events: &[Vec<u8>]) -> CompactRange {
    let mut tree = CompactRange::new();
    for event in events {
        tree.append(leaf_hash(event));
    }
    tree
}

/// What a domain would sign over these events, whatever they say.
pub(crate) fn checkpoint_over(domain: &str, events: &[Vec<u8>]) -> Checkpoint {
    let tree = tree(events);
    Checkpoint {
        domain: crate::support::domain_of(domain),
        size: tree.size(),
        root: tree.root(),
        stamp_ms: u64::MAX,
        log_index: u64::MAX,
    }
}

pub(crate) fn judged(domain: &str, checkpoint: &Checkpoint) -> Judged {
    chain_of(domain).judge(&checkpoint.seal(&root_key(domain))).expect("the domain's own signature")
}

/// A file of these events behind this head.
pub(crate) fn file(head: &Head, events: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    head.write(&mut out).expect("memory takes it");
    for event in events {
        write_event(&mut out, event).expect("memory takes it");
    }
    out
}

/// What this domain exports, with the key that is really its own.
pub(crate) fn signed_history(domain: &str, checkpoint: &Checkpoint, events: &[Vec<u8>]) -> Vec<u8> {
    file(&head(domain, checkpoint.seal(&root_key(domain))), events)
}

pub(crate) fn head(domain: &str, checkpoint: Bytes) -> Head {
    Head { kind: Kind::History, chain: chain_of(domain), checkpoint }
}

pub(crate) fn honest(world: &World) -> Vec<u8> {
    signed_history(&world.name, &world.ledger.checkpoint().expect("a genesis"), &world.history)
}

pub(crate) fn judge(bytes: &[u8], against: Option<&Judged>) -> Result<Verdict, Wrong> {
    verify(bytes, against)
}

pub(crate) fn decoded(events: &[Vec<u8>]) -> Vec<Event> {
    events.iter().map(|bytes| Event::from_bytes(bytes).expect("our own event")).collect()
}
