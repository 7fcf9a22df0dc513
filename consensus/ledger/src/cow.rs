//! Ordered maps that can be frozen cheaply.
//!
//! A [`CowMap`] is a fixed fan-out of shards chosen by the top bits of the key; each shard is an `Arc` of a small ordered
//! map that is flat in memory, and neighbouring shards share an `Arc` too. Freezing clones the vector of the groups. A
//! write after a freeze copies the pointers of one group and the entries of one shard, never the whole map, so a snapshot
//! stops the state machine only for as long as the vector takes to clone. What is empty is not there: a young domain
//! pays for none of the fan-out.
//!
//! Iteration is in key order, because a prefix never falls while the key grows (see [`ShardKey`]).
//! Absent on purpose: hashing, removal by predicate while iterating, shrinking of the fan-out.

use crate::cow_block::Shard;
use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    ops::{Bound, RangeBounds},
};

/// A key that knows roughly where it stands among all keys.
///
/// Must be monotone: `a <= b` implies `a.prefix() <= b.prefix()`. Otherwise iteration is out of order and two replicas
/// that walk the same map disagree.
pub trait ShardKey: Ord + Clone {
    /// For hashed ids the first eight bytes, big endian; they spread evenly. Equal prefixes only cost time.
    fn prefix(&self) -> u64;
}

/// First eight bytes, big endian: monotone for keys that compare as byte strings. Shorter ones end in zeros.
#[must_use]
pub fn prefix_of_bytes(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk::<8>() {
        return u64::from_be_bytes(*first);
    }
    let mut padded = [0; 8];
    padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    u64::from_be_bytes(padded)
}

macro_rules! prefix_by_bytes {
    ($($id:ty),+) => {$(
        impl ShardKey for $id {
            fn prefix(&self) -> u64 {
                prefix_of_bytes(self.as_bytes())
            }
        }
    )+};
}

prefix_by_bytes!(
    comity_proto::ids::AgentId,
    comity_proto::ids::DomainId,
    comity_proto::ids::EscrowId,
    comity_proto::ids::TransferId,
    comity_proto::ids::RequestId,
    comity_proto::ids::Hash
);

/// A pair is ordered by its first part, so it lives where its first part lives.
impl<A: ShardKey, B: Ord + Clone> ShardKey for (A, B) {
    fn prefix(&self) -> u64 {
        self.0.prefix()
    }
}

impl ShardKey for u64 {
    /// Right for values spread over the whole range, one shard for small counters.
    fn prefix(&self) -> u64 {
        *self
    }
}

/// Fan-out of the maps that every transfer touches.
pub const SHARDS_HOT: usize = 16_384;
/// Fan-out of other maps that grow with the number of agents, escrows or transfers.
pub const SHARDS_LARGE: usize = 4096;
/// Fan-out of maps that stay small, such as one entry per peer.
pub const SHARDS_SMALL: usize = 16;

/// Shards per group.
const GROUP: usize = 64;

/// Neighbouring shards; absent until they are written.
type Group<K, V> = Arc<[Option<Arc<Shard<K, V>>>]>;

/// Where an entry lies; see [`CowMap::spot`].
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    slot: usize,
    position: usize,
}

/// An ordered map whose clone is cheap and does not see later writes.
///
/// `SHARDS` is a power of two from 1 to 65 536, checked at compile time.
pub struct CowMap<K, V, const SHARDS: usize = SHARDS_LARGE> {
    groups: Vec<Option<Group<K, V>>>,
    len: usize,
}

impl<K: ShardKey, V: Clone, const SHARDS: usize> CowMap<K, V, SHARDS> {
    /// Bits of a prefix that choose the shard.
    const BITS: u32 = {
        assert!(SHARDS.is_power_of_two() && SHARDS <= 65_536, "fan-out must be a power of two up to 65 536");
        SHARDS.trailing_zeros()
    };

    /// No entry, and hardly any memory.
    #[must_use]
    pub fn new() -> Self {
        CowMap { groups: alloc::vec![None; SHARDS.div_ceil(GROUP)], len: 0 }
    }

    /// The shard of a prefix, and the 32 bits that follow.
    fn place(prefix: u64) -> (usize, u32) {
        // One shard takes no bits; a shift by all 64 is not a shift.
        let slot = prefix.checked_shr(64_u32.wrapping_sub(Self::BITS)).unwrap_or(0);
        (slot as usize, (prefix.wrapping_shl(Self::BITS) >> 32) as u32)
    }

    fn shard_at(&self, slot: usize) -> Option<&Shard<K, V>> {
        self.groups.get(slot / GROUP)?.as_ref()?.get(slot % GROUP)?.as_deref()
    }

    /// Whether the shard is there and no frozen clone holds it. A clone that goes away meanwhile is still seen, which only
    /// costs a lookup.
    fn owns(&self, slot: usize) -> bool {
        let group =
            self.groups.get(slot / GROUP).and_then(Option::as_ref).filter(|group| Arc::strong_count(group) == 1);
        let shard = group.and_then(|group| group.get(slot % GROUP)?.as_ref());
        shard.is_some_and(|shard| Arc::strong_count(shard) == 1)
    }

    /// The shard to write to: made when absent, copied when a frozen clone holds it.
    ///
    /// Invariant: a slot is the top `BITS` bits of a prefix, hence below `SHARDS`; there are groups for all of them, and
    /// `GROUP` slots in each.
    #[expect(
        clippy::indexing_slicing,
        reason = "slots are below SHARDS, and groups hold GROUP of them, by construction"
    )]
    fn shard_mut(groups: &mut [Option<Group<K, V>>], slot: usize) -> &mut Shard<K, V> {
        let group = groups[slot / GROUP].get_or_insert_with(|| (0..GROUP).map(|_| None).collect());
        let shard = Arc::make_mut(group)[slot % GROUP].get_or_insert_with(|| Arc::new(Shard::new()));
        Arc::make_mut(shard)
    }

    fn shards(&self, from: usize, to: usize) -> impl DoubleEndedIterator<Item = &Shard<K, V>> + '_ {
        let last = (to / GROUP).min(self.groups.len().saturating_sub(1));
        let groups = self.groups.get(from / GROUP..=last).unwrap_or(&[]);
        groups.iter().flatten().flat_map(|group| group.iter().flatten()).map(Arc::as_ref)
    }

    /// Number of entries, in O(1).
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let (slot, within) = Self::place(key.prefix());
        self.shard_at(slot)?.get(within, key)
    }

    /// Whether `key` is present.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The value under `key`, to change in place. Copies the shard first when a frozen clone still holds it; an absent
    /// key copies nothing.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (slot, within) = Self::place(key.prefix());
        if !self.owns(slot) {
            self.get(key)?;
        }
        Self::shard_mut(&mut self.groups, slot).get_mut(within, key)
    }

    /// Where the entry of `key` lies. Holds until an entry is put in or taken out. `None` when it is absent, and in the
    /// rare shard that is a tree.
    pub(crate) fn spot(&self, key: &K) -> Option<Spot> {
        let (slot, within) = Self::place(key.prefix());
        Some(Spot { slot, position: self.shard_at(slot)?.position(within, key)? })
    }

    /// The value at a spot.
    pub(crate) fn at(&self, spot: Spot) -> Option<&V> {
        self.shard_at(spot.slot)?.at(spot.position)
    }

    /// The value at a spot, to change in place.
    pub(crate) fn at_mut(&mut self, spot: Spot) -> Option<&mut V> {
        Self::shard_mut(&mut self.groups, spot.slot).at_mut(spot.position)
    }

    /// Puts `value` under `key` and returns what was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (slot, within) = Self::place(key.prefix());
        let old = Self::shard_mut(&mut self.groups, slot).insert(within, key, value);
        if old.is_none() {
            self.len = self.len.saturating_add(1);
        }
        old
    }

    /// The value under `key`, made by `make` when absent.
    pub fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let (slot, within) = Self::place(key.prefix());
        let (value, new) = Self::shard_mut(&mut self.groups, slot).get_or_insert_with(within, key, make);
        self.len = self.len.saturating_add(usize::from(new));
        value
    }

    /// Takes the entry out. An absent key copies nothing.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (slot, _) = Self::place(key.prefix());
        if !self.owns(slot) {
            self.get(key)?;
        }
        let within = |key: &K| Self::place(key.prefix()).1;
        let old = Self::shard_mut(&mut self.groups, slot).remove(within, key);
        if old.is_some() {
            self.len = self.len.saturating_sub(1);
        }
        old
    }

    /// Reads what lookups of these prefixes will read, in three rounds whose reads do not wait for each other: shards,
    /// indexes, entries; `touch` reads what an entry holds. The number means nothing: whoever calls keeps the compiler from
    /// leaving the reads out.
    pub(crate) fn warm(&self, prefixes: impl Iterator<Item = u64>, touch: impl Fn(&K, &V) -> u64) -> u64 {
        let place = |prefix| {
            let (slot, within) = Self::place(prefix);
            self.shard_at(slot).map(|shard| (shard, within))
        };
        let places: Vec<(&Shard<K, V>, u32)> = prefixes.filter_map(place).collect();
        let shards = places.iter().fold(0, |seen, (shard, _)| seen ^ shard.entry_count() as u64);
        let index = places.iter().fold(shards, |seen, (shard, within)| seen ^ shard.words_near(*within));
        let entries = places.iter().flat_map(|(shard, within)| shard.entries_near(*within));
        entries.fold(index, |seen, (key, value)| seen ^ touch(key, value))
    }

    /// Entries of one shard, nothing beyond the last, in an order that differs between replicas: only for what does not
    /// depend on order. For rounds over the map, a stretch at a time.
    pub(crate) fn shard_scan(&self, shard: usize) -> impl Iterator<Item = (&K, &V)> + '_ {
        self.shard_at(shard).into_iter().flat_map(|shard| shard.scan())
    }

    /// All entries in key order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + '_ {
        self.shards(0, SHARDS).flat_map(|shard| shard.iter())
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + '_ {
        self.iter().map(|(key, _)| key)
    }

    /// All values in key order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + '_ {
        self.iter().map(|(_, value)| value)
    }

    /// Entries with keys in `bounds`, in key order. Bounds the wrong way round give nothing.
    pub fn range<'a, R: RangeBounds<K>>(
        &'a self,
        bounds: R,
    ) -> impl DoubleEndedIterator<Item = (&'a K, &'a V)> + use<'a, R, K, V, SHARDS> {
        let bounds = (bounds.start_bound().cloned(), bounds.end_bound().cloned());
        let (from, to) = (&bounds.0, &bounds.1);
        let slot = |key: &K| Self::place(key.prefix()).0;
        let (first, last) = (key_of(from).map_or(0, slot), key_of(to).map_or(SHARDS, slot));
        let shards = (!is_empty_range(from, to)).then(|| self.shards(first, last));
        shards.into_iter().flatten().flat_map(move |shard| shard.range(&bounds))
    }

    /// The entry with the lowest key.
    #[must_use]
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// The entry with the highest key.
    #[must_use]
    pub fn last_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next_back()
    }

    /// The same entries, cheap, blind to later writes on `self`.
    #[must_use]
    pub fn freeze(&self) -> Self {
        self.clone()
    }
}

const fn key_of<K>(bound: &Bound<K>) -> Option<&K> {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

/// The standard map panics on such bounds; a range asked for by a caller must not.
fn is_empty_range<K: Ord>(from: &Bound<K>, to: &Bound<K>) -> bool {
    match (key_of(from), key_of(to)) {
        (Some(low), Some(high)) => {
            low > high || (low == high && !matches!((from, to), (Bound::Included(_), Bound::Included(_))))
        }
        _ => false,
    }
}

impl<K, V, const SHARDS: usize> Clone for CowMap<K, V, SHARDS> {
    fn clone(&self) -> Self {
        CowMap { groups: self.groups.clone(), len: self.len }
    }
}

impl<K: ShardKey, V: Clone, const SHARDS: usize> Default for CowMap<K, V, SHARDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: ShardKey, V: Clone + PartialEq, const SHARDS: usize> PartialEq for CowMap<K, V, SHARDS> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: ShardKey, V: Clone + Eq, const SHARDS: usize> Eq for CowMap<K, V, SHARDS> {}

impl<K: ShardKey + fmt::Debug, V: Clone + fmt::Debug, const SHARDS: usize> fmt::Debug for CowMap<K, V, SHARDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: ShardKey, V: Clone, const SHARDS: usize> FromIterator<(K, V)> for CowMap<K, V, SHARDS> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

#[cfg(test)]
#[path = "cow_tests.rs"]
mod tests;
