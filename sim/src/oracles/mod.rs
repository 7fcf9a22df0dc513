//! What must hold, one file and one claim each. Oracles only look: they never call `apply` and change nothing.
//!
//! Most of them read `observe`: what every replica applied and every log held, exactly. What only a living node can
//! tell (digests, proofs, directories) is asked of it now and then, and of all of them at the end.

mod agreement;
mod books;
mod clients;
mod consensus;
mod evidence;
mod money;
mod progress;
mod settlement;

use crate::{
    hosts::Hosts,
    observe::Seen,
    plan::Plan,
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

/// Time from the last fault's end until everything is well again: connections, an election, repair; virtual ms.
const SETTLE_MS: u64 = 6_000;

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

    /// Whether no fault is left: then everything must end well.
    pub fn everything_is_healed(&self) -> bool {
        let now_ms = self.now / 1_000_000;
        let over = |fault: &crate::plan::PlannedFault| fault.at_ms.saturating_add(fault.for_ms) + SETTLE_MS <= now_ms;
        self.phase >= Phase::Heal && self.plan.faults.iter().all(over)
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

    /// Looks at the end, after everything was healed.
    ///
    /// # Errors
    /// What it saw against its claim.
    fn audit(&mut self, view: &View<'_>) -> Result<(), String> {
        self.look(view)
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

/// All of them, fresh. Those that say most about a cause come first: one bug breaks many claims.
pub fn all() -> Vec<Box<dyn Oracle>> {
    let mut all = consensus::all();
    all.extend(settlement::all());
    all.extend(money::all());
    all.extend(clients::all());
    all.extend(evidence::all());
    all.push(Box::new(books::Books::default()));
    all.push(Box::new(agreement::Agreement::default()));
    all.extend(progress::all());
    all
}
