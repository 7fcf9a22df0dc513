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

impl Did {
    /// Whether the balance differs afterwards.
    fn moves(self) -> bool {
        matches!(self, Did::Credit(_) | Did::Debit(_))
    }
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
    /// Its place in the order that is tried first. A guess decides nothing but how soon an order is found.
    pub(super) guess: Option<u64>,
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
    // Whether an unanswered refusal or read happened shows nowhere.
    let counts = |operation: &&Operation| operation.answered.is_some() || operation.did.moves();
    let mut operations: Vec<Operation> = operations.iter().filter(counts).copied().collect();
    operations.sort_by_key(|operation| (operation.answered.is_none(), operation.asked, operation.answered));
    let answered = operations.iter().filter(|operation| operation.answered.is_some()).count();
    Search { placed: vec![false; operations.len()], operations, answered, seen: BTreeSet::new() }.from(0, 0)
}

struct Search {
    /// Those that were answered and then the unknown ones, each by when they were asked.
    operations: Vec<Operation>,
    /// How many were answered.
    answered: usize,
    placed: Vec<bool>,
    seen: BTreeSet<Stand>,
}

/// What was placed: all answered ones before the first, some behind it, some unknown ones. The balance follows from it.
type Stand = (usize, Vec<usize>);

impl Search {
    /// Goes on from a balance; all answered operations before `first` are placed.
    fn from(&mut self, first: usize, balance: u64) -> Found {
        let Some(first) = (first..self.answered).find(|at| !self.placed[*at]) else { return Found::Linearizable };
        let (open, until) = self.open(first);
        let fits = |at: &usize| after(balance, self.operations[*at].did);
        // What fits and moves nothing is in nobody's way: nothing is lost by placing it at once.
        if let Some(at) = open.iter().find(|at| !self.operations[**at].did.moves() && fits(at).is_some()) {
            return self.place(*at, first, balance);
        }
        let is_wrong = open.iter().any(|at| fits(at).is_none());
        let behind = (first..self.answered).take_while(|at| self.operations[*at].asked <= until);
        let placed = behind.chain(self.answered..self.placed.len()).filter(|at| self.placed[*at]).collect();
        if !self.seen.insert((first, placed)) {
            return Found::Impossible;
        }
        if self.seen.len() > SETS_MAX {
            return Found::TooWide;
        }
        // An unknown operation may always happen later. So it is placed only where an answer is wrong without it.
        let unknown = if is_wrong { self.unknown(until) } else { Vec::new() };
        let mut next: Vec<usize> = open.into_iter().chain(unknown).collect();
        next.sort_by_key(|at| (self.operations[*at].guess.unwrap_or(u64::MAX), *at));
        for at in next {
            if let Some(balance) = after(balance, self.operations[at].did) {
                let found = self.place(at, first, balance);
                if found != Found::Impossible {
                    return found;
                }
            }
        }
        Found::Impossible
    }

    fn place(&mut self, at: usize, first: usize, balance: u64) -> Found {
        self.placed[at] = true;
        let found = self.from(first, balance);
        self.placed[at] = false;
        found
    }

    /// The answered operations that may come next, and until when one must have been asked for that: whoever was
    /// answered first must come before everything that was asked later.
    fn open(&self, first: usize) -> (Vec<usize>, TimeNs) {
        let mut open: Vec<usize> = Vec::new();
        let mut until = TimeNs::MAX;
        for (at, operation) in self.operations.iter().enumerate().take(self.answered).skip(first) {
            if operation.asked > until {
                break;
            }
            if !self.placed[at] {
                open.push(at);
                until = until.min(operation.answered.unwrap_or(until));
            }
        }
        open.retain(|at| self.operations[*at].asked <= until);
        (open, until)
    }

    /// The unknown operations that were asked by then and are not placed; of equal ones the first.
    fn unknown(&self, until: TimeNs) -> Vec<usize> {
        let mut unknown: Vec<usize> = Vec::new();
        for at in self.answered..self.operations.len() {
            let Operation { asked, did, .. } = self.operations[at];
            let is_new = || unknown.iter().all(|known| self.operations[*known].did != did);
            if asked <= until && !self.placed[at] && is_new() {
                unknown.push(at);
            }
        }
        unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Chance;

    fn at(asked: TimeNs, answered: impl Into<Option<TimeNs>>, did: Did) -> Operation {
        Operation { asked, answered: answered.into(), did, guess: None }
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
                    let guess = chance.ratio(0.5).then(|| chance.below(6));
                    let amount = chance.below(4);
                    let did = match chance.below(4) {
                        0 => Did::Credit(amount),
                        1 => Did::Debit(amount),
                        2 => Did::Refused(amount),
                        _ => Did::Saw(amount),
                    };
                    Operation { guess, ..at(asked, answered, did) }
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
