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

impl Begun {
    /// The domains that vote: the recipient's, and the issuer when it is a third one.
    pub fn participants(&self, origin: DomainId) -> impl Iterator<Item = DomainId> {
        let (payee, issuer) = (self.recipient.domain, self.asset.issuer);
        [payee, issuer].into_iter().take(if issuer == payee { 1 } else { 2 }).filter(move |domain| *domain != origin)
    }
}

/// One step with its time.
#[derive(Clone, Debug)]
pub struct Step<T> {
    /// Whose log has it.
    pub by: DomainId,
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
    /// At each participant: yes with the fee, or no with an outcome code.
    pub voted: Vec<Step<Result<u64, u16>>>,
    /// At the origin.
    pub decided: Vec<Step<Decision>>,
    /// At each participant: commit or abort, and the fee.
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
            // Who said no holds nothing; a second participant may, and is told.
            (true, Some(step), _) if step.what.reason.is_some() && !self.is_across() => "closed",
            (true, Some(_), _) => "aborted",
            (true, None, false) => "voted",
            (true, None, true) => "begun",
        }
    }

    /// Whether it has two participants.
    pub fn is_across(&self) -> bool {
        self.begun.first().is_some_and(|begun| begun.what.participants(begun.by).count() > 1)
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

    /// Whether it is committed at its origin and the recipient's domain has not posted it: in doubt there.
    pub fn is_one_sided(&self) -> bool {
        let Some(begun) = self.begun.first() else { return false };
        let payee = begun.what.recipient.domain;
        self.decided.iter().any(|step| step.what.commit) && self.finished.iter().all(|step| step.by != payee)
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
        let by = home;
        fn of<T>(by: DomainId, event: &Event, at: TimeNs, what: T) -> Step<T> {
            Step { by, at, stamp_ms: event.stamp_ms, what, legs: event.legs.clone() }
        }
        match event.kind.clone() {
            EventKind::TransferBegun { transfer, source, recipient, asset, amount, decide_by_ms } => {
                let begun = Begun { source, recipient, asset, amount, decide_by_ms };
                self.of((home, transfer)).begun.push(of(by, event, at, begun));
            }
            EventKind::TransferVoted { origin, transfer, verdict, .. } => {
                self.of((origin, transfer)).voted.push(of(by, event, at, verdict));
            }
            EventKind::TransferDecided { transfer, commit, reason, .. } => {
                self.of((home, transfer)).decided.push(of(by, event, at, Decision { commit, reason }));
            }
            EventKind::TransferFinished { origin, transfer, commit, fee, .. } => {
                self.of((origin, transfer)).finished.push(of(by, event, at, (commit, fee)));
            }
            EventKind::TransferClosed { transfer, commit } => {
                self.of((home, transfer)).closed.push(of(by, event, at, commit));
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

    /// One of them.
    pub fn get(&self, key: &DealKey) -> Option<&Deal> {
        self.all.get(key)
    }

    /// Those that moved since the last look.
    pub fn touched(&self) -> impl Iterator<Item = (&DealKey, &Deal)> {
        self.touched.iter().filter_map(|key| self.all.get_key_value(key))
    }
}
