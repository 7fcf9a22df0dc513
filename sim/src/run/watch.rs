//! Looks at everything many times a virtual second: oracles, and what the timeline tells.

use std::collections::BTreeMap;

use crate::{
    hosts::Hosts,
    oracles::{self, Oracle, Phase, View},
    plan::Plan,
    record::{Failure, Happening, What},
    workload::History,
    world::HostId,
};

/// The oracles and the timeline of a run.
pub(super) struct Watch {
    pub(super) hosts: Hosts,
    pub(super) plan: Plan,
    pub(super) history: History,
    oracles: Vec<Box<dyn Oracle>>,
    roles: BTreeMap<HostId, (&'static str, u64)>,
    pub(super) timeline: Vec<Happening>,
    pub(super) phase: Phase,
}

impl Watch {
    pub(super) fn new(hosts: &Hosts, plan: &Plan, history: &History) -> Watch {
        Watch {
            hosts: hosts.clone(),
            plan: plan.clone(),
            history: history.clone(),
            oracles: oracles::all(),
            roles: BTreeMap::new(),
            timeline: Vec::new(),
            phase: Phase::Warm,
        }
    }

    /// Adds a line to the timeline.
    pub(super) fn tell(&mut self, what: What) {
        let at_ms = self.hosts.universe.now() / 1_000_000;
        self.timeline.push(Happening { at_ms, what });
    }

    /// Asks every oracle; the first broken claim.
    pub(super) fn look(&mut self) -> Option<Failure> {
        self.roles();
        let now = self.hosts.universe.now();
        let view = View { now, phase: self.phase, hosts: &self.hosts, plan: &self.plan, history: &self.history };
        for oracle in &mut self.oracles {
            let seen = if self.phase == Phase::Audit { oracle.audit(&view) } else { oracle.look(&view) };
            if let Err(detail) = seen {
                let (oracle, claim) = (oracle.name().to_owned(), oracle.claim().to_owned());
                return Some(Failure { oracle, claim, at_ms: now / 1_000_000, detail });
            }
        }
        None
    }

    fn roles(&mut self) {
        for (host, node) in self.hosts.nodes() {
            let status = comity_node::service::domain::status(&node);
            let role = (status.role, status.term);
            if self.roles.insert(host, role) != Some(role) {
                self.tell(What::Role { host, role: role.0.to_owned(), term: role.1 });
            }
        }
    }
}
