//! The most recent entries, decoded, within a bound of bytes.

use std::collections::VecDeque;

/// One run of consecutive entries that ends at the end of the log.
#[derive(Debug)]
pub(super) struct EntryCache<E> {
    /// Index of the first entry.
    first: u64,
    entries: VecDeque<(E, usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl<E: Clone> EntryCache<E> {
    pub(super) fn new(bytes_max: usize) -> Self {
        EntryCache { first: 0, entries: VecDeque::new(), bytes: 0, bytes_max }
    }

    pub(super) fn get(&self, index: u64) -> Option<E> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.entries.get(at).map(|(entry, _)| entry.clone())
    }

    /// Adds the log's newest entry and forgets the oldest ones over the bound.
    pub(super) fn push(&mut self, index: u64, entry: E, bytes: usize) {
        if index != self.first + self.entries.len() as u64 {
            self.entries.clear();
            self.bytes = 0;
        }
        if self.entries.is_empty() {
            self.first = index;
        }
        self.entries.push_back((entry, bytes));
        self.bytes += bytes;
        while self.bytes > self.bytes_max {
            self.drop_first();
        }
    }

    pub(super) fn truncate(&mut self, from: u64) {
        while !self.entries.is_empty() && self.first + self.entries.len() as u64 > from {
            self.bytes -= self.entries.pop_back().map_or(0, |(_, bytes)| bytes);
        }
    }

    pub(super) fn purge(&mut self, upto: u64) {
        while !self.entries.is_empty() && self.first <= upto {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some((_, bytes)) = self.entries.pop_front() {
            self.first += 1;
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_leave_when_the_bound_is_reached() {
        let mut cache = EntryCache::new(10);
        for index in 5..10 {
            cache.push(index, index, 4);
        }
        assert_eq!((cache.get(7), cache.get(8), cache.get(9)), (None, Some(8), Some(9)));
        cache.push(10, 10, 11);
        assert_eq!(cache.get(10), None, "an entry over the whole bound is not kept");
    }

    #[test]
    fn truncated_and_purged_entries_are_forgotten() {
        let mut cache = EntryCache::new(100);
        for index in 1..=6 {
            cache.push(index, index, 1);
        }
        cache.truncate(5);
        cache.purge(2);
        assert_eq!((cache.get(2), cache.get(3), cache.get(4), cache.get(5)), (None, Some(3), Some(4), None));
        cache.push(5, 55, 1);
        cache.push(9, 99, 1);
        assert_eq!((cache.get(5), cache.get(9)), (None, Some(99)), "a jump starts a new run");
    }
}
