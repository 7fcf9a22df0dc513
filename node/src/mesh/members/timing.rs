//! How long what takes. Everything is in proportion to the time between two pings.

use super::health::Health;
use crate::mesh::limits::{HEARTBEATS_SPACING, PINGS_PER_PERIOD};

/// Independent accusers beyond the first that make a suspicion as short as it gets.
pub(super) const CONFIRMATIONS: usize = 3;
/// Others that are asked whether they reach a silent member.
pub(super) const HELPERS: usize = 3;
/// The longest suspicion by the shortest.
const LONGEST_BY_SHORTEST: u64 = 6;
/// A neighbour that is heard all the time is pinged after so many periods all the same: a ping may tell it of an
/// accusation.
pub(super) const PERIODS_UNPINGED: u64 = 10;
/// Heartbeats that a member whom nobody pings may miss before its silence speaks against it.
const HEARTBEATS_MISSED: u64 = 4;

/// The two periods from which all other times follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Between two pings of a quiet neighbour, ms.
    pub(crate) ping_every_ms: u64,
    /// Between two heartbeats in a small mesh, ms.
    pub(crate) heartbeat_every_ms: u64,
}

impl Timing {
    /// Between two pings of one neighbour when so many are watched: a node with many neighbours pings each more rarely,
    /// for each of them has as many others that watch it.
    pub(super) fn ping_every(&self, watched: usize) -> u64 {
        self.ping_every_ms.saturating_mul(watched as u64).div_ceil(PINGS_PER_PERIOD).max(self.ping_every_ms)
    }

    /// An answer to a ping takes at most so long.
    pub(super) fn pong_within(&self, health: Health) -> u64 {
        health.stretch(self.ping_every_ms.div_ceil(2))
    }

    /// A helper's ping takes at most so long; its health is unknown to us.
    pub(crate) fn helper_within(&self) -> u64 {
        self.ping_every_ms.div_ceil(2)
    }

    /// A helper has at most so long for its own ping and for the two ways.
    pub(super) fn reached_within(&self, health: Health) -> u64 {
        health.stretch(self.ping_every_ms)
    }

    /// Between two heartbeats of one node in a mesh of so many: all heartbeats together stay a trickle.
    pub(crate) fn heartbeat_every(&self, members: usize) -> u64 {
        self.heartbeat_every_ms.max((members as u64).saturating_mul(HEARTBEATS_SPACING.as_millis() as u64))
    }

    /// A member whom nobody pings may be silent for so long.
    pub(super) fn silent_after(&self, members: usize) -> u64 {
        self.heartbeat_every(members).saturating_mul(HEARTBEATS_MISSED)
    }

    /// How long a suspicion waits for its refutation: `confirmations` independent accusers beyond the first, in a mesh of
    /// `members`. It grows with the logarithm of the mesh, as the way of a word through it does.
    pub(super) fn suspicion(&self, members: usize, confirmations: usize, health: Health) -> u64 {
        // Thousandths of the decimal logarithm, from the binary one.
        let log_permille = u64::from((members.max(1) as u64).ilog2()).saturating_mul(301).max(1_333);
        let shortest = self.ping_every_ms.saturating_mul(3).saturating_mul(log_permille) / 2_000;
        let spread = shortest.saturating_mul(LONGEST_BY_SHORTEST - 1);
        // In a small mesh there are not so many who could confirm.
        let possible = CONFIRMATIONS.min(members.saturating_sub(2));
        let left = 1_000 - shrunk_permille(confirmations.min(possible), possible);
        health.stretch(shortest + spread * left / 1_000)
    }
}

/// log(confirmed + 1) / log(possible + 1), in thousandths: the first confirmation counts most.
fn shrunk_permille(confirmed: usize, possible: usize) -> u64 {
    match (confirmed, possible) {
        (confirmed, possible) if confirmed >= possible => 1_000,
        (0, _) => 0,
        (1, 2) => 631,
        (1, _) => 500,
        (_, _) => 792,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { ping_every_ms: 1_000, heartbeat_every_ms: 5_000 };

    #[test]
    fn a_suspicion_is_shorter_the_more_confirm_it_and_longer_the_larger_the_mesh() {
        let of = |members, confirmed| TIMING.suspicion(members, confirmed, Health::default());
        assert_eq!([0, 1, 2, 3, 4].map(|confirmed| of(6, confirmed)), [11_994, 6_996, 4_077, 1_999, 1_999]);
        assert_eq!([2, 3, 4, 100, 1_000].map(|members| of(members, 3)), [1_999, 1_999, 1_999, 2_709, 4_063]);
        assert_eq!(of(2, 0), 1_999, "nobody else could confirm");
    }

    #[test]
    fn who_is_unwell_waits_longer() {
        let mut health = Health::default();
        (0..100).for_each(|_| health.worse());
        assert_eq!(TIMING.suspicion(6, 3, health), 9 * 1_999);
        (0..8).for_each(|_| health.better());
        assert_eq!(TIMING.suspicion(6, 3, health), 1_999);
    }

    #[test]
    fn pings_and_heartbeats_of_a_large_mesh_stay_a_trickle() {
        assert_eq!([1, 16, 160].map(|watched| TIMING.ping_every(watched)), [1_000, 1_000, 10_000]);
        assert_eq!([6, 100, 1_000].map(|members| TIMING.heartbeat_every(members)), [5_000, 50_000, 500_000]);
    }
}
