//! What a domain holds of another one's log is what that log says.

use std::collections::BTreeSet;

use comity_ledger::{EventKind, projection::ProjectedEvent, treaty::TreatyState};

use crate::{
    hosts::Restore,
    oracles::{Oracle, Phase, View},
    world::TimeNs,
};

/// From an event, or from the end of all faults, until each domain that it concerns holds it: some looks of a witness, and
/// an entry.
const HELD_WITHIN: TimeNs = 12_000_000_000;

/// Judged as soon as the other log is known that far.
#[derive(Default)]
pub(super) struct Projected {
    /// By domain: what its log says that is not judged yet.
    waits: Vec<(usize, ProjectedEvent)>,
    /// Domain, peer, number in the peer's log.
    held: BTreeSet<(usize, usize, u64)>,
    judged: [(&'static str, u64); 2],
}

impl Oracle for Projected {
    fn name(&self) -> &'static str {
        "projected-as-it-stands"
    }

    fn claim(&self) -> &'static str {
        "every event that a domain holds of another one's log stands there byte for byte and concerns it, is held once, and \
         in the end none is missing where nodes are witnesses"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for domain in 0..view.seen.stories.len() {
            let told = view.seen.new_events(domain).iter().filter_map(|event| match &event.kind {
                EventKind::EventProjected(told) => Some((domain, (**told).clone())),
                _ => None,
            });
            self.waits.extend(told);
        }
        for (domain, told) in std::mem::take(&mut self.waits) {
            if !self.judge(view, domain, &told)? {
                self.waits.push((domain, told));
            }
        }
        if view.phase == Phase::Audit && view.plan.scenario.witnesses && view.everything_is_healed() {
            self.none_is_missing(view)?;
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.waits.retain(|(domain, _)| *domain != restore.domain);
        self.held.retain(|(domain, ..)| *domain != restore.domain);
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl Projected {
    /// False while the other log is not known that far.
    fn judge(&mut self, view: &View<'_>, domain: usize, told: &ProjectedEvent) -> Result<bool, String> {
        let ids = view.seen.ids();
        let own = ids[domain];
        let peer = ids.iter().position(|id| *id == told.peer);
        let peer = peer.ok_or_else(|| format!("domain {domain} holds an event of {}, which is nobody", told.peer))?;
        let Some(event) = view.seen.stories[peer].events().get(told.index as usize) else { return Ok(false) };
        if event.to_bytes() != *told.event.0 {
            return Err(format!(
                "domain {domain} holds another event {} of domain {peer} than stands there",
                told.index
            ));
        }
        if !event.concerned().contains(&own) {
            return Err(format!(
                "domain {domain} holds event {} of domain {peer}, which is none of its business",
                told.index
            ));
        }
        if !self.held.insert((domain, peer, told.index)) {
            return Err(format!("domain {domain} holds event {} of domain {peer} twice", told.index));
        }
        self.judged[0].0 = "projected:events";
        self.judged[0].1 += 1;
        Ok(true)
    }

    fn none_is_missing(&mut self, view: &View<'_>) -> Result<(), String> {
        let healed_at = view.plan.scenario.phases.heal_at_ms().saturating_mul(1_000_000);
        if view.now < healed_at + HELD_WITHIN {
            return Ok(());
        }
        let ids = view.seen.ids();
        for (domain, own) in ids.iter().enumerate() {
            let hosts = &view.hosts.domains()[domain].hosts;
            let Some(node) = hosts.iter().find_map(|host| view.hosts.node(*host)) else { continue };
            // A restored log extends no earlier one, so nobody follows it any more.
            let followed = |peer: &usize| view.seen.restores.iter().all(|restore| restore.domain != *peer);
            for (peer, id) in ids.iter().enumerate().filter(|(peer, _)| followed(peer)) {
                let state = node.replica().read_stale(|ledger, _| ledger.treaty_state(id));
                if !matches!(state, Some(TreatyState::Mutual | TreatyState::Suspended)) {
                    continue;
                }
                let story = &view.seen.stories[peer];
                for (index, event) in (0..).zip(story.events()).filter(|(_, event)| event.concerned().contains(own)) {
                    let at = story.entry(event.log_index).map_or(view.now, |told| told.at);
                    if at + HELD_WITHIN <= view.now && !self.held.contains(&(domain, peer, index)) {
                        return Err(format!(
                            "domain {domain} does not hold event {index} of domain {peer}: {:?}",
                            event.kind
                        ));
                    }
                    self.judged[1].0 = "projected:none-missing";
                    self.judged[1].1 += 1;
                }
            }
        }
        Ok(())
    }
}
