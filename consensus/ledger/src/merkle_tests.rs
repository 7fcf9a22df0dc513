use super::*;
use alloc::collections::BTreeMap;
use proptest::prelude::*;
use std::{env, fs, path::PathBuf, println};

#[derive(Default)]
struct Store(BTreeMap<(u8, u64), Hash>);

impl NodeReader for Store {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.0.get(&(level, index)).copied()
    }
}

/// A tree of `size` leaves and all the nodes it handed out.
fn tree(size: u64) -> (CompactRange, Store) {
    let (mut range, mut store) = (CompactRange::new(), Store::default());
    for i in 0..size {
        for node in range.append(leaf_hash(&i.to_be_bytes())) {
            let old = store.0.insert((node.level, node.index), node.hash);
            assert_eq!(old, None, "a node is completed once");
        }
    }
    (range, store)
}

/// The definition of RFC 9162 §2.1.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let k = leaves.len().next_power_of_two() / 2;
            node_hash(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
        }
    }
}

#[test]
fn the_compact_range_has_the_root_of_the_definition_at_every_size() {
    let mut leaves = Vec::new();
    let (mut range, (_, store)) = (CompactRange::new(), tree(130));
    assert_eq!(range.root(), empty_root());
    for i in 0..130_u64 {
        leaves.push(leaf_hash(&i.to_be_bytes()));
        range.append(leaf_hash(&i.to_be_bytes()));
        assert_eq!(range.root(), naive_root(&leaves));
        assert_eq!(root_at(&store, i + 1), Ok(range.root()));
    }
    assert_eq!(range.size(), 130);
}

#[test]
fn every_leaf_of_every_size_is_proven() {
    let (_, store) = tree(40);
    for size in 1..=40 {
        let root = root_at(&store, size).expect("complete");
        for index in 0..size {
            let proof = inclusion_proof(&store, index, size).expect("complete");
            let leaf = leaf_hash(&index.to_be_bytes());
            assert_eq!(verify_inclusion(&leaf, index, size, &proof, &root), Ok(()));
            let other = leaf_hash(b"other");
            assert_eq!(verify_inclusion(&other, index, size, &proof, &root), Err(VerifyError::RootDiffers));
        }
        assert_eq!(inclusion_proof(&store, size, size), Err(ProofError::OutOfRange));
    }
}

#[test]
fn every_extension_is_proven_and_a_rewritten_history_is_not() {
    let (_, store) = tree(40);
    let forged = leaf_hash(b"rewritten");
    for newer in 1..=40 {
        let newer_root = root_at(&store, newer).expect("complete");
        for older in 1..=newer {
            let older_root = root_at(&store, older).expect("complete");
            let proof = consistency_proof(&store, older, newer).expect("complete");
            assert_eq!(verify_consistency(older, newer, &older_root, &newer_root, &proof), Ok(()));
            assert!(verify_consistency(older, newer, &forged, &newer_root, &proof).is_err());
            assert!(verify_consistency(older, newer, &older_root, &forged, &proof).is_err());
        }
    }
    assert_eq!(consistency_proof(&store, 0, 5), Err(ProofError::OutOfRange));
    assert_eq!(consistency_proof(&store, 6, 5), Err(ProofError::OutOfRange));
}

#[test]
fn a_lost_node_is_named() {
    let (_, mut store) = tree(8);
    store.0.remove(&(1, 1));
    assert_eq!(inclusion_proof(&store, 0, 8), Err(ProofError::MissingNode { level: 1, index: 1 }));
}

#[test]
fn absurd_sizes_are_refused_without_panic() {
    let hash = leaf_hash(b"x");
    let sizes = [0, 1, 2, 3, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX];
    let store = Store::default();
    for a in sizes {
        for b in sizes {
            for length in [0, 1, 63, 64, 65, 128, 1000] {
                let proof = alloc::vec![hash; length];
                let _ = verify_inclusion(&hash, a, b, &proof, &hash);
                let _ = verify_consistency(a, b, &hash, &hash, &proof);
            }
            let _ = inclusion_proof(&store, a, b);
            let _ = consistency_proof(&store, a, b);
        }
    }
    let long = alloc::vec![hash; 129];
    assert_eq!(
        verify_inclusion(&hash, 0, u64::MAX, &long, &hash),
        Err(VerifyError::WrongLength { expected: 64, given: 129 })
    );
}

#[test]
fn a_right_edge_with_a_wrong_number_of_peaks_is_refused() {
    let (range, _) = tree(5);
    let bytes = postcard::to_allocvec(&range).expect("fits");
    assert_eq!(postcard::from_bytes::<CompactRange>(&bytes), Ok(range));
    let forged = postcard::to_allocvec(&(7_u64, alloc::vec![leaf_hash(b"x")])).expect("fits");
    assert!(postcard::from_bytes::<CompactRange>(&forged).is_err());
}

proptest! {
    #[test]
    fn a_proof_with_any_bit_changed_or_of_another_length_is_refused(
        size in 2_u64..200, pick in any::<u64>(), bit in any::<usize>(),
    ) {
        let (_, store) = tree(size);
        let (root, index) = (root_at(&store, size).expect("complete"), pick % size);
        let leaf = leaf_hash(&index.to_be_bytes());
        let proof = inclusion_proof(&store, index, size).expect("complete");
        let mut bent = proof.clone();
        let at = bit % (bent.len() * 256);
        bent[at / 256].0[at % 256 / 8] ^= 1 << (at % 8);
        prop_assert_eq!(verify_inclusion(&leaf, index, size, &bent, &root), Err(VerifyError::RootDiffers));
        let short = verify_inclusion(&leaf, index, size, &proof[1..], &root);
        prop_assert_eq!(short, Err(VerifyError::WrongLength { expected: proof.len(), given: proof.len() - 1 }));
        let long: Vec<Hash> = proof.iter().chain(&proof[..1]).copied().collect();
        prop_assert!(verify_inclusion(&leaf, index, size, &long, &root).is_err());
    }
}

fn vectors() -> Option<serde_json::Value> {
    let folder = env::var_os("COMITY_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    let Ok(text) = fs::read_to_string(folder.join("merkle/proofs.json")) else {
        println!("skipped: no vectors in {}", folder.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("the vector file is JSON"))
}

/// Some vectors hold hashes of another length, which our type cannot even hold. They become some other value of their
/// own for this role.
fn hash_of(value: &serde_json::Value, role: u8) -> Hash {
    let mut bytes = base64(value.as_str().unwrap_or(""));
    if bytes.len() != 32 {
        bytes.push(role);
    }
    <[u8; 32]>::try_from(bytes.as_slice()).map_or_else(|_| leaf_hash(&bytes), Hash)
}

fn base64(text: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        let digit = alphabet.iter().position(|a| *a == c).expect("base64");
        bits = (bits << 6 | digit as u32) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn proof_of(value: &serde_json::Value) -> Vec<Hash> {
    value.as_array().into_iter().flatten().map(|v| hash_of(v, 0)).collect()
}

#[test]
fn the_published_inclusion_vectors_are_judged_as_published() {
    let Some(all) = vectors() else { return };
    let cases = all["inclusion"].as_array().expect("a list");
    for case in cases {
        let number = |name: &str| case[name].as_u64().expect("a number");
        let verdict = verify_inclusion(
            &hash_of(&case["leafHash"], 1),
            number("leafIdx"),
            number("treeSize"),
            &proof_of(&case["proof"]),
            &hash_of(&case["root"], 0),
        );
        assert_eq!(verdict.is_err(), case["wantErr"].as_bool().expect("a verdict"), "{}", case["name"]);
    }
    assert!(cases.len() > 90, "{} inclusion vectors", cases.len());
}

#[test]
fn the_published_consistency_vectors_are_judged_as_published() {
    let Some(all) = vectors() else { return };
    let cases = all["consistency"].as_array().expect("a list");
    for case in cases {
        let number = |name: &str| case[name].as_u64().expect("a number");
        let verdict = verify_consistency(
            number("size1"),
            number("size2"),
            &hash_of(&case["root1"], 0),
            &hash_of(&case["root2"], 0),
            &proof_of(&case["proof"]),
        );
        assert_eq!(verdict.is_err(), case["wantErr"].as_bool().expect("a verdict"), "{}", case["name"]);
    }
    assert!(cases.len() > 90, "{} consistency vectors", cases.len());
}
