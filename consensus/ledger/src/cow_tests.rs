use super::*;
use crate::cow_block::BLOCK_MAX;
use alloc::collections::BTreeMap;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, u32),
    Remove(u64),
    Change(u64, u32),
    OrInsert(u64, u32),
    Freeze,
}

/// Few keys, far apart, so that shards are both shared and hit twice.
fn key() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..8, (0u64..8).prop_map(|k| k << 60), any::<u64>()]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (key(), any::<u32>()).prop_map(|(k, v)| Step::Insert(k, v)),
        2 => key().prop_map(Step::Remove),
        2 => (key(), any::<u32>()).prop_map(|(k, v)| Step::Change(k, v)),
        1 => (key(), any::<u32>()).prop_map(|(k, v)| Step::OrInsert(k, v)),
        1 => Just(Step::Freeze),
    ]
}

fn same<const N: usize>(cow: &CowMap<u64, u32, N>, plain: &BTreeMap<u64, u32>) {
    assert_eq!(cow.len(), plain.len());
    assert_eq!(cow.is_empty(), plain.is_empty());
    assert!(cow.iter().eq(plain.iter()), "same entries in the same order");
    assert!(cow.iter().rev().eq(plain.iter().rev()), "and backwards");
    assert_eq!(cow.first_key_value(), plain.first_key_value());
    assert_eq!(cow.last_key_value(), plain.last_key_value());
}

fn behaves_like_a_plain_map<const N: usize>(steps: Vec<Step>) {
    let mut cow = CowMap::<u64, u32, N>::new();
    let mut plain = BTreeMap::new();
    let mut frozen = Vec::new();
    for step in steps {
        match step {
            Step::Insert(k, v) => assert_eq!(cow.insert(k, v), plain.insert(k, v)),
            Step::Remove(k) => assert_eq!(cow.remove(&k), plain.remove(&k)),
            Step::Change(k, v) => {
                assert_eq!(cow.get_mut(&k).is_some(), plain.contains_key(&k));
                if let (Some(a), Some(b)) = (cow.get_mut(&k), plain.get_mut(&k)) {
                    (*a, *b) = (v, v);
                }
            }
            Step::OrInsert(k, v) => {
                assert_eq!(cow.get_or_insert_with(k, || v), plain.entry(k).or_insert(v))
            }
            Step::Freeze => {
                same(&cow, &plain);
                frozen.push((cow.freeze(), plain.clone()));
            }
        }
        assert_eq!(cow.len(), plain.len());
    }
    same(&cow, &plain);
    for (cow, plain) in &frozen {
        same(cow, plain);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_map_of_any_fan_out_behaves_like_a_plain_map(steps in proptest::collection::vec(step(), 0..120)) {
        behaves_like_a_plain_map::<1>(steps.clone());
        behaves_like_a_plain_map::<16>(steps.clone());
        behaves_like_a_plain_map::<4096>(steps);
    }

    #[test]
    fn a_range_gives_what_a_plain_map_gives(
        keys in proptest::collection::btree_set(key(), 0..40), low in key(), high in key(), shape in 0u8..6,
    ) {
        let plain: BTreeMap<u64, u32> = keys.iter().map(|k| (*k, 1)).collect();
        let cow: CowMap<u64, u32, 256> = plain.clone().into_iter().collect();
        let bounds = match shape {
            0 => (Bound::Included(low), Bound::Included(high)),
            1 => (Bound::Included(low), Bound::Excluded(high)),
            2 => (Bound::Excluded(low), Bound::Excluded(high)),
            3 => (Bound::Excluded(low), Bound::Unbounded),
            4 => (Bound::Unbounded, Bound::Included(high)),
            _ => (Bound::Unbounded, Bound::Unbounded),
        };
        let expected: Vec<u64> = plain.keys().copied().filter(|k| bounds.contains(k)).collect();
        let got: Vec<u64> = cow.range(bounds).map(|(k, _)| *k).collect();
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn a_frozen_clone_does_not_see_later_writes() {
    let mut map: CowMap<u64, u32, 16> = (0..100).map(|k| (k << 57, 1)).collect();
    let frozen = map.freeze();
    map.insert(5 << 57, 2);
    *map.get_mut(&(6 << 57)).expect("present") = 3;
    map.remove(&(7 << 57));
    map.insert(u64::MAX, 4);
    assert_eq!(frozen.len(), 100);
    assert!(frozen.values().all(|v| *v == 1), "every value is as it was at the freeze");
    assert_eq!(frozen.get(&(7 << 57)), Some(&1));
    assert_eq!((map.get(&(5 << 57)), map.get(&(6 << 57)), map.get(&(7 << 57))), (Some(&2), Some(&3), None));
    assert!(frozen != map);
}

#[test]
fn a_write_after_a_freeze_copies_one_shard_and_a_miss_copies_none() {
    let mut map: CowMap<u64, u32, 16> = (0..16).map(|k| (k << 60, 1)).collect();
    let frozen = map.freeze();
    assert_eq!(map.remove(&1), None);
    assert_eq!(map.get_mut(&1), None);
    let shared = |map: &CowMap<u64, u32, 16>| {
        map.shards(0, 16).zip(frozen.shards(0, 16)).filter(|(a, b)| core::ptr::eq(*a, *b)).count()
    };
    assert_eq!(shared(&map), 16);
    map.insert(3 << 60, 9);
    assert_eq!(shared(&map), 15);
}

#[test]
fn bounds_the_wrong_way_round_give_nothing() {
    let map: CowMap<u64, u32, 16> = (0..16).map(|k| (k << 60, 1)).collect();
    assert_eq!(map.range((Bound::Included(9 << 60), Bound::Included(2 << 60))).count(), 0);
    assert_eq!(map.range((Bound::Excluded(2 << 60), Bound::Excluded(2 << 60))).count(), 0);
}

#[test]
fn a_shard_of_many_becomes_a_tree_and_comes_back() {
    let (mut cow, mut plain) = (CowMap::<u64, u64, 1>::new(), BTreeMap::new());
    let many = 2 * BLOCK_MAX as u64;
    // A third of the keys share one prefix with their neighbours, none comes in order.
    let key = |n: u64| if n.is_multiple_of(3) { n } else { n.wrapping_mul(0x9E37_79B9_7F4A_7C15) };
    for n in 0..many {
        assert_eq!(cow.insert(key(n), n), plain.insert(key(n), n));
    }
    assert!(cow.iter().eq(plain.iter()));
    let frozen = (cow.freeze(), plain.clone());
    for n in 0..many {
        assert_eq!(cow.remove(&key(n)), plain.remove(&key(n)), "{n}");
        if n.is_multiple_of(512) {
            assert!(cow.iter().eq(plain.iter()), "{n}");
            assert!(cow.range(key(n)..).eq(plain.range(key(n)..)), "{n}");
        }
    }
    assert!(cow.is_empty() && cow.iter().next().is_none());
    assert!(frozen.0.iter().eq(frozen.1.iter()), "the frozen one keeps all");
}

#[test]
fn keys_of_one_prefix_are_told_apart() {
    let pairs = |n: u32| ((comity_proto::ids::AgentId([7; 32]), n.reverse_bits()), n);
    let cow: CowMap<(comity_proto::ids::AgentId, u32), u32> = (0..1_000).map(pairs).collect();
    let plain: BTreeMap<_, _> = (0..1_000).map(pairs).collect();
    assert!(cow.iter().eq(plain.iter()));
    assert!((0..1_000).map(pairs).all(|(key, value)| cow.get(&key) == Some(&value)));
    assert_eq!(cow.get(&(comity_proto::ids::AgentId([7; 32]), 1)), None);
}
