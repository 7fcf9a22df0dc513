//! Nothing new with whom a treaty is not in force.

use std::collections::{BTreeMap, BTreeSet};

use comity_ledger::EventKind;
use comity_proto::{
    ids::{DomainId, TransferId},
    treaty::TreatyStanding,
};

use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
};

/// What each log says of each treaty, ours and theirs.
#[derive(Default)]
pub(super) struct Treaties {
    said: BTreeMap<(usize, DomainId), [TreatyStanding; 2]>,
    /// Who issues what a transfer moves, and whether it pays what was promised before; by its origin and id.
    known: BTreeMap<(DomainId, TransferId), (DomainId, bool)>,
    /// Peers that are suspended by their own contradiction.
    contradicted: BTreeSet<(usize, DomainId)>,
}

impl Oracle for Treaties {
    fn name(&self) -> &'static str {
        "treaty-kept"
    }

    fn claim(&self) -> &'static str {
        "a log that says a treaty is suspended or left begins and promises nothing new with that peer after it"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (key, deal) in view.seen.deals.touched() {
            if let Some(begun) = deal.begun.first() {
                self.known.insert(*key, (begun.what.asset.issuer, begun.what.source.is_owed()));
            }
        }
        for domain in 0..view.seen.stories.len() {
            let own = view.seen.ids()[domain];
            for event in view.seen.new_events(domain) {
                match &event.kind {
                    EventKind::TreatyAgreed { peer, .. } => {
                        self.said.remove(&(domain, *peer));
                        self.contradicted.remove(&(domain, *peer));
                    }
                    EventKind::TreatyChanged { peer, by_us, standing, .. } => {
                        if *by_us && *standing == TreatyStanding::Active {
                            self.contradicted.remove(&(domain, *peer));
                        }
                        let said = self.said.entry((domain, *peer)).or_insert([TreatyStanding::Active; 2]);
                        said[usize::from(!by_us)] = *standing;
                    }
                    EventKind::PeerEquivocated { peer, .. } => {
                        self.contradicted.insert((domain, *peer));
                    }
                    EventKind::TransferBegun { transfer, source, recipient, asset, .. } => {
                        let ends = source.is_owed() || asset.issuer == recipient.domain;
                        self.allowed(view, domain, recipient.domain, ends, *transfer)?;
                    }
                    EventKind::TransferVoted { origin, transfer, verdict: Ok(_), .. } => {
                        let known = self.known.get(&(*origin, *transfer));
                        let ends = known.is_some_and(|(issuer, owed)| *issuer == own || *owed);
                        self.allowed(view, domain, *origin, ends, *transfer)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.said.retain(|(domain, _), _| *domain != restore.domain);
        self.contradicted.retain(|(domain, _)| *domain != restore.domain);
        Ok(())
    }
}

impl Treaties {
    /// Paper may go back to its issuer while a treaty drains, and what was promised before is paid.
    fn allowed(
        &self,
        view: &View<'_>,
        domain: usize,
        peer: DomainId,
        ends: bool,
        id: TransferId,
    ) -> Result<(), String> {
        let said = self.said.get(&(domain, peer)).copied().unwrap_or([TreatyStanding::Active; 2]);
        let worst = said[0].max(said[1]);
        if self.contradicted.contains(&(domain, peer)) {
            let name = &view.plan.scenario.domains[domain].name;
            return Err(format!("{name} let transfer {id} begin, or promised to take it, with a proven liar: {peer}"));
        }
        if worst == TreatyStanding::Active || (worst == TreatyStanding::Draining && ends) {
            return Ok(());
        }
        let name = &view.plan.scenario.domains[domain].name;
        Err(format!("{name} let transfer {id} begin, or promised to take it, and its treaty with {peer} is {worst:?}"))
    }
}
