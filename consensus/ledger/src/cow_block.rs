//! One shard of a [`CowMap`](crate::cow::CowMap): a sorted index over entries that lie where they were put.
//!
//! A lookup reads one line of the index and one entry, because ids are hashes: where a key stands in the index is
//! guessed from its prefix and the guess is off by a few places. An insert moves index words, not entries; a copy is
//! two flat copies. Keys that are not spread, such as names, only make the guess worse: the search is never slower than
//! a binary one. A shard that grows far beyond its fair share (one signer with very many requests) becomes a tree.

use alloc::{
    collections::{BTreeMap, btree_map},
    vec::Vec,
};
use core::{
    cmp::Ordering,
    ops::{Bound, RangeBounds as _},
    slice,
};

/// Entries of a block; beyond, moving the index on insert would cost more than walking a tree.
pub(crate) const BLOCK_MAX: usize = 4096;
/// A tree that has shrunk to this becomes a block again.
const TREE_MIN: usize = BLOCK_MAX / 4;
/// First step around the guess: eight words are one cache line.
const STEP: usize = 8;
/// How far from the guess a prefix mostly is: twice the deviation in a shard of 256.
const NEAR: usize = 16;
/// Room is made for at least this many entries at once.
const GROW_MIN: usize = 8;

/// The entries of one shard, in key order to whoever looks.
pub(crate) enum Shard<K, V> {
    Block(Block<K, V>),
    Tree(BTreeMap<K, V>),
}

/// Invariant: `index` is a permutation of the positions in `entries`, ascending by key. A word is the key's prefix in
/// its high half and the position in its low half; the prefix is monotone in the key.
pub(crate) struct Block<K, V> {
    index: Vec<u64>,
    entries: Vec<(K, V)>,
}

const fn word(prefix: u32, position: usize) -> u64 {
    // Positions stay below BLOCK_MAX.
    ((prefix as u64) << 32) | (position as u64 & 0xFFFF_FFFF)
}

const fn prefix_of(word: u64) -> u32 {
    (word >> 32) as u32
}

const fn position_of(word: u64) -> usize {
    (word & 0xFFFF_FFFF) as usize
}

/// Room for one more, a little at a time: a million records with doubled room would not fit the memory they may take.
fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() >> 2).max(GROW_MIN));
    }
}

fn give_back<T>(list: &mut Vec<T>) {
    if list.len() < list.capacity() >> 2 {
        list.shrink_to(list.len().saturating_add(GROW_MIN));
    }
}

/// A copy with room for what is about to be added to it.
fn copy<T: Clone>(list: &[T]) -> Vec<T> {
    let mut copy = Vec::with_capacity(list.len().saturating_add((list.len() >> 2).max(GROW_MIN)));
    copy.extend_from_slice(list);
    copy
}

impl<K: Ord, V> Block<K, V> {
    const fn new() -> Self {
        Block { index: Vec::new(), entries: Vec::new() }
    }

    fn order(&self, word: u64, prefix: u32, key: &K) -> Ordering {
        prefix_of(word).cmp(&prefix).then_with(|| match self.entries.get(position_of(word)) {
            Some((held, _)) => held.cmp(key),
            None => Ordering::Greater,
        })
    }

    /// Rank of the key and position of its entry, or the rank it would have.
    fn find(&self, prefix: u32, key: &K) -> Result<(usize, usize), usize> {
        let order = |rank: usize| self.index.get(rank).map(|word| self.order(*word, prefix, key));
        let len = self.index.len();
        let guess = self.guess(prefix);
        // Strides away from the guess until the key lies between `low` (inclusive) and `high` (exclusive).
        let (mut low, mut high, mut step) = (guess, guess, STEP);
        if order(guess) == Some(Ordering::Less) {
            high = guess.saturating_add(step);
            while order(high) == Some(Ordering::Less) {
                low = high;
                step = step.saturating_mul(2);
                high = high.saturating_add(step);
            }
            // The entry at `high` may be the very one.
            high = high.saturating_add(1).min(len);
        } else {
            high = high.saturating_add(1).min(len);
            low = guess.saturating_sub(step);
            while low > 0 && order(low) == Some(Ordering::Greater) {
                high = low;
                step = step.saturating_mul(2);
                low = low.saturating_sub(step);
            }
        }
        while low < high {
            let middle = low.midpoint(high);
            let Some(word) = self.index.get(middle) else { return Err(middle) };
            match self.order(*word, prefix, key) {
                Ordering::Equal => return Ok((middle, position_of(*word))),
                Ordering::Less => low = middle.saturating_add(1),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    fn guess(&self, prefix: u32) -> usize {
        (u64::from(prefix).wrapping_mul(self.index.len() as u64) >> 32) as usize
    }

    /// An entry whose prefix is this one, if the guess is good.
    fn near(&self, prefix: u32) -> Option<&(K, V)> {
        let guess = self.guess(prefix);
        let from = guess.saturating_sub(NEAR);
        let to = guess.saturating_add(NEAR).min(self.index.len());
        let near = self.index.get(from..to)?;
        let word = near.get(near.partition_point(|word| prefix_of(*word) < prefix))?;
        self.entries.get(position_of(*word))
    }

    fn insert_at(&mut self, rank: usize, prefix: u32, key: K, value: V) -> usize {
        let position = self.entries.len();
        make_room(&mut self.index);
        make_room(&mut self.entries);
        self.index.insert(rank, word(prefix, position));
        self.entries.push((key, value));
        position
    }

    /// Takes an entry out; the last entry moves into its place.
    fn remove_at(&mut self, rank: usize, position: usize, prefix: impl Fn(&K) -> u32) -> V {
        let last = self.entries.len().saturating_sub(1);
        if let Some((moved, _)) = self.entries.get(last)
            && position != last
            && let Ok((its_rank, _)) = self.find(prefix(moved), moved)
            && let Some(its_word) = self.index.get_mut(its_rank)
        {
            *its_word = word(prefix_of(*its_word), position);
        }
        self.index.remove(rank);
        let (_, value) = self.entries.swap_remove(position);
        give_back(&mut self.index);
        give_back(&mut self.entries);
        value
    }

    fn value_mut(&mut self, position: usize) -> Option<&mut V> {
        self.entries.get_mut(position).map(|(_, value)| value)
    }

    /// Rank of the first entry that is not below the bound.
    fn rank(&self, bound: Bound<&K>, above: bool) -> usize {
        let below = |word: &u64| match (self.entries.get(position_of(*word)), bound) {
            (Some((held, _)), Bound::Included(key)) => {
                if above {
                    held <= key
                } else {
                    held < key
                }
            }
            (Some((held, _)), Bound::Excluded(key)) => {
                if above {
                    held < key
                } else {
                    held <= key
                }
            }
            _ => above,
        };
        self.index.partition_point(below)
    }
}

impl<K: Ord + Clone, V: Clone> Shard<K, V> {
    pub(crate) const fn new() -> Self {
        Shard::Block(Block::new())
    }

    /// Number of entries, which is written in the shard itself.
    pub(crate) fn entry_count(&self) -> usize {
        match self {
            Shard::Block(block) => block.entries.len(),
            Shard::Tree(tree) => tree.len(),
        }
    }

    /// Words of the index around the place of a prefix, one per cache line that a search there reads.
    pub(crate) fn words_near(&self, prefix: u32) -> u64 {
        let Shard::Block(block) = self else { return 0 };
        let guess = block.guess(prefix);
        let around = [guess.saturating_sub(STEP), guess, guess.saturating_add(STEP)];
        around.iter().fold(0, |seen, rank| seen ^ block.index.get(*rank).copied().unwrap_or(0))
    }

    /// The entry near the place of a prefix, often the first of this prefix, and the one behind which the next is put.
    pub(crate) fn entries_near(&self, prefix: u32) -> impl Iterator<Item = &(K, V)> + '_ {
        let block = match self {
            Shard::Block(block) => Some(block),
            Shard::Tree(_) => None,
        };
        block.into_iter().flat_map(move |block| block.near(prefix).into_iter().chain(block.entries.last()))
    }

    pub(crate) fn get(&self, prefix: u32, key: &K) -> Option<&V> {
        match self {
            Shard::Block(block) => {
                let (_, position) = block.find(prefix, key).ok()?;
                block.entries.get(position).map(|(_, value)| value)
            }
            Shard::Tree(tree) => tree.get(key),
        }
    }

    pub(crate) fn get_mut(&mut self, prefix: u32, key: &K) -> Option<&mut V> {
        match self {
            Shard::Block(block) => {
                let (_, position) = block.find(prefix, key).ok()?;
                block.value_mut(position)
            }
            Shard::Tree(tree) => tree.get_mut(key),
        }
    }

    /// Where the entry of the key lies, if this is a block and it is there.
    pub(crate) fn position(&self, prefix: u32, key: &K) -> Option<usize> {
        match self {
            Shard::Block(block) => block.find(prefix, key).ok().map(|(_, position)| position),
            Shard::Tree(_) => None,
        }
    }

    /// The value of the entry that lies there.
    pub(crate) fn at(&self, position: usize) -> Option<&V> {
        match self {
            Shard::Block(block) => block.entries.get(position).map(|(_, value)| value),
            Shard::Tree(_) => None,
        }
    }

    /// The same, to change in place.
    pub(crate) fn at_mut(&mut self, position: usize) -> Option<&mut V> {
        match self {
            Shard::Block(block) => block.value_mut(position),
            Shard::Tree(_) => None,
        }
    }

    /// The value under the key, made when absent, and whether it was made.
    ///
    /// Invariant behind the `expect`: the position was found or has just been pushed.
    #[expect(clippy::expect_used, reason = "the position was found or has just been pushed")]
    pub(crate) fn get_or_insert_with(&mut self, prefix: u32, key: K, make: impl FnOnce() -> V) -> (&mut V, bool) {
        self.turn_into_tree_if_full();
        match self {
            Shard::Block(block) => {
                let (position, new) = match block.find(prefix, &key) {
                    Ok((_, position)) => (position, false),
                    Err(rank) => (block.insert_at(rank, prefix, key, make()), true),
                };
                (block.value_mut(position).expect("an entry of the block"), new)
            }
            Shard::Tree(tree) => match tree.entry(key) {
                btree_map::Entry::Occupied(held) => (held.into_mut(), false),
                btree_map::Entry::Vacant(free) => (free.insert(make()), true),
            },
        }
    }

    pub(crate) fn insert(&mut self, prefix: u32, key: K, value: V) -> Option<V> {
        self.turn_into_tree_if_full();
        match self {
            Shard::Block(block) => match block.find(prefix, &key) {
                Ok((_, position)) => block.value_mut(position).map(|held| core::mem::replace(held, value)),
                Err(rank) => {
                    block.insert_at(rank, prefix, key, value);
                    None
                }
            },
            Shard::Tree(tree) => tree.insert(key, value),
        }
    }

    pub(crate) fn remove(&mut self, prefix: impl Fn(&K) -> u32, key: &K) -> Option<V> {
        match self {
            Shard::Block(block) => {
                let (rank, position) = block.find(prefix(key), key).ok()?;
                Some(block.remove_at(rank, position, prefix))
            }
            Shard::Tree(tree) => {
                let old = tree.remove(key);
                if tree.len() <= TREE_MIN {
                    let entries: Vec<(K, V)> = core::mem::take(tree).into_iter().collect();
                    let index = entries.iter().enumerate().map(|(at, (key, _))| word(prefix(key), at)).collect();
                    *self = Shard::Block(Block { index, entries });
                }
                old
            }
        }
    }

    fn turn_into_tree_if_full(&mut self) {
        if let Shard::Block(block) = self
            && block.entries.len() >= BLOCK_MAX
        {
            let entries = core::mem::take(&mut block.entries);
            *self = Shard::Tree(entries.into_iter().collect());
        }
    }

    pub(crate) fn iter(&self) -> Entries<'_, K, V> {
        match self {
            Shard::Block(Block { index, entries }) => Entries::Block { index: index.iter(), entries },
            Shard::Tree(tree) => Entries::Tree(tree.range::<K, _>(..)),
        }
    }

    /// Entries in the order in which they lie: two replicas may see two orders.
    pub(crate) fn scan(&self) -> impl Iterator<Item = (&K, &V)> + '_ {
        let (flat, tree) = match self {
            Shard::Block(block) => (block.entries.as_slice(), None),
            Shard::Tree(tree) => (&[][..], Some(tree)),
        };
        flat.iter().map(|(key, value)| (key, value)).chain(tree.into_iter().flatten())
    }

    /// Entries between the bounds, which are the right way round.
    pub(crate) fn range(&self, bounds: &(Bound<K>, Bound<K>)) -> Entries<'_, K, V> {
        match self {
            Shard::Block(block) => {
                let from = block.rank(bounds.start_bound(), false);
                let to = block.rank(bounds.end_bound(), true);
                let index = block.index.get(from..to).unwrap_or(&[]).iter();
                Entries::Block { index, entries: &block.entries }
            }
            Shard::Tree(tree) => Entries::Tree(tree.range((bounds.start_bound(), bounds.end_bound()))),
        }
    }
}

impl<K: Clone, V: Clone> Clone for Shard<K, V> {
    fn clone(&self) -> Self {
        match self {
            Shard::Block(Block { index, entries }) => {
                Shard::Block(Block { index: copy(index), entries: copy(entries) })
            }
            Shard::Tree(tree) => Shard::Tree(tree.clone()),
        }
    }
}

/// Entries of one shard in key order.
pub(crate) enum Entries<'a, K, V> {
    Block { index: slice::Iter<'a, u64>, entries: &'a [(K, V)] },
    Tree(btree_map::Range<'a, K, V>),
}

impl<'a, K, V> Iterator for Entries<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Entries::Block { index, entries } => {
                entries.get(position_of(*index.next()?)).map(|(key, value)| (key, value))
            }
            Entries::Tree(range) => range.next(),
        }
    }
}

impl<K, V> DoubleEndedIterator for Entries<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self {
            Entries::Block { index, entries } => {
                entries.get(position_of(*index.next_back()?)).map(|(key, value)| (key, value))
            }
            Entries::Tree(range) => range.next_back(),
        }
    }
}
