//! Packets between domains: each may be lost, doubled, delayed, overtaken, or stopped by a partition.

use std::collections::BTreeMap;

use crate::world::Chance;

/// What the way from one domain to another does with packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    /// Share that is lost.
    pub(super) loss: f64,
    /// Share that arrives twice.
    pub(super) duplicate: f64,
    /// The shortest delay, us.
    pub(super) delay_us: u64,
    /// Mean of what is added to it, us; large values let packets overtake each other.
    pub(super) jitter_us: u64,
    /// Nothing passes.
    pub(super) cut: bool,
}

impl Way {
    /// A way without trouble.
    pub(super) const FAIR: Way = Way { loss: 0.0, duplicate: 0.0, delay_us: 20_000, jitter_us: 10_000, cut: false };
}

/// All ways.
pub(super) struct Network {
    ways: BTreeMap<(usize, usize), Way>,
}

impl Network {
    pub(super) fn new(domains: usize) -> Network {
        let pairs = (0..domains).flat_map(|from| (0..domains).map(move |to| (from, to)));
        Network { ways: pairs.map(|pair| (pair, Way::FAIR)).collect() }
    }

    /// The way from one domain to another.
    pub(super) fn way(&mut self, from: usize, to: usize) -> &mut Way {
        self.ways.entry((from, to)).or_insert(Way::FAIR)
    }

    /// Everything is well again.
    pub(super) fn mend(&mut self) {
        self.ways.values_mut().for_each(|way| *way = Way::FAIR);
    }

    /// When the copies of a packet arrive, us from now; none if it is lost.
    pub(super) fn send(&mut self, from: usize, to: usize, chance: &mut Chance) -> Vec<u64> {
        let way = *self.way(from, to);
        if way.cut || chance.ratio(way.loss) {
            return Vec::new();
        }
        let copies = if chance.ratio(way.duplicate) { 2 } else { 1 };
        (0..copies).map(|_| way.delay_us + chance.tail(way.jitter_us)).collect()
    }
}
