//! Transfers between domains, as the events of both sides tell them.

use std::collections::{BTreeMap, BTreeSet};

use comity_ledger::{Event, EventKind, Leg};
use comity_proto::{
    amount::AssetId,
    command::Party,
    ids::{DomainId, TransferId},
    settlement::Source,
};

use crate::world::TimeNs;

/// A transfer is known by its origin and its id there.
pub type DealKey = (DomainId, TransferId);

/// What its origin asked for.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Who pays.
    pub source: Source,
    /// Who receives.
    pub recipient: Party,
    /// What.
    pub asset: AssetId,
    /// Minor units.
    pub amount: u64,
    /// Origin's ledger time, ms.
    pub decide_by_ms: u64,
}

/// One step with its time.
#[derive(Clone, Debug)]
pub struct Step<T> {
    /// When it was seen, universe time.
    pub at: TimeNs,
    /// Ledger time of whoever made it, ms.
    pub stamp_ms: u64,
    /// What it says.
    pub what: T,
    /// What it moved.
    pub legs: Vec<Leg>,
}

/// A decision of an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Commit or abort.
    pub commit: bool,
    /// Why it was aborted: an outcome code, `None` at the deadline.
    pub reason: Option<u16>,
}

/// The steps of one transfer; each list should have at most one.
#[derive(Clone, Debug, Default)]
pub struct Deal {
    /// At the origin.
    pub begun: Vec<Step<Begun>>,
    /// At the participant: yes with the fee, or no with an outcome code.
    pub voted: Vec<Step<Result<u64, u16>>>,
    /// At the origin.
    pub decided: Vec<Step<Decision>>,
    /// At the participant: commit or abort, and the fee.
    pub finished: Vec<Step<(bool, u64)>>,
    /// At the origin: commit or abort.
    pub closed: Vec<Step<bool>>,
}

impl Deal {
    /// Its state at its origin.
    pub fn state(&self) -> &'static str {
        match (self.closed.is_empty(), self.decided.first(), self.voted.is_empty()) {
            (false, ..) => "closed",
            (true, Some(step), _) if step.what.commit => "committed",
            (true, Some(step), _) if step.what.reason.is_some() => "closed",
            (true, Some(_), _) => "aborted",
            (true, None, false) => "voted",
            (true, None, true) => "begun",
        }
    }

    /// Its steps with their times, for people.
    pub fn steps(&self) -> String {
        let at = |times: Vec<TimeNs>| times.iter().map(|at| format!("{} ms", at / 1_000_000)).collect::<Vec<_>>();
        format!(
            "begun {:?}, voted {:?} {:?}, decided {:?} {:?}, finished {:?}, closed {:?}",
            at(self.begun.iter().map(|step| step.at).collect()),
            at(self.voted.iter().map(|step| step.at).collect()),
            self.voted.iter().map(|step| step.what).collect::<Vec<_>>(),
            at(self.decided.iter().map(|step| step.at).collect()),
            self.decided.iter().map(|step| step.what).collect::<Vec<_>>(),
            at(self.finished.iter().map(|step| step.at).collect()),
            at(self.closed.iter().map(|step| step.at).collect()),
        )
    }

    /// Whether it is committed at its origin and not posted at its participant: in doubt there.
    pub fn is_one_sided(&self) -> bool {
        self.decided.iter().any(|step| step.what.commit) && self.finished.is_empty()
    }

    /// Whether nothing is owed any more. An abort that answers a no is final without an acknowledgement.
    pub fn is_closed(&self) -> bool {
        self.state() == "closed"
    }
}

/// All transfers between domains.
#[derive(Default)]
pub struct Deals {
    all: BTreeMap<DealKey, Deal>,
    touched: BTreeSet<DealKey>,
}

impl Deals {
    pub(super) fn forget_touched(&mut self) {
        self.touched.clear();
    }

    /// Takes in an event of the log of `home`.
    pub(super) fn take_in(&mut self, home: DomainId, event: &Event, at: TimeNs) {
        fn step<T>(event: &Event, at: TimeNs, what: T) -> Step<T> {
            Step { at, stamp_ms: event.stamp_ms, what, legs: event.legs.clone() }
        }
        match event.kind.clone() {
            EventKind::TransferBegun { transfer, source, recipient, asset, amount, decide_by_ms } => {
                let begun = Begun { source, recipient, asset, amount, decide_by_ms };
                self.of((home, transfer)).begun.push(step(event, at, begun));
            }
            EventKind::TransferVoted { origin, transfer, verdict, .. } => {
                self.of((origin, transfer)).voted.push(step(event, at, verdict));
            }
            EventKind::TransferDecided { transfer, commit, reason, .. } => {
                self.of((home, transfer)).decided.push(step(event, at, Decision { commit, reason }));
            }
            EventKind::TransferFinished { origin, transfer, commit, fee, .. } => {
                self.of((origin, transfer)).finished.push(step(event, at, (commit, fee)));
            }
            EventKind::TransferClosed { transfer, commit } => {
                self.of((home, transfer)).closed.push(step(event, at, commit));
            }
            _ => {}
        }
    }

    fn of(&mut self, key: DealKey) -> &mut Deal {
        self.touched.insert(key);
        self.all.entry(key).or_default()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (&DealKey, &Deal)> {
        self.all.iter()
    }

    /// Those that moved since the last look.
    pub fn touched(&self) -> impl Iterator<Item = (&DealKey, &Deal)> {
        self.touched.iter().filter_map(|key| self.all.get_key_value(key))
    }
}
