//! One request, one effect.

use std::collections::{BTreeMap, BTreeSet};

use comity_ledger::EventKind;
use comity_proto::{
    command::{Actor, Verb},
    ids::{AgentId, EscrowId, RequestId, TransferId},
};

use crate::{
    hosts::Restore,
    observe::Asked,
    oracles::{Oracle, View},
};

/// By domain: requests that named a payment, and payments that happened.
#[derive(Default)]
pub(super) struct Once {
    asked: BTreeMap<(usize, TransferId), BTreeSet<(Actor, RequestId)>>,
    paid: BTreeMap<(usize, TransferId), usize>,
    locked: BTreeSet<(usize, EscrowId)>,
    registered: BTreeSet<(usize, AgentId)>,
    issues: BTreeMap<usize, BTreeSet<(Actor, RequestId)>>,
    issued: BTreeMap<usize, usize>,
    /// Domains of which an entry is not known.
    blind: BTreeSet<usize>,
}

impl Oracle for Once {
    fn name(&self) -> &'static str {
        "exactly-once"
    }

    fn claim(&self) -> &'static str {
        "however often a request is sent and to however many nodes, its payment happens once"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (domain, story) in view.seen.stories.iter().enumerate() {
            for (index, _) in view.seen.new_entries(domain) {
                // Entries that could not be read any more say nothing about who asked.
                let Some(items) = story.items(index) else {
                    self.blind.insert(domain);
                    continue;
                };
                for item in items {
                    let Asked::Commands { actor, commands, .. } = &item.asked else { continue };
                    for command in commands {
                        let by = (*actor, command.request_id);
                        match &command.verb {
                            Verb::Transfer { transfer_id, .. } => {
                                self.asked.entry((domain, *transfer_id)).or_default().insert(by);
                            }
                            Verb::Issue { .. } => {
                                self.issues.entry(domain).or_default().insert(by);
                            }
                            _ => {}
                        }
                    }
                }
            }
            if story.has_holes() {
                self.blind.insert(domain);
            }
            if self.blind.contains(&domain) {
                continue;
            }
            for event in view.seen.new_events(domain) {
                self.event(domain, &event.kind)?;
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        let of = restore.domain;
        self.asked.retain(|(domain, _), _| *domain != of);
        self.paid.retain(|(domain, _), _| *domain != of);
        self.locked.retain(|(domain, _)| *domain != of);
        self.registered.retain(|(domain, _)| *domain != of);
        self.issues.remove(&of);
        self.issued.remove(&of);
        self.blind.remove(&of);
        Ok(())
    }
}

impl Once {
    fn event(&mut self, domain: usize, kind: &EventKind) -> Result<(), String> {
        match kind {
            EventKind::Transferred { transfer, .. } => {
                let times = self.paid.entry((domain, *transfer)).or_default();
                *times += 1;
                let requests = self.asked.get(&(domain, *transfer)).map_or(0, BTreeSet::len);
                if *times > requests {
                    return Err(format!(
                        "domain {domain}: payment {transfer} happened {times} times for {requests} requests"
                    ));
                }
            }
            EventKind::Issued { .. } => {
                let times = self.issued.entry(domain).or_default();
                *times += 1;
                let requests = self.issues.get(&domain).map_or(0, BTreeSet::len);
                if *times > requests {
                    return Err(format!("domain {domain}: {times} issues for {requests} requests"));
                }
            }
            EventKind::EscrowLocked { escrow, .. } if !self.locked.insert((domain, *escrow)) => {
                return Err(format!("domain {domain}: escrow {escrow} was locked twice"));
            }
            EventKind::AgentRegistered { agent, .. } if !self.registered.insert((domain, *agent)) => {
                return Err(format!("domain {domain}: agent {agent} was registered twice"));
            }
            _ => {}
        }
        Ok(())
    }
}
