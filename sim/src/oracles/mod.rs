//! What must hold, one file and one claim each. Oracles only look: they never call `apply` and change nothing.

mod agreement;
mod books;

use crate::{hosts::Hosts, plan::Plan, world::TimeNs};

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

/// All of them, fresh.
pub fn all() -> Vec<Box<dyn Oracle>> {
    vec![Box::new(books::Books::default()), Box::new(agreement::Agreement::default())]
}
