//! What must hold, one file and one claim each. Oracles only look: they never call `apply` and change nothing.
//!
//! Most of them read `observe`: what every replica applied and every log held, exactly. What only a living node can
//! tell (digests, proofs, directories) is asked of it now and then, and of all of them at the end.

mod agreement;
mod books;
mod clients;
mod consensus;
mod evidence;
mod membership;
mod money;
mod progress;
mod settlement;

use crate::{
    hosts::{Hosts, Restore},
    observe::Seen,
    plan::Plan,
    scenario::{GatewaySpec, Scenario},
    world::{HostId, TimeNs},
};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nothing goes wrong yet.
    Warm,
    /// Faults; only safety is asked for.
    Chaos,
    /// The load has stopped, faults stay.
    Quiet,
    /// A core of each domain is healed: it must make progress alone.
    Core,
    /// Everything is healed: everything pending ends.
    Heal,
    /// The end: what was promised is there.
    Audit,
}

impl Phase {
    /// Its name, as a timeline shows it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Warm => "warm",
            Phase::Chaos => "chaos",
            Phase::Quiet => "quiet",
            Phase::Core => "core",
            Phase::Heal => "heal",
            Phase::Audit => "audit",
        }
    }
}

/// Longest elections that may pass from the last fault's end until everything is well again: connections, an election
/// or two, repair.
const SETTLE_ELECTIONS: u64 = 2;

/// How long an answer of somebody who is gone may be on its way: as long as clients wait for one.
const ON_ITS_WAY: TimeNs = 5_000_000_000;

/// What an oracle sees.
pub struct View<'a> {
    /// Universe time.
    pub now: TimeNs,
    /// Where the run stands.
    pub phase: Phase,
    /// Machines, their nodes and disks, links and clocks.
    pub hosts: &'a Hosts,
    /// What is done to them.
    pub plan: &'a Plan,
    /// What clients asked and were told.
    pub history: &'a crate::workload::History,
    /// What happened in the domains.
    pub seen: &'a Seen,
}

impl View<'_> {
    /// Whether nothing has been done to a host's disk that no program can survive, and no operator has replaced it: what
    /// it flushed is there again.
    pub fn keeps_its_disk(&self, host: HostId) -> bool {
        let now_ms = self.now / 1_000_000;
        let begun = self.plan.faults.iter().filter(|planned| planned.at_ms <= now_ms);
        begun.filter_map(|planned| planned.fault.takes_disk_of()).all(|taken| taken != host)
    }

    /// Whether no fault is left, for long enough: then everything must end well. Healing ends every fault that has not
    /// ended by itself; one that waited for a state may have begun late. A machine that an operator has in hand is a
    /// fault as well: its new node is still to join.
    pub fn everything_is_healed(&self) -> bool {
        let heal_ms = self.plan.scenario.phases.heal_at_ms();
        let end_ms = |fault: &crate::plan::PlannedFault| match fault.when {
            Some(_) => heal_ms,
            None => fault.at_ms.saturating_add(fault.for_ms).min(heal_ms),
        };
        let over_ms = self.plan.faults.iter().map(end_ms).max().unwrap_or(0);
        self.phase >= Phase::Heal
            && over_ms.saturating_add(self.settle_ms()) <= self.now / 1_000_000
            && (0..self.hosts.count()).all(|host| self.hosts.with(host, |machine| !machine.is_in_repair))
    }

    /// Whether what somebody was told of a domain belongs to a history that is lost: it was asked before the loss, and stood
    /// behind the snapshot (`index`, where that is known).
    pub fn is_lost(&self, domain: usize, (asked, answered): (TimeNs, TimeNs), index: Option<u64>) -> bool {
        self.seen.restores.iter().any(|restore| {
            restore.domain == domain
                && asked < restore.lost_at
                && answered < restore.lost_at + ON_ITS_WAY
                && index.is_none_or(|index| index > restore.index)
        })
    }

    /// Whether two hosts are of domains that only a gateway joins.
    pub fn are_apart(&self, one: HostId, other: HostId) -> bool {
        let names = [one, other].map(|host| self.hosts.domain_of(host).name.clone());
        let is_between =
            |gateway: &GatewaySpec| names[0] != names[1] && names.iter().all(|name| gateway.between.contains(name));
        self.plan.scenario.gateways.iter().any(is_between)
    }

    /// How long everything takes to be well after a fault, virtual ms.
    fn settle_ms(&self) -> u64 {
        SETTLE_ELECTIONS * self.plan.scenario.raft.election_max_ms
    }
}

/// One claim. Its state is what it has seen so far.
pub trait Oracle: Send {
    /// Its name, in lower case with dashes.
    fn name(&self) -> &'static str;

    /// What it claims, in one sentence that a newcomer understands.
    fn claim(&self) -> &'static str;

    /// Looks while the run goes on, many times a virtual second.
    ///
    /// # Errors
    /// What it saw against its claim.
    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        let _nothing_to_see = view;
        Ok(())
    }

    /// A domain goes on from a snapshot, and nobody of it runs. `view` still shows the history that is lost. Whatever is
    /// remembered of it is forgotten: at the next look what is left of it is told again from the beginning.
    ///
    /// # Errors
    /// What it saw against its claim before.
    fn restored(&mut self, view: &View<'_>, restore: &Restore) -> Result<(), String> {
        let _nothing_to_forget = (view, restore);
        Ok(())
    }

    /// Looks at the end, after everything was healed.
    ///
    /// # Errors
    /// What it saw against its claim.
    fn audit(&mut self, view: &View<'_>) -> Result<(), String> {
        self.look(view)
    }

    /// How often it could judge and how often it could not, as `group:name`: what nobody judged must not look like what
    /// held.
    fn judged(&self) -> &[(&'static str, u64)] {
        &[]
    }
}

/// An oracle that is a function of the view alone.
struct Looks {
    name: &'static str,
    claim: &'static str,
    look: fn(&View<'_>) -> Result<(), String>,
}

impl Oracle for Looks {
    fn name(&self) -> &'static str {
        self.name
    }

    fn claim(&self) -> &'static str {
        self.claim
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        (self.look)(view)
    }
}

/// Those that a scenario asks, fresh.
pub fn of(scenario: &Scenario) -> Vec<Box<dyn Oracle>> {
    let asked = |claim: &str| scenario.claims.is_empty() || scenario.claims.iter().any(|name| name == claim);
    all().into_iter().filter(|oracle| asked(oracle.name())).collect()
}

/// All of them, fresh. Those that say most about a cause come first: one bug breaks many claims.
pub fn all() -> Vec<Box<dyn Oracle>> {
    let mut all = consensus::all();
    all.extend(settlement::all());
    all.extend(money::all());
    all.extend(clients::all());
    all.extend(evidence::all());
    all.extend(membership::all());
    all.push(Box::new(books::Books::default()));
    all.push(Box::new(agreement::Agreement::default()));
    all.extend(progress::all());
    all
}
