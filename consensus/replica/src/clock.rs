//! The domain's time: how a leader stamps an entry.
//!
//! `stamp = max(previous, min(own clock, median of a majority's fresh clocks + 1 s))`. A leader with a clock that runs
//! ahead can so shift the domain's time by a second at most; without a majority's clocks the stamp stands still. A
//! domain of one has nobody to ask: it trusts its own clock, but not a jump that smells of a broken battery.

use std::{collections::BTreeMap, time::Duration};

use comity_proto::{
    limits::{CLOCK_AHEAD_MS, CLOCK_JUMP_MAX_MS},
    planted::{Plant, planted},
};
use comity_runtime::{self as runtime, Instant};
use parking_lot::Mutex;

/// When each member's wall clock was heard, and what it said.
#[derive(Default)]
pub(crate) struct PeerClocks {
    heard: Mutex<BTreeMap<u64, Heard>>,
}

#[derive(Clone, Copy)]
struct Heard {
    clock_ms: u64,
    at: Instant,
}

/// What a leader may stamp now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// This many ms since the Unix epoch.
    Moves(u64),
    /// No majority's clocks are fresh: the previous stamp again, and no pulse.
    StandsStill(u64),
    /// A domain of one whose clock jumped by over 30 days; the ms it jumped.
    Jumped(u64),
}

impl PeerClocks {
    /// Notes a member's clock, read when its answer arrived.
    pub(crate) fn hear(&self, member: u64, clock_ms: u64) {
        self.heard.lock().insert(member, Heard { clock_ms, at: runtime::now() });
    }

    /// The clocks of `voters` other than `own`, as they show now if heard within `fresh`.
    fn fresh_clocks(&self, own: u64, voters: &[u64], fresh: Duration) -> Vec<u64> {
        let now = runtime::now();
        let heard = self.heard.lock();
        let shown = |heard: &Heard| {
            let age = now.since(heard.at);
            (age <= fresh).then(|| heard.clock_ms.saturating_add(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
        };
        voters.iter().filter(|voter| **voter != own).filter_map(|voter| heard.get(voter).and_then(shown)).collect()
    }

    /// The stamp of the next entry. `trusted_until_ms` is a time that the operator confirmed, or 0.
    pub(crate) fn stamp(&self, asked: &StampAsked<'_>) -> Stamp {
        let own_ms = runtime::wall_ms();
        let others = self.fresh_clocks(asked.own, asked.voters, asked.fresh);
        stamp(asked.previous_ms, own_ms, others, asked.voters.len(), asked.trusted_until_ms)
    }
}

/// What [`PeerClocks::stamp`] needs to know.
pub(crate) struct StampAsked<'a> {
    /// Own Raft id.
    pub(crate) own: u64,
    /// Raft ids of all voters.
    pub(crate) voters: &'a [u64],
    /// How old a heard clock may be.
    pub(crate) fresh: Duration,
    /// The last stamp given.
    pub(crate) previous_ms: u64,
    /// A time up to which the operator confirmed a jump, or 0.
    pub(crate) trusted_until_ms: u64,
}

/// The rule alone: `others` are the clocks of the other voters as far as they are fresh, `trusted_until_ms` is a time that
/// the operator confirmed, or 0. All in ms since the Unix epoch.
#[must_use]
pub fn stamp(previous_ms: u64, own_ms: u64, others: Vec<u64>, voters: usize, trusted_until_ms: u64) -> Stamp {
    if planted(Plant::OwnClock) {
        return Stamp::Moves(own_ms);
    }
    if voters <= 1 {
        let jump = own_ms.saturating_sub(previous_ms);
        let confirmed = own_ms <= trusted_until_ms;
        if previous_ms > 0 && jump > CLOCK_JUMP_MAX_MS && !confirmed {
            return Stamp::Jumped(jump);
        }
        return Stamp::Moves(previous_ms.max(own_ms));
    }
    let mut clocks = others;
    clocks.push(own_ms);
    if clocks.len() <= voters / 2 {
        return Stamp::StandsStill(previous_ms);
    }
    clocks.sort_unstable();
    // The lower one of two middles: a doubt never moves time on.
    let median = clocks.get((clocks.len() - 1) / 2).copied().unwrap_or(previous_ms);
    Stamp::Moves(previous_ms.max(own_ms.min(median.saturating_add(CLOCK_AHEAD_MS))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_never_runs_backwards() {
        assert_eq!(stamp(500, 100, vec![100, 100], 3, 0), Stamp::Moves(500));
        assert_eq!(stamp(500, 100, vec![], 1, 0), Stamp::Moves(500));
    }

    #[test]
    fn a_leader_that_is_ahead_is_held_to_the_median_and_a_second() {
        assert_eq!(stamp(0, 90_000, vec![10_000, 11_000], 3, 0), Stamp::Moves(12_000));
        assert_eq!(stamp(0, 90_000, vec![10_000], 3, 0), Stamp::Moves(11_000));
    }

    #[test]
    fn a_leader_that_is_behind_stamps_its_own_clock() {
        assert_eq!(stamp(0, 9_000, vec![10_000, 11_000], 3, 0), Stamp::Moves(9_000));
    }

    #[test]
    fn without_a_majority_of_clocks_time_stands_still() {
        assert_eq!(stamp(700, 9_000, vec![], 3, 0), Stamp::StandsStill(700));
        assert_eq!(stamp(700, 9_000, vec![8_000], 5, 0), Stamp::StandsStill(700));
        assert_eq!(stamp(700, 9_000, vec![], 2, 0), Stamp::StandsStill(700));
    }

    #[test]
    fn a_domain_of_one_refuses_a_jump_of_over_thirty_days_until_it_is_confirmed() {
        let after = 1_000 + CLOCK_JUMP_MAX_MS + 1;
        assert_eq!(stamp(1_000, after - 1, vec![], 1, 0), Stamp::Moves(after - 1));
        assert_eq!(stamp(1_000, after, vec![], 1, 0), Stamp::Jumped(CLOCK_JUMP_MAX_MS + 1));
        assert_eq!(stamp(1_000, after, vec![], 1, after), Stamp::Moves(after));
        assert_eq!(stamp(0, after, vec![], 1, 0), Stamp::Moves(after), "the first stamp has nothing to compare with");
    }
}
