//! What a seed makes of a scenario: everything that will be done to a universe, fixed before it begins.

use serde::{Deserialize, Serialize};

use crate::{
    faults::{self, Fault, Part, When, Who},
    scenario::Scenario,
    world::{Chance, Policy},
};

/// A universe that can be run, repeated and shrunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The seed; it also draws everything that is not listed here.
    pub seed: u64,
    /// The scenario.
    pub scenario: Scenario,
    /// How the next task is chosen.
    pub policy: Policy,
    /// What goes wrong, in the order of beginning.
    pub faults: Vec<PlannedFault>,
    /// A bug that is switched on to see whether an oracle finds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planted: Option<String>,
}

/// A fault with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFault {
    /// Its number in the plan; shrinking keeps it.
    pub number: u32,
    /// When it begins, virtual ms; with `when`: not earlier.
    pub at_ms: u64,
    /// How long it lasts, virtual ms.
    pub for_ms: u64,
    /// A state of a settlement that it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// What it is.
    pub fault: Fault,
}

impl PlannedFault {
    /// The name of its kind. A crash that waits for a state is of another kind than one at any time.
    pub fn kind(&self) -> &'static str {
        match (&self.fault, self.when) {
            (Fault::Crash { host: Who::Part(Part::OriginLeader), .. }, Some(_)) => "origin-crash",
            (Fault::Crash { host: Who::Part(Part::ParticipantLeader), .. }, Some(_)) => "participant-crash",
            (Fault::Pause { .. }, Some(_)) => "settlement-pause",
            (fault, _) => fault.kind(),
        }
    }
}

impl Plan {
    /// What `seed` makes of `scenario`.
    pub fn draw(seed: u64, scenario: &Scenario) -> Plan {
        let mut chance = Chance::stream(seed, "plan");
        let drawn = match chance.below(10) {
            0..6 => Policy::Random,
            6..8 => Policy::Fifo,
            _ => Policy::Pct,
        };
        let mut faults = faults::draw(seed, scenario);
        let from = faults.len() as u32 + 1;
        faults.extend(scenario.script.iter().zip(from..).map(|(scripted, number)| PlannedFault {
            number,
            at_ms: scripted.at_ms,
            for_ms: scripted.for_ms,
            when: scripted.when,
            fault: scripted.fault.clone(),
        }));
        faults.sort_by_key(|fault| fault.at_ms);
        Plan { seed, scenario: scenario.clone(), policy: scenario.policy.unwrap_or(drawn), faults, planted: None }
    }
}
