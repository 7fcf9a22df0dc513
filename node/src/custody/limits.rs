//! What a token may spend: minor units of the domain's own asset.

use serde::{Deserialize, Serialize};

/// A day, ms. Days begin at midnight UTC.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Bounds of one token; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// In one day of UTC.
    pub per_day: Option<u64>,
    /// For ever.
    pub total: Option<u64>,
}

/// What a token has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Days since the Unix epoch.
    pub day: u64,
    /// On that day.
    pub today: u64,
    /// Ever.
    pub total: u64,
}

/// A wish that would go over a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// The day's bound, or the one for ever.
    pub of_day: bool,
    /// The bound.
    pub limit: u64,
    /// Counted against it so far.
    pub spent: u64,
}

impl Spent {
    /// What was spent on the day of `now_ms`. A clock that went back does not begin a day again.
    fn today_at(&self, now_ms: u64) -> u64 {
        if now_ms / DAY_MS > self.day { 0 } else { self.today }
    }

    /// What is left of the day's bound and of the one for ever.
    pub fn left(&self, limits: &Limits, now_ms: u64) -> (Option<u64>, Option<u64>) {
        let today = limits.per_day.map(|limit| limit.saturating_sub(self.today_at(now_ms)));
        (today, limits.total.map(|limit| limit.saturating_sub(self.total)))
    }

    /// Counts `amount`, unless that goes over a bound.
    ///
    /// # Errors
    /// The bound; nothing was counted.
    pub fn count(&mut self, limits: &Limits, amount: u64, now_ms: u64) -> Result<(), OverLimit> {
        let spent_today = self.today_at(now_ms);
        let (today, total) = (spent_today.saturating_add(amount), self.total.saturating_add(amount));
        if let Some(limit) = limits.per_day.filter(|limit| today > *limit && amount > 0) {
            return Err(OverLimit { of_day: true, limit, spent: spent_today });
        }
        if let Some(limit) = limits.total.filter(|limit| total > *limit && amount > 0) {
            return Err(OverLimit { of_day: false, limit, spent: self.total });
        }
        *self = Spent { day: self.day.max(now_ms / DAY_MS), today, total };
        Ok(())
    }

    /// Takes back what was counted at `made_ms`, because it did not happen.
    pub fn give_back(&mut self, amount: u64, made_ms: u64) {
        if made_ms / DAY_MS >= self.day {
            self.today = self.today.saturating_sub(amount);
        }
        self.total = self.total.saturating_sub(amount);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_and_the_total_never() {
        let limits = Limits { per_day: Some(10), total: Some(15) };
        let mut spent = Spent::default();
        assert_eq!(spent.count(&limits, 10, DAY_MS), Ok(()));
        assert_eq!(spent.count(&limits, 1, DAY_MS + 1), Err(OverLimit { of_day: true, limit: 10, spent: 10 }));
        assert_eq!(spent.count(&limits, 0, DAY_MS + 1), Ok(()), "what costs nothing passes");
        assert_eq!(spent.count(&limits, 5, 2 * DAY_MS), Ok(()));
        assert_eq!(spent.count(&limits, 1, 3 * DAY_MS), Err(OverLimit { of_day: false, limit: 15, spent: 15 }));
        assert!(spent.count(&limits, u64::MAX, 3 * DAY_MS).unwrap_err().of_day);
        assert_eq!(spent.left(&limits, 3 * DAY_MS), (Some(10), Some(0)));
    }

    #[test]
    fn a_clock_that_goes_back_begins_no_day_again() {
        let limits = Limits { per_day: Some(10), total: None };
        let mut spent = Spent::default();
        assert_eq!(spent.count(&limits, 10, 5 * DAY_MS), Ok(()));
        assert!(spent.count(&limits, 1, 4 * DAY_MS).is_err());
        assert_eq!(spent.day, 5);
    }

    #[test]
    fn what_did_not_happen_is_given_back_to_its_own_day_only() {
        let limits = Limits { per_day: Some(10), total: Some(20) };
        let mut spent = Spent::default();
        spent.count(&limits, 10, DAY_MS).unwrap();
        spent.count(&limits, 4, 2 * DAY_MS).unwrap();
        spent.give_back(10, DAY_MS);
        assert_eq!(spent, Spent { day: 2, today: 4, total: 4 });
        spent.give_back(4, 2 * DAY_MS);
        assert_eq!(spent, Spent { day: 2, today: 0, total: 0 });
    }
}
