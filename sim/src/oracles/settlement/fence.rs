//! A domain that came back from a snapshot: fenced until its peers have told it what it lost, and not longer.

use std::collections::{BTreeMap, BTreeSet};

use comity_ledger::{AccountKind, Event, EventKind, Outcome};
use comity_proto::{
    envelope::Signed as _,
    ids::DomainId,
    settlement::{SettlementBatch, SettlementMessage},
};

use super::named;
use crate::{
    hosts::Restore,
    observe::{Asked, Deal, DealKey},
    oracles::{Looks, Oracle, Phase, View},
    world::TimeNs,
};

/// From the end of all faults until a restored domain trades again.
const WITHIN: TimeNs = 15_000_000_000;

/// A fence that stands.
struct Fence {
    /// What the snapshot had: everything behind it happened behind the fence.
    snapshot: Restore,
    /// Peers that have told everything, with the entry that says so.
    told: BTreeMap<DomainId, u64>,
    /// An entry could not be read any more: who told is not known.
    is_blind: bool,
}

/// Nothing new happens behind a fence.
#[derive(Default)]
pub(super) struct Held {
    fences: BTreeMap<usize, Fence>,
    judged: Vec<(&'static str, u64)>,
}

impl Oracle for Held {
    fn name(&self) -> &'static str {
        "fence-holds"
    }

    fn claim(&self) -> &'static str {
        "until every peer has told a restored domain what it knows, that domain takes over what its lost log or a peer's log \
         did, and begins, promises, decides and lets agents pay nothing else"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (domain, mut fence) in std::mem::take(&mut self.fences) {
            fence.hear(view, domain);
            if !self.judge(view, domain, &fence)? {
                self.fences.insert(domain, fence);
            }
        }
        Ok(())
    }

    fn restored(&mut self, view: &View<'_>, restore: &Restore) -> Result<(), String> {
        let lost = view.seen.stories[restore.domain].events().iter().skip(restore.events as usize);
        lost.filter_map(|event| step(&event.kind)).for_each(|lost| self.count(lost));
        self.fences.insert(restore.domain, Fence { snapshot: *restore, told: BTreeMap::new(), is_blind: false });
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl Fence {
    fn hear(&mut self, view: &View<'_>, domain: usize) {
        let story = &view.seen.stories[domain];
        for (index, _) in view.seen.new_entries(domain).filter(|(index, _)| *index > self.snapshot.index) {
            let Some(items) = story.items(index) else {
                self.is_blind = true;
                continue;
            };
            for item in items {
                let Asked::Settlement { envelope } = &item.asked else { continue };
                let Ok(batch) = SettlementBatch::open(envelope) else { continue };
                let ends = |(message, outcome): (&SettlementMessage, &Outcome)| {
                    matches!(message, SettlementMessage::Books(books) if books.end.is_some())
                        && *outcome == Outcome::Applied
                };
                if batch.get().messages.iter().zip(&item.outcomes).any(ends) {
                    self.told.entry(batch.get().from).or_insert(index);
                }
            }
        }
    }
}

impl Held {
    /// Whether the fence was lifted.
    fn judge(&mut self, view: &View<'_>, domain: usize, fence: &Fence) -> Result<bool, String> {
        let name = &view.plan.scenario.domains[domain].name;
        let story = &view.seen.stories[domain];
        let new = story.events().len() - view.seen.new_events(domain).len();
        for event in story.events().iter().skip(new.max(fence.snapshot.events as usize)) {
            if matches!(event.kind, EventKind::FenceLifted { .. }) {
                let is_told = |peer: &&DomainId| fence.told.get(peer).is_some_and(|at| *at <= event.log_index);
                let own = view.seen.ids()[domain];
                let silent = view.seen.ids().iter().find(|id| **id != own && !is_told(id));
                if let Some(peer) = silent.filter(|_| !fence.is_blind && !story.has_holes()) {
                    return Err(format!("the fence of {name} fell before {peer} had told everything"));
                }
                self.count("fence:lifted");
                return Ok(true);
            }
            match is_repeated(view, domain, event) {
                Some(true) => self.count("fence:taken-over"),
                Some(false) => return Err(format!("{name} did behind its fence what nobody had: {:?}", event.kind)),
                None => {}
            }
            self.count("fence:events-judged");
        }
        Ok(false)
    }

    fn count(&mut self, name: &'static str) {
        match self.judged.iter_mut().find(|(known, _)| *known == name) {
            Some((_, times)) => *times += 1,
            None => self.judged.push((name, 1)),
        }
    }
}

/// Which step of a transfer is lost with this event.
fn step(kind: &EventKind) -> Option<&'static str> {
    Some(match kind {
        EventKind::TransferBegun { .. } => "lost:begun",
        EventKind::TransferVoted { .. } => "lost:voted",
        EventKind::TransferDecided { .. } => "lost:decided",
        EventKind::TransferFinished { .. } => "lost:finished",
        EventKind::TransferClosed { .. } => "lost:closed",
        _ => return None,
    })
}

/// Whether the lost log had done this already, or a peer's log says that it must be done; `None` for what a fence lets
/// through.
fn is_repeated(view: &View<'_>, domain: usize, event: &Event) -> Option<bool> {
    let own = view.seen.ids()[domain];
    let none = Deal::default();
    let of = |key| (view.seen.lost.get(key).unwrap_or(&none), view.seen.deals.get(key).unwrap_or(&none));
    match &event.kind {
        EventKind::TransferBegun { transfer, recipient, asset, amount, .. } => {
            let (lost, _) = of(&(own, *transfer));
            Some(lost.begun.iter().any(|step| {
                step.what.recipient == *recipient && step.what.asset == *asset && step.what.amount == *amount
            }))
        }
        EventKind::TransferVoted { origin, transfer, verdict, .. } => {
            let (lost, _) = of(&(*origin, *transfer));
            Some(lost.voted.iter().any(|step| step.by == own && step.what == *verdict))
        }
        EventKind::TransferDecided { transfer, commit, .. } => {
            let (lost, known) = of(&(own, *transfer));
            // A no of a peer was perhaps not heard before.
            let refused = !commit && known.voted.iter().any(|step| step.by != own && step.what.is_err());
            Some(refused || lost.decided.iter().any(|step| step.what.commit == *commit))
        }
        EventKind::TransferFinished { origin, transfer, commit, .. } => {
            let (_, known) = of(&(*origin, *transfer));
            Some(known.decided.iter().any(|step| step.what.commit == *commit))
        }
        EventKind::TransferClosed { .. } => None,
        _ => {
            let pays = event.legs.iter().any(|leg| matches!(leg.account.kind, AccountKind::Agent(_)) && leg.delta < 0);
            pays.then_some(false)
        }
    }
}

/// A fence has an end.
#[derive(Default)]
pub(super) struct Ends {
    healed: Option<TimeNs>,
}

impl Oracle for Ends {
    fn name(&self) -> &'static str {
        "fence-ends"
    }

    fn claim(&self) -> &'static str {
        "fifteen seconds after the end of all faults no restored domain is fenced any more"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.phase < Phase::Heal {
            return Ok(());
        }
        // Those who join the restored node again may take longer: a fence does not need them.
        let healed = *self.healed.get_or_insert(view.now);
        let Some(domain) = view.seen.fenced().next().filter(|_| view.now > healed + WITHIN) else { return Ok(()) };
        let differs = view.hosts.nodes().into_iter().filter_map(|(host, node)| {
            let is_own = view.hosts.with(host, |machine| machine.domain == domain);
            is_own.then(|| (host, node.replica().read_stale(|ledger, _| ledger.reconciliation())))
        });
        let differs: Vec<_> = differs.collect();
        Err(format!("{} is still fenced: {differs:?}", view.plan.scenario.domains[domain].name))
    }
}

pub(super) fn remembered() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "peers-remember",
        claim: "what one domain has committed is committed in the other one at the end, or upon its treasury by its operator's \
                word, also where a log was lost",
        look: remember,
    })
}

fn remember(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() || view.seen.fenced().next().is_some() {
        return Ok(());
    }
    for (key, deal) in view.seen.deals.all() {
        let begun = deal.begun.first();
        let decided = deal.decided.iter().any(|step| step.what.commit);
        let posted: BTreeSet<DomainId> = deal.finished.iter().filter(|step| step.what.0).map(|step| step.by).collect();
        let lacks = begun.and_then(|begun| begun.what.participants(key.0).find(|by| !posted.contains(by)));
        if decided && lacks.is_some() {
            return Err(format!("{} is committed, and a participant has not posted it", named(view, key)));
        }
        if !decided && !posted.is_empty() && !is_settled(view, key, deal) {
            return Err(format!("{} is posted, and its origin knows nothing of a commit", named(view, key)));
        }
    }
    Ok(())
}

/// Whether an operator has taken upon the treasury what nobody here knows any more, with everybody who has posted it.
fn is_settled(view: &View<'_>, key: &DealKey, deal: &Deal) -> bool {
    let Some(origin) = view.seen.ids().iter().position(|id| *id == key.0) else { return false };
    let settled = view.seen.stories[origin].events().iter().filter_map(|event| match event.kind {
        EventKind::BooksSettled { peer, .. } => Some(peer),
        _ => None,
    });
    let settled: BTreeSet<DomainId> = settled.collect();
    deal.begun.is_empty() && deal.finished.iter().all(|step| settled.contains(&step.by))
}
