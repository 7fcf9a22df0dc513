//! Compares two beliefs, and decides when a difference is drift. No clock, no network.

use super::belief::Belief;
use comity_ledger::statement::verify_pair;
use comity_proto::planted::{Plant, planted};
use std::collections::BTreeMap;

pub use comity_proto::drift::DriftPart as Component;

/// Looks in a row in which cards must be missing: each but the last begins a repair.
pub(super) const LOOKS_AT_CARDS: u32 = 5;

/// Differences, each in words.
pub type Found = BTreeMap<Component, String>;

/// Everything in which two beliefs, read at one moment, differ.
pub(super) fn differences(own: &Belief, theirs: &Belief) -> Found {
    let mut found = Found::new();
    if planted(Plant::DriftBlind) {
        return found;
    }
    let mut differ = |component, words: String| {
        found.entry(component).or_insert(words);
    };
    let is_open = own.is_owed || theirs.is_owed;
    if own.treaty != theirs.treaty && !is_open {
        let version = |belief: &Belief| belief.treaty.map_or(0, |(_, version)| version);
        differ(
            Component::Treaty,
            format!("we hold version {} of the treaty, they another version {}", version(own), version(theirs)),
        );
    }
    for (speaker, listener, who) in [(own, theirs, "we"), (theirs, own, "they")] {
        if speaker.ours != listener.theirs && !is_open {
            let said = format!("{who} say {:?}, the other side has heard {:?}", speaker.ours.1, listener.theirs.1);
            differ(Component::Standing, said.to_lowercase());
        }
        let signed = speaker.policies_signed.map(|(own, _)| own);
        if signed.is_some() && signed != speaker.policy && own.treaty == theirs.treaty {
            let whose = if who == "we" { "our" } else { "their" };
            differ(Component::Policy, format!("{whose} policy is not the one that the treaty was signed for"));
        }
    }
    if let Err(wrong) = verify_pair(&own.statement, &theirs.statement) {
        differ(Component::Supply, format!("the two statements do not fit: {wrong:?}"));
    }
    found
}

/// What one comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compared {
    /// Both were read at one moment, and differ in this; nothing: they agree.
    Judged(Found),
    /// Ours changed meanwhile: nothing follows.
    Moving,
    /// No node of the peer answered, or it does not say what it believes.
    Unknown(String),
}

/// What changed by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// As before.
    None,
    /// A first difference: to be looked at again soon.
    Again,
    /// It is drift now, or in something more.
    Drifted(Found),
    /// Both agree again.
    Ended,
}

/// The course of one peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    /// What differed at the last comparison.
    pub(super) last: Found,
    /// What has outlived a repair: drift.
    pub(super) drift: Found,
    /// Looks in a row in which cards were missing.
    cards: u32,
}

impl Course {
    pub(super) fn take(&mut self, compared: &Compared) -> Turn {
        let Compared::Judged(found) = compared else { return Turn::None };
        let before = std::mem::replace(&mut self.last, found.clone());
        self.cards = if found.contains_key(&Component::Cards) { self.cards.saturating_add(1) } else { 0 };
        let has_outlived = |part: &Component| match part {
            Component::Cards => self.cards >= LOOKS_AT_CARDS,
            _ => before.contains_key(part),
        };
        let outlived: Found =
            found.iter().filter(|(part, _)| has_outlived(part)).map(|(part, words)| (*part, words.clone())).collect();
        let is_more = outlived.keys().any(|component| !self.drift.contains_key(component));
        let had = std::mem::replace(&mut self.drift, outlived);
        match (had.is_empty(), self.drift.is_empty()) {
            (_, false) if is_more => Turn::Drifted(self.drift.clone()),
            (false, true) => Turn::Ended,
            _ if !self.last.is_empty() && self.drift.len() < self.last.len() => Turn::Again,
            _ => Turn::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(components: &[Component]) -> Compared {
        Compared::Judged(components.iter().map(|component| (*component, format!("{component:?}"))).collect())
    }

    #[test]
    fn a_difference_is_drift_when_it_outlives_a_repair_and_ends_when_both_agree() {
        let mut course = Course::default();
        assert_eq!(course.take(&of(&[])), Turn::None);
        assert_eq!(course.take(&of(&[Component::Supply])), Turn::Again);
        assert!(course.drift.is_empty());
        assert!(matches!(course.take(&of(&[Component::Supply])), Turn::Drifted(_)));
        assert_eq!(course.take(&of(&[Component::Supply])), Turn::None, "said once");
        assert_eq!(course.take(&of(&[])), Turn::Ended);
        assert!(course.drift.is_empty());
    }

    #[test]
    fn cards_are_missing_for_some_looks_before_that_is_drift() {
        let mut course = Course::default();
        for _ in 1..LOOKS_AT_CARDS {
            assert_eq!(course.take(&of(&[Component::Cards])), Turn::Again, "a repair may come too late");
        }
        assert!(matches!(course.take(&of(&[Component::Cards])), Turn::Drifted(_)));
        assert_eq!(course.take(&of(&[])), Turn::Ended);
        assert_eq!(course.take(&of(&[Component::Cards])), Turn::Again, "counted anew");
    }

    #[test]
    fn what_was_under_way_is_no_drift() {
        let mut course = Course::default();
        assert_eq!(course.take(&of(&[Component::Supply])), Turn::Again);
        assert_eq!(course.take(&of(&[])), Turn::None);
        assert_eq!(course.take(&of(&[Component::Treaty])), Turn::Again, "another difference begins anew");
        assert!(course.drift.is_empty());
    }

    #[test]
    fn what_was_not_judged_changes_nothing() {
        let mut course = Course::default();
        course.take(&of(&[Component::Policy]));
        assert_eq!(course.take(&Compared::Moving), Turn::None);
        assert_eq!(course.take(&Compared::Unknown("silent".to_owned())), Turn::None);
        assert!(matches!(course.take(&of(&[Component::Policy])), Turn::Drifted(_)));
        assert_eq!(
            course.take(&Compared::Unknown("silent".to_owned())),
            Turn::None,
            "drift stays until it is seen to end"
        );
        assert!(!course.drift.is_empty());
    }
}
