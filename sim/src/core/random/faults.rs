//! What goes wrong. Each seed draws which kinds there are at all, and how strong they are.

use crate::world::Chance;

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The leader's machine loses its power, at any moment.
    CrashLeader,
    /// Any machine loses its power.
    CrashAny,
    /// All machines of a domain lose their power.
    CrashAll,
    /// Somebody else leads; the old leader does not know yet.
    Depose,
    /// A machine reaches nobody.
    Isolate,
    /// Two domains are cut off from each other, in one direction or both.
    Partition,
    /// Packets are lost, doubled, late and overtake each other.
    Weather,
    /// A machine's clock is set.
    Clock,
    /// An operator suspends a treaty.
    Suspend,
    /// The leader dies between applying an entry and saying what it owes.
    CrashBeforeSend,
}

/// All kinds.
pub(super) const KINDS: [Kind; 10] = [
    Kind::CrashLeader,
    Kind::CrashAny,
    Kind::CrashAll,
    Kind::Depose,
    Kind::Isolate,
    Kind::Partition,
    Kind::Weather,
    Kind::Clock,
    Kind::Suspend,
    Kind::CrashBeforeSend,
];

/// What one stretch of a run is like.
pub(super) struct Mood {
    /// The kinds that there are, at least one.
    pub(super) kinds: Vec<Kind>,
    /// Mean time between two faults, us.
    pub(super) every_us: u64,
    /// Mean time that one lasts, us.
    pub(super) lasts_us: u64,
    /// Share of what is owed that is lost because the leader dies before it speaks.
    pub(super) dies_before_send: f64,
}

impl Mood {
    /// Swarm testing: a kind that is always there hides what happens without it.
    pub(super) fn draw(chance: &mut Chance) -> Mood {
        let mut kinds: Vec<Kind> = KINDS.into_iter().filter(|_| chance.below(2) == 0).collect();
        if kinds.is_empty() {
            kinds.extend(chance.pick(&KINDS));
        }
        let dies = if kinds.contains(&Kind::CrashBeforeSend) { 0.02 } else { 0.0 };
        let every_us = chance.between(4, 40) * 1_000_000;
        Mood { kinds, every_us, lasts_us: chance.between(1, 20) * 1_000_000, dies_before_send: dies }
    }
}
