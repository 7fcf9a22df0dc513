//! `cargo bench -p comity-verify`
//!
//! How long a peer that holds an old checkpoint takes to check a log of one million events, and how long the proof is.
//! Bars: 50 ms and 2 kB, for a spread of older sizes. What a busy machine takes away for a moment shows in the slowest, so
//! the 99th percentile is held against the bar.
//! A plain harness: the figures wanted are of many different proofs, not of one repeated.

use comity_ledger::{
    checkpoint::Checkpoint,
    merkle::{CompactRange, NodeReader, consistency_proof, leaf_hash, root_at},
};
use comity_proto::{
    envelope::Signed as _,
    identity::Roster,
    ids::{DomainId, Hash},
    keys::SecretKey,
};
use comity_verify::{Chain, proof::extends};
use std::time::{Duration, Instant};

const EVENTS: u64 = 1_000_000;
const PROOFS: u64 = 1_000;

/// Complete subtrees by level and index.
#[derive(Default)]
struct Nodes(Vec<Vec<Hash>>);

impl NodeReader for Nodes {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.0.get(usize::from(level))?.get(usize::try_from(index).ok()?).copied()
    }
}

fn log() -> (CompactRange, Nodes) {
    let (mut range, mut nodes) = (CompactRange::new(), Nodes::default());
    for event in 0..EVENTS {
        for node in range.append(leaf_hash(&event.to_be_bytes())) {
            let level = usize::from(node.level);
            if nodes.0.len() <= level {
                nodes.0.push(Vec::new());
            }
            // The nodes of a level are completed from left to right.
            nodes.0[level].push(node.hash);
        }
    }
    (range, nodes)
}

fn main() {
    let key = SecretKey::from_seed(&[7; 32]);
    let domain = DomainId::of_key(&key.public());
    let roster = Roster { domain, epoch: 1, voters: vec![key.public()], seats: vec![] }.seal(&key);
    let chain = Chain { domain, root_key: key.public(), roster };
    let (range, nodes) = log();
    let at = |size, root| Checkpoint { domain, size, root, stamp_ms: size, log_index: size }.seal(&key);
    let newer = at(EVENTS, range.root());

    let (mut checks, mut longest, mut making) = (Vec::new(), 0, Duration::ZERO);
    for step in 0..PROOFS {
        // Odd sizes between the powers of two: no older tree is a single subtree.
        let older_size = step * (EVENTS / PROOFS) + step % 7 + 1;
        let older_root = root_at(&nodes, older_size).expect("every node is kept");
        let older = chain.judge(&at(older_size, older_root)).expect("an honest checkpoint");
        let begun = Instant::now();
        let proof = consistency_proof(&nodes, older_size, EVENTS).expect("every node is kept");
        making = making.max(begun.elapsed());
        let begun = Instant::now();
        // What a peer does: both signatures of the newer checkpoint's chain, then the proof.
        let judged = chain.judge(&newer).expect("an honest checkpoint");
        extends(older.checkpoint(), judged.checkpoint(), &proof).expect("an honest log");
        checks.push(begun.elapsed());
        longest = longest.max(proof.len() * Hash::LEN);
    }
    checks.sort_unstable();
    let at = |share: usize| checks[(checks.len() - 1) * share / 100];
    println!("{EVENTS} events, {PROOFS} older checkpoints");
    println!(
        "check, signatures and proof: median {:.2?}, 99 % {:.2?}, slowest {:.2?} (bar: 50 ms)",
        at(50),
        at(99),
        at(100)
    );
    println!("proof: longest {longest} bytes (bar: 2 kB); made in at most {making:.2?} from nodes in memory");
    assert!(at(99) < Duration::from_millis(50) && longest <= 2_000, "a bar is missed");
}
