//! What a partner may waste: words that change nothing cost their speaker its place, not the domain its time.
//!
//! Every word of a partner becomes an entry of our log. Honest partners repeat little; a broken or hostile one can say the
//! same, or nonsense, ten thousand times a second. So what changed nothing fills a bucket that leaks; when it is full the
//! partner is not heard for a while, then on trial: if the trial is wasted too, for twice as long. What changes something
//! costs nothing here: the ledger's own limits (open transfers, exposure) bound it.
//!
//! Nothing is lost by a refusal: whoever owes a word says it again. Words that a gateway brings have a bucket of their own
//! for each gateway: one that repeats what a partner signed long ago closes its own way, not the partner's.

use comity_proto::ids::DomainId;
use comity_runtime::Instant;
use parking_lot::Mutex;
use std::{collections::BTreeMap, time::Duration};

/// Words without effect that a partner may say at once.
const WASTED_MAX: u64 = 10_000;
/// So many of them are forgiven in a second.
const FORGIVEN_PER_SECOND: u64 = 1_000;
/// On trial: after so many it is over.
const TRIAL: u64 = 1_000;
/// First silence; doubles with each trial that is wasted.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// Longest silence: a partner that mended itself is heard again soon.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A partner, and the domain of the gateway that brings its words; `None` over a connection of its own.
pub(crate) type Speaker = (DomainId, Option<DomainId>);

/// One bucket per partner and way.
#[derive(Default)]
pub(crate) struct Budgets(Mutex<BTreeMap<Speaker, Budget>>);

#[derive(Clone, Copy)]
struct Budget {
    /// Words without effect that are not forgiven yet.
    wasted: u64,
    /// Up to when they are counted.
    at: Instant,
    /// Not heard before that.
    closed_until: Option<Instant>,
    pause: Duration,
}

impl Budget {
    const fn fresh(now: Instant) -> Budget {
        Budget { wasted: 0, at: now, closed_until: None, pause: PAUSE_FIRST }
    }

    fn forgive(&mut self, now: Instant) {
        let forgiven = now.since(self.at).as_millis() as u64 * FORGIVEN_PER_SECOND / 1_000;
        if forgiven > 0 {
            self.wasted = self.wasted.saturating_sub(forgiven);
            self.at = now;
        }
        if self.wasted == 0 {
            self.pause = PAUSE_FIRST;
        }
    }

    fn closed_for(&self, now: Instant) -> Option<Duration> {
        self.closed_until.map(|until| until.since(now)).filter(|left| !left.is_zero())
    }
}

impl Budgets {
    /// Whether a speaker is heard now; else for how long it is not.
    pub(crate) fn hears(&self, speaker: Speaker, now: Instant) -> Result<(), Duration> {
        let mut budgets = self.0.lock();
        let Some(budget) = budgets.get_mut(&speaker) else { return Ok(()) };
        if let Some(left) = budget.closed_for(now) {
            return Err(left);
        }
        if budget.closed_until.take().is_some() {
            // Silence forgives nothing: one trial, and the next silence is longer.
            budget.wasted = WASTED_MAX.saturating_sub(TRIAL);
            budget.at = now;
        }
        Ok(())
    }

    /// So many words of a speaker changed nothing. `true` when it is not heard from now on.
    pub(crate) fn wasted(&self, speaker: Speaker, words: u64, now: Instant) -> bool {
        if words == 0 {
            return false;
        }
        let mut budgets = self.0.lock();
        let budget = budgets.entry(speaker).or_insert(Budget::fresh(now));
        budget.forgive(now);
        budget.wasted = budget.wasted.saturating_add(words);
        if budget.wasted < WASTED_MAX || budget.closed_until.is_some() {
            return false;
        }
        budget.closed_until = Some(now + budget.pause);
        budget.pause = (budget.pause * 2).min(PAUSE_MAX);
        true
    }

    /// Partners that are not heard over a connection of their own, and for how long.
    pub(crate) fn not_heard(&self, now: Instant) -> Vec<(DomainId, Duration)> {
        let budgets = self.0.lock();
        let direct = budgets.iter().filter(|((_, through), _)| through.is_none());
        direct.filter_map(|((partner, _), budget)| Some((*partner, budget.closed_for(now)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTNER: Speaker = (DomainId([1; 32]), None);

    fn at(ms: u64) -> Instant {
        Instant::from_ns(ms * 1_000_000)
    }

    #[test]
    fn who_repeats_little_is_always_heard() {
        let budgets = Budgets::default();
        for second in 0..600 {
            assert!(!budgets.wasted(PARTNER, 900, at(second * 1_000)), "second {second}");
            assert_eq!(budgets.hears(PARTNER, at(second * 1_000)), Ok(()));
        }
    }

    #[test]
    fn a_flood_is_silenced_for_longer_and_longer_and_others_are_heard() {
        let budgets = Budgets::default();
        let other = (DomainId([2; 32]), None);
        let (mut now_ms, mut silences, mut heard) = (0, Vec::new(), 0_u64);
        while now_ms < 120_000 {
            match budgets.hears(PARTNER, at(now_ms)) {
                Ok(()) => {
                    heard += 10;
                    budgets.wasted(PARTNER, 10, at(now_ms));
                    now_ms += 1;
                }
                Err(left) => {
                    assert_eq!(budgets.hears(other, at(now_ms)), Ok(()));
                    silences.push(left.as_millis().div_ceil(1_000));
                    now_ms += left.as_millis() as u64;
                }
            }
        }
        assert_eq!(silences[..6], [1, 2, 4, 8, 16, 30]);
        assert!(heard < 22_000, "{heard} of 1 200 000 words were heard");
    }

    #[test]
    fn what_a_gateway_repeats_closes_its_own_way_and_no_other() {
        let budgets = Budgets::default();
        let through = |gateway: u8| (PARTNER.0, Some(DomainId([gateway; 32])));
        assert!(budgets.wasted(through(8), WASTED_MAX, at(0)));
        assert_eq!(budgets.hears(through(8), at(1)), Err(Duration::from_millis(999)));
        assert_eq!((budgets.hears(through(9), at(1)), budgets.hears(PARTNER, at(1))), (Ok(()), Ok(())));
        assert!(budgets.not_heard(at(1)).is_empty(), "the partner itself is heard");
    }

    #[test]
    fn a_partner_that_mends_itself_is_heard_and_begins_anew() {
        let budgets = Budgets::default();
        assert!(budgets.wasted(PARTNER, WASTED_MAX, at(0)));
        assert_eq!(budgets.hears(PARTNER, at(400)), Err(Duration::from_millis(600)));
        assert_eq!(budgets.hears(PARTNER, at(1_000)), Ok(()));
        assert!(budgets.wasted(PARTNER, TRIAL, at(1_000)), "the trial is wasted");
        assert_eq!(budgets.hears(PARTNER, at(1_500)), Err(Duration::from_millis(1_500)), "twice as long");
        assert_eq!(budgets.not_heard(at(2_000)), [(PARTNER.0, Duration::from_secs(1))]);
        assert_eq!(budgets.hears(PARTNER, at(3_000)), Ok(()));
        assert!(budgets.not_heard(at(20_000)).is_empty());
        assert!(!budgets.wasted(PARTNER, WASTED_MAX - 1, at(20_000)), "all is forgiven");
        assert!(budgets.wasted(PARTNER, 1, at(20_000)));
        assert_eq!(budgets.hears(PARTNER, at(20_000)), Err(PAUSE_FIRST));
    }
}
