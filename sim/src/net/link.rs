//! One direction between two hosts: how long bytes take, and whether they pass at all.

use serde::{Deserialize, Serialize};

use crate::world::{Chance, TimeNs};

const MS: u64 = 1_000_000;
/// A lost packet is sent again after this much (Linux: the smallest retransmission time-out).
const RETRANSMIT_NS: TimeNs = 200 * MS;
/// After a cut heals, the sender's back-off has to run out first; at most this much.
const RESUME_NS_MAX: TimeNs = 1_500 * MS;

/// What a link is like while nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkProfile {
    /// Time one way, microseconds: the shortest.
    pub latency_us: u64,
    /// Mean of what comes on top of it, microseconds.
    pub jitter_us: u64,
    /// Bytes per second; 0 is without limit.
    pub bandwidth: u64,
}

impl Default for LinkProfile {
    fn default() -> Self {
        LinkProfile { latency_us: 500, jitter_us: 200, bandwidth: 0 }
    }
}

/// One direction of a link as it is now.
#[derive(Clone, Debug, Default)]
pub struct LinkState {
    /// What it is like while nothing is wrong.
    pub profile: LinkProfile,
    /// Nothing passes while more than zero faults block it.
    pub blocked: u32,
    /// Share of packets that are lost and sent again.
    pub loss: f64,
    /// Comes on top of the latency, microseconds.
    pub extra_us: u64,
    /// Share of chunks in which one bit is turned over on the way.
    pub corrupt: f64,
    /// Share of chunks that arrive in small pieces.
    pub split: f64,
    /// New connections hear nothing while more than zero faults swallow them; old ones go on.
    pub swallowed: u32,
    /// Bytes per second while a fault clogs it; 0 is without limit.
    pub clogged: u64,
    /// Nothing that waited passes before this time: the sender's back-off after a cut.
    pub open_at: TimeNs,
    busy_until: TimeNs,
    /// When it was clogged last.
    unclogged_at: TimeNs,
}

impl LinkState {
    /// A link with nothing wrong.
    pub fn new(profile: LinkProfile) -> LinkState {
        LinkState { profile, ..LinkState::default() }
    }

    /// When bytes handed over at `now` come out at the other end, if nothing blocks the link by then.
    pub fn arrival(&mut self, now: TimeNs, bytes: usize, chance: &mut Chance) -> TimeNs {
        let bandwidth = match (self.profile.bandwidth, self.clogged) {
            (0, clogged) => clogged,
            (own, 0) => own,
            (own, clogged) => own.min(clogged),
        };
        let begins = self.busy_until.max(now);
        let takes = (bytes as u64 * 1_000_000_000).checked_div(bandwidth).unwrap_or(0);
        self.busy_until = begins + takes;
        let latency = self.profile.latency_us + self.extra_us + chance.tail(self.profile.jitter_us);
        let mut at = self.busy_until + latency * 1_000;
        let mut wait = RETRANSMIT_NS;
        while self.loss > 0.0 && chance.ratio(self.loss) && wait < 64 * RETRANSMIT_NS {
            at += wait;
            wait *= 2;
        }
        at.max(self.open_at)
    }

    /// What was clogged passes as it usually would: also what waits in front of it.
    pub fn unclog(&mut self, now: TimeNs) {
        self.clogged = 0;
        self.busy_until = now;
        self.unclogged_at = now;
    }

    /// When bytes come out that were handed over at `sent` and were to come out at `at`.
    pub fn due(&self, at: TimeNs, sent: TimeNs) -> TimeNs {
        let freed = if sent < self.unclogged_at { self.unclogged_at + self.profile.latency_us * 1_000 } else { at };
        at.min(freed).max(self.open_at)
    }

    /// One more reason why nothing passes.
    pub fn block(&mut self) {
        self.blocked += 1;
    }

    /// One reason less; true when the link is open again.
    pub fn unblock(&mut self, now: TimeNs, chance: &mut Chance) -> bool {
        self.blocked = self.blocked.saturating_sub(1);
        if self.blocked == 0 {
            self.open_at = now + chance.below(RESUME_NS_MAX);
        }
        self.blocked == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_latency_and_bandwidth() {
        let profile = LinkProfile { latency_us: 1_000, jitter_us: 0, bandwidth: 1_000_000 };
        let mut link = LinkState { profile, ..LinkState::default() };
        let mut chance = Chance::stream(1, "link");
        assert_eq!(link.arrival(0, 1_000, &mut chance), 2 * MS);
        assert_eq!(link.arrival(0, 1_000, &mut chance), 3 * MS, "the second waits for the first");
    }

    #[test]
    fn what_a_clogged_link_held_up_passes_when_it_is_free() {
        let profile = LinkProfile { latency_us: 1_000, jitter_us: 0, bandwidth: 0 };
        let mut link = LinkState { profile, clogged: 1_000, ..LinkState::default() };
        let mut chance = Chance::stream(1, "link");
        let at = link.arrival(0, 60_000, &mut chance);
        assert_eq!(at, 60_001 * MS, "a minute");
        link.unclog(5_000 * MS);
        assert_eq!(link.due(at, 0), 5_001 * MS);
        let next = link.arrival(5_000 * MS, 10, &mut chance);
        assert_eq!((next, link.due(next, 5_000 * MS)), (5_001 * MS, 5_001 * MS), "nothing waits behind it either");
    }

    #[test]
    fn a_lost_packet_is_a_late_one() {
        let mut link = LinkState { loss: 1.0, ..LinkState::default() };
        assert!(link.arrival(0, 1, &mut Chance::stream(1, "link")) >= RETRANSMIT_NS);
    }

    #[test]
    fn a_link_opens_when_the_last_fault_has_gone() {
        let (mut link, mut chance) = (LinkState::default(), Chance::stream(1, "link"));
        link.block();
        link.block();
        assert!(!link.unblock(5, &mut chance));
        assert!(link.unblock(5, &mut chance) && link.open_at >= 5);
    }
}
