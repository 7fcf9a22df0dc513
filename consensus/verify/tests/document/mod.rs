//! Histories for tests: what an honest domain exports, and what a lying one would.
#![allow(dead_code, reason = "each test program uses its part")]

use crate::support::{World, key_of, roster_of};
use bytes::Bytes;
use comity_ledger::{
    Event,
    checkpoint::Checkpoint,
    merkle::{CompactRange, leaf_hash},
};
use comity_proto::{envelope::Signed as _, ids::Hash, keys::SecretKey};
use comity_verify::{
    Chain, Judged, Verdict, Wrong,
    document::{Extension, Head, Kind, Other, write_event},
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

/// A short proof from the first `older` events to all of them; `edit` may spoil it.
pub(crate) fn extension(domain: &str, events: &[Vec<u8>], older: usize, edit: impl FnOnce(&mut Vec<Hash>)) -> Vec<u8> {
    struct Nodes(std::collections::BTreeMap<(u8, u64), Hash>);
    impl comity_ledger::merkle::NodeReader for Nodes {
        fn node(&self, level: u8, index: u64) -> Option<Hash> {
            self.0.get(&(level, index)).copied()
        }
    }
    let mut tree = CompactRange::new();
    let completed = events.iter().flat_map(|event| tree.append(leaf_hash(event)));
    let nodes = Nodes(completed.map(|node| ((node.level, node.index), node.hash)).collect());
    let (from, to) = (older as u64, events.len() as u64);
    let mut proof = comity_ledger::merkle::consistency_proof(&nodes, from, to).expect("all nodes are there");
    edit(&mut proof);
    let root = root_key(domain);
    let mut head = head(domain, checkpoint_over(domain, events).seal(&root));
    head.kind = Kind::Extension;
    let rest = Extension { older: checkpoint_over(domain, &events[..older]).seal(&root), proof };
    let mut out = file(&head, &[]);
    rest.write(&mut out).expect("memory takes it");
    out
}

/// Two checkpoints side by side, as an accusation.
pub(crate) fn equivocation(one: &Head, other: &Head) -> Vec<u8> {
    let mut out = file(&Head { kind: Kind::Equivocation, ..one.clone() }, &[]);
    let rest = Other { roster: other.chain.roster.clone(), checkpoint: other.checkpoint.clone() };
    rest.write(&mut out).expect("memory takes it");
    out
}
