//! Whether a history of one account is linearizable: whether all its operations can be put into one order that real time
//! allows and that explains every answer.
//!
//! The search of Wing and Gong (1993) with the memory of Lowe (2017): a set of operations already placed, together with
//! the balance they lead to, is looked at once. One account at a time is enough: linearizability is local.

use std::collections::BTreeSet;

use crate::world::TimeNs;

/// What an operation did to the account, or saw of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    /// Money came.
    Credit(u64),
    /// Money went; there was enough.
    Debit(u64),
    /// Money should have gone; there was too little.
    Refused(u64),
    /// The balance was this.
    Saw(u64),
}

/// One operation on one account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation {
    /// When it was asked.
    pub(super) asked: TimeNs,
    /// When the answer came; `None`: nobody knows whether it happened, so it may happen at any later time, or never.
    pub(super) answered: Option<TimeNs>,
    /// What it did.
    pub(super) did: Did,
}

/// What the search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An order exists.
    Linearizable,
    /// None exists.
    Impossible,
    /// Too many operations were open at once to say.
    TooWide,
}

/// Sets of placed operations that are looked at before the search gives up.
const SETS_MAX: usize = 200_000;

/// The balance after an operation, if the balance before allows it.
fn after(balance: u64, did: Did) -> Option<u64> {
    match did {
        Did::Credit(amount) => balance.checked_add(amount),
        Did::Debit(amount) => balance.checked_sub(amount),
        Did::Refused(amount) => (balance < amount).then_some(balance),
        Did::Saw(amount) => (balance == amount).then_some(balance),
    }
}

/// Searches an order from a balance of zero.
pub(super) fn search(operations: &[Operation]) -> Found {
    let mut operations = operations.to_vec();
    operations.sort_by_key(|operation| (operation.asked, operation.answered));
    let mut search = Search { placed: vec![false; operations.len()], operations, seen: BTreeSet::new() };
    search.from(0, 0)
}

struct Search {
    operations: Vec<Operation>,
    placed: Vec<bool>,
    /// By the first operation that is not placed, those placed behind it, and the balance.
    seen: BTreeSet<(usize, Vec<usize>, u64)>,
}

impl Search {
    /// Goes on from a balance; `first` is the first operation that is not placed.
    fn from(&mut self, first: usize, balance: u64) -> Found {
        let first = (first..self.placed.len()).find(|at| !self.placed[*at]).unwrap_or(self.placed.len());
        let open = || (first..self.placed.len()).filter(|at| !self.placed[*at]);
        // Whoever was answered first must come before everything that was asked later.
        let Some(until) = open().filter_map(|at| self.operations[at].answered).min() else {
            return Found::Linearizable;
        };
        let next: Vec<usize> = open().take_while(|at| self.operations[*at].asked <= until).collect();
        let behind = (first..self.placed.len()).filter(|at| self.placed[*at]).collect();
        if !self.seen.insert((first, behind, balance)) {
            return Found::Impossible;
        }
        if self.seen.len() > SETS_MAX {
            return Found::TooWide;
        }
        for at in next {
            let Some(balance) = after(balance, self.operations[at].did) else { continue };
            self.placed[at] = true;
            let found = self.from(first, balance);
            self.placed[at] = false;
            if found != Found::Impossible {
                return found;
            }
        }
        Found::Impossible
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Chance;

    fn at(asked: TimeNs, answered: impl Into<Option<TimeNs>>, did: Did) -> Operation {
        Operation { asked, answered: answered.into(), did }
    }

    /// Every order of every choice of the unanswered ones.
    fn exhaustive(operations: &[Operation]) -> bool {
        fn go(left: &mut Vec<Operation>, balance: u64) -> bool {
            if left.iter().all(|operation| operation.answered.is_none()) {
                return true;
            }
            (0..left.len()).any(|at| {
                let next = left[at];
                let too_late = left.iter().any(|other| other.answered.is_some_and(|answered| answered < next.asked));
                let Some(balance) = after(balance, next.did).filter(|_| !too_late) else { return false };
                left.remove(at);
                let found = go(left, balance);
                left.insert(at, next);
                found
            })
        }
        go(&mut operations.to_vec(), 0)
    }

    #[test]
    fn a_read_that_shows_what_was_there_is_fine_and_an_old_one_is_not() {
        let fine = [at(0, 1, Did::Credit(5)), at(2, 3, Did::Saw(5))];
        assert_eq!(search(&fine), Found::Linearizable);
        let old = [at(0, 1, Did::Credit(5)), at(2, 3, Did::Saw(0))];
        assert_eq!(search(&old), Found::Impossible);
        let beside = [at(0, 5, Did::Credit(5)), at(2, 3, Did::Saw(0))];
        assert_eq!(search(&beside), Found::Linearizable, "it may have been read before the money came");
    }

    #[test]
    fn an_unknown_payment_may_have_happened_late_or_never_but_not_before_it_was_asked() {
        let late = [at(0, 1, Did::Credit(5)), at(2, None, Did::Debit(5)), at(9, 10, Did::Saw(0))];
        assert_eq!(search(&late), Found::Linearizable);
        let never = [at(0, 1, Did::Credit(5)), at(2, None, Did::Debit(5)), at(9, 10, Did::Saw(5))];
        assert_eq!(search(&never), Found::Linearizable);
        let before = [at(0, 1, Did::Credit(5)), at(2, 3, Did::Saw(0)), at(4, None, Did::Debit(5))];
        assert_eq!(search(&before), Found::Impossible);
        let back = [at(0, 1, Did::Credit(5)), at(2, None, Did::Debit(5)), at(4, 5, Did::Saw(0)), at(6, 7, Did::Saw(5))];
        assert_eq!(search(&back), Found::Impossible, "what was seen to have happened stays so");
    }

    #[test]
    fn the_search_agrees_with_trying_every_order() {
        let mut chance = Chance::stream(11, "histories");
        let mut counts = [0, 0];
        for _ in 0..20_000 {
            let count = chance.between(1, 6);
            let operations: Vec<Operation> = (0..count)
                .map(|_| {
                    let asked = chance.below(12);
                    let answered = (!chance.ratio(0.2)).then(|| asked + chance.below(6));
                    let amount = chance.below(4);
                    let did = match chance.below(4) {
                        0 => Did::Credit(amount),
                        1 => Did::Debit(amount),
                        2 => Did::Refused(amount),
                        _ => Did::Saw(amount),
                    };
                    at(asked, answered, did)
                })
                .collect();
            let exists = exhaustive(&operations);
            counts[usize::from(exists)] += 1;
            let expected = if exists { Found::Linearizable } else { Found::Impossible };
            assert_eq!(search(&operations), expected, "{operations:?}");
        }
        assert!(counts.iter().all(|count| *count > 2_000), "both kinds of histories were tried: {counts:?}");
    }
}
