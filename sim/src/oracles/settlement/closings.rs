//! Whoever parts, parts with equal books.

use std::collections::BTreeMap;

use comity_ledger::{
    EventKind,
    statement::{AssetStatement, SupplyStatement},
};
use comity_proto::{amount::AssetId, ids::DomainId, treaty::TreatyStanding};

use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
};

/// What one log says of the end of one treaty.
#[derive(Clone, Default)]
struct End {
    is_ending: bool,
    ours: Option<SupplyStatement>,
    theirs: Option<SupplyStatement>,
    is_drained: bool,
}

/// What each log says of each treaty.
#[derive(Default)]
pub(super) struct Closings {
    ends: BTreeMap<(usize, DomainId), End>,
    judged: [(&'static str, u64); 1],
}

impl Oracle for Closings {
    fn name(&self) -> &'static str {
        "parting-is-even"
    }

    fn claim(&self) -> &'static str {
        "two domains that part state the same figures once nothing is open between them, and each keeps both statements"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for domain in 0..view.seen.stories.len() {
            let name = &view.plan.scenario.domains[domain].name;
            for event in view.seen.new_events(domain) {
                match &event.kind {
                    EventKind::TreatyAgreed { peer, .. } => drop(self.ends.remove(&(domain, *peer))),
                    EventKind::TreatyChanged { peer, standing, .. } if *standing >= TreatyStanding::Draining => {
                        self.of(domain, *peer).is_ending = true;
                    }
                    EventKind::ClosingStated { peer, by_us, statement, .. } => {
                        let end = self.of(domain, *peer);
                        let place = if *by_us { &mut end.ours } else { &mut end.theirs };
                        *place = Some((**statement).clone());
                    }
                    EventKind::ClosingDiffers { peer } => {
                        let end = self.of(domain, *peer);
                        return Err(format!(
                            "{name} parts with {peer}, and their closing statements differ: {:?} and {:?}",
                            end.ours, end.theirs
                        ));
                    }
                    EventKind::TreatyDrained { peer } => {
                        let end = self.of(domain, *peer);
                        end.is_drained = true;
                        if !end.ours.as_ref().zip(end.theirs.as_ref()).is_some_and(|(ours, theirs)| even(ours, theirs))
                        {
                            return Err(format!(
                                "{name} says that all is even with {peer}, and its statements are not"
                            ));
                        }
                        self.judged[0].0 = "closing:even";
                        self.judged[0].1 += 1;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.ends.retain(|(domain, _), _| *domain != restore.domain);
        Ok(())
    }

    fn audit(&mut self, view: &View<'_>) -> Result<(), String> {
        self.look(view)?;
        if !view.everything_is_healed() {
            return Ok(());
        }
        for ((domain, peer), end) in self.ends.iter().filter(|(_, end)| end.is_ending) {
            let name = &view.plan.scenario.domains[*domain].name;
            if !end.is_drained {
                return Err(format!("{name} and {peer} part, and in the end {name} does not know that all is even"));
            }
            let there = view.seen.ids().iter().position(|id| id == peer);
            let said = there.and_then(|there| self.ends.get(&(there, view.seen.ids()[*domain]))?.ours.as_ref());
            if said != end.theirs.as_ref() {
                return Err(format!("{name} keeps another statement of {peer} than that one made"));
            }
        }
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl Closings {
    fn of(&mut self, domain: usize, peer: DomainId) -> &mut End {
        self.ends.entry((domain, peer)).or_default()
    }
}

/// Nothing is under way, and what one of the two says is behind wrapped units is what the other says exists.
fn even(ours: &SupplyStatement, theirs: &SupplyStatement) -> bool {
    let figures = |said: &SupplyStatement, own: bool| -> BTreeMap<AssetId, u64> {
        let of = |line: &AssetStatement| if own { line.reserve } else { line.wrapped };
        let lines = said.assets.iter().filter_map(|line| Some((line.asset, of(line)?)));
        lines.filter(|(_, figure)| *figure > 0).collect()
    };
    let is_open = |line: &AssetStatement| !line.committed.is_empty() || !line.promised.is_empty();
    let is_even = |issuer, holder| figures(issuer, true) == figures(holder, false);
    is_even(ours, theirs) && is_even(theirs, ours) && !ours.assets.iter().chain(&theirs.assets).any(is_open)
}
