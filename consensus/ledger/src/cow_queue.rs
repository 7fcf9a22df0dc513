//! An ordered queue of (time, item) that can be frozen cheaply.
//!
//! Times of one queue lie close together, so the top bits of a key would put all of them into one shard. Here a shard
//! is a stretch of about sixteen seconds: a freeze clones one `Arc` per stretch, a later write copies one stretch.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// 2^14 ms per stretch.
const STRETCH_BITS: u32 = 14;

/// Items waiting for their time, in (time, item) order. Times are ledger milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CowQueue<T> {
    stretches: BTreeMap<u64, Arc<BTreeSet<(u64, T)>>>,
    len: usize,
}

impl<T> Default for CowQueue<T> {
    fn default() -> Self {
        CowQueue { stretches: BTreeMap::new(), len: 0 }
    }
}

impl<T: Ord + Clone> CowQueue<T> {
    /// Nothing waits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an item; `false` when this very pair was there already.
    pub fn insert(&mut self, time_ms: u64, item: T) -> bool {
        let stretch = self.stretches.entry(time_ms >> STRETCH_BITS).or_default();
        let new = Arc::make_mut(stretch).insert((time_ms, item));
        self.len = self.len.saturating_add(usize::from(new));
        new
    }

    /// Takes an item out; `false` when it was not there.
    pub fn remove(&mut self, time_ms: u64, item: &T) -> bool {
        let key = time_ms >> STRETCH_BITS;
        let Some(stretch) = self.stretches.get_mut(&key) else { return false };
        let pair = (time_ms, item.clone());
        if !stretch.contains(&pair) {
            return false;
        }
        Arc::make_mut(stretch).remove(&pair);
        if stretch.is_empty() {
            self.stretches.remove(&key);
        }
        self.len = self.len.saturating_sub(1);
        true
    }

    /// The earliest item.
    #[must_use]
    pub fn first(&self) -> Option<(u64, &T)> {
        // An empty stretch is removed at once, so the first stretch holds the first item.
        let (time_ms, item) = self.stretches.values().next()?.first()?;
        Some((*time_ms, item))
    }

    /// Takes the earliest item out if its time is `now_ms` or earlier.
    pub fn pop_due(&mut self, now_ms: u64) -> Option<(u64, T)> {
        let (time_ms, item) = self.first()?;
        if time_ms > now_ms {
            return None;
        }
        let item = item.clone();
        self.remove(time_ms, &item);
        Some((time_ms, item))
    }

    /// All items in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &T)> + '_ {
        self.stretches.values().flat_map(|stretch| stretch.iter()).map(|(time_ms, item)| (*time_ms, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_queue_behaves_like_a_plain_set(steps in proptest::collection::vec((0_u8..4, 0_u64..100_000, 0_u8..4), 0..200)) {
            let (mut queue, mut plain) = (CowQueue::new(), BTreeSet::new());
            let mut frozen = Vec::new();
            for (kind, time, item) in steps {
                match kind {
                    0 | 1 => prop_assert_eq!(queue.insert(time, item), plain.insert((time, item))),
                    2 => {
                        let due = plain.first().copied().filter(|(first, _)| *first <= time);
                        due.inspect(|pair| assert!(plain.remove(pair)));
                        prop_assert_eq!(queue.pop_due(time), due);
                    }
                    _ => {
                        prop_assert_eq!(queue.remove(time, &item), plain.remove(&(time, item)));
                        frozen.push((queue.clone(), plain.clone()));
                    }
                }
            }
            frozen.push((queue, plain));
            for (queue, plain) in frozen {
                prop_assert_eq!(queue.len(), plain.len());
                prop_assert!(queue.iter().map(|(time, item)| (time, *item)).eq(plain.iter().copied()));
                prop_assert_eq!(queue.first().map(|(time, item)| (time, *item)), plain.first().copied());
            }
        }
    }
}
