//! All chance of a universe: one seed, and one stream of its own for every kind of question.
//!
//! Streams are apart so that taking one fault out of a run does not shift the draws of everything else: a shrunk
//! failure stays the same failure.

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// One stream of draws.
#[derive(Clone, Debug)]
pub struct Chance(Xoshiro256PlusPlus);

impl Chance {
    /// The stream `label` of the universe `seed`. Equal labels give equal streams.
    pub fn stream(seed: u64, label: &str) -> Chance {
        // FNV-1a over the label; the generator itself spreads the sum over its whole state (SplitMix64).
        let hashed = label
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3));
        Chance(Xoshiro256PlusPlus::seed_from_u64(seed ^ hashed.rotate_left(23)))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`; 0 if `bound` is 0. The bias of at most `bound / 2^64` does not matter here.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.any()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `from` to `to`, both possible.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from).saturating_add(1))
    }

    /// True in `share` of all cases (0 never, 1 always).
    pub fn ratio(&mut self, share: f64) -> bool {
        // 53 bits: what a double holds.
        ((self.any() >> 11) as f64) < share * (1_u64 << 53) as f64
    }

    /// One of `all`; `None` if there is none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len() as u64) as usize)
    }

    /// Brings `all` into a drawn order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for end in (1..all.len()).rev() {
            all.swap(end, self.below(end as u64 + 1) as usize);
        }
    }

    /// A draw around `mean` from a geometric tail: mostly small, seldom many times the mean. Integers only, so that
    /// no mathematical library can make two machines differ.
    pub fn tail(&mut self, mean: u64) -> u64 {
        let mut drawn = self.below(mean.saturating_mul(2).max(1));
        while self.below(8) == 0 && drawn < mean.saturating_mul(20) {
            drawn += self.below(mean.saturating_mul(2).max(1));
        }
        drawn
    }

    /// Fills `buffer`.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        self.0.fill_bytes(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_labels_give_equal_streams_and_others_differ() {
        let draws = |seed, label| {
            (0..8).map(|_| 0).scan(Chance::stream(seed, label), |c, _: u64| Some(c.any())).collect::<Vec<_>>()
        };
        assert_eq!(draws(7, "net"), draws(7, "net"));
        assert_ne!(draws(7, "net"), draws(7, "disk"));
        assert_ne!(draws(7, "net"), draws(8, "net"));
    }

    #[test]
    fn draws_stay_in_their_bounds() {
        let mut chance = Chance::stream(1, "bounds");
        for _ in 0..10_000 {
            assert!(chance.below(7) < 7);
            assert!((3..=5).contains(&chance.between(3, 5)));
        }
        assert_eq!(chance.below(0), 0);
        assert!(!chance.ratio(0.0) && chance.ratio(1.0));
    }

    #[test]
    fn a_shuffle_keeps_every_element() {
        let mut all: Vec<u32> = (0..50).collect();
        Chance::stream(3, "shuffle").shuffle(&mut all);
        assert_ne!(all, (0..50).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }
}
