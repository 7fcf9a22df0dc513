//! What a run comes to: one JSON object, and words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::output::{item, line, moment, quoted};
use crate::{
    plan::Plan,
    record::{Happening, Record, Verdict, What},
};

/// A run in one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) verdict: Verdict,
    pub(super) scenario: String,
    pub(super) seed: u64,
    pub(super) commit: String,
    /// 16 hexadecimal digits.
    pub(super) digest: String,
    pub(super) events: u64,
    pub(super) virtual_s: f64,
    pub(super) wall_s: f64,
    /// Processor time of the whole process.
    pub(super) cpu_s: f64,
    pub(super) faults: Faults,
    /// The oracle that failed, with its claim, the moment (virtual s) and what was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<Broken>,
    pub(super) reached: BTreeMap<String, u64>,
    /// What the scenario is about and did not happen this time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) unreached: Vec<String>,
}

/// Faults of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Faults {
    pub(super) planned: usize,
    pub(super) done: usize,
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Broken {
    pub(super) oracle: String,
    pub(super) claim: String,
    pub(super) at_s: f64,
    pub(super) detail: String,
}

/// The failure of a process that aborted.
pub(super) const ABORT: &str = "abort";

impl Summary {
    /// Of a process that aborts in the middle of a run: what is known before it begins.
    fn aborted(plan: &Plan) -> Summary {
        Summary {
            verdict: Verdict::Crashed,
            scenario: plan.scenario.name.clone(),
            seed: plan.seed,
            commit: super::COMMIT.to_owned(),
            digest: format!("{:016x}", 0),
            events: 0,
            virtual_s: 0.0,
            wall_s: 0.0,
            cpu_s: 0.0,
            faults: Faults { planned: plan.faults.len(), done: 0 },
            failure: Some(Broken {
                oracle: ABORT.to_owned(),
                claim: "no process of a run aborts".to_owned(),
                at_s: 0.0,
                detail: "the process said why on its standard error".to_owned(),
            }),
            reached: BTreeMap::new(),
            unreached: Vec::new(),
        }
    }

    /// Of a process that aborted only its own words tell why.
    pub(super) fn with_own_words(mut self, said: String) -> Summary {
        if let Some(broken) = self.failure.as_mut().filter(|broken| broken.oracle == ABORT) {
            broken.detail = said;
        }
        self
    }

    pub(super) fn of(record: &Record) -> Summary {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let is_done = |told: &&Happening| matches!(told.what, What::FaultBegan { done: true, .. });
        let done = record.timeline.iter().filter(is_done).count();
        Summary {
            verdict: record.verdict,
            scenario: record.plan.scenario.name.clone(),
            seed: record.plan.seed,
            commit: record.commit.clone(),
            digest: format!("{:016x}", record.digest),
            events: record.events,
            virtual_s: record.virtual_ms as f64 / 1_000.0,
            wall_s: record.wall_ms as f64 / 1_000.0,
            cpu_s: cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9,
            faults: Faults { planned: record.plan.faults.len(), done },
            failure: record.failure.as_ref().map(|failure| Broken {
                oracle: failure.oracle.clone(),
                claim: failure.claim.clone(),
                at_s: failure.at_ms as f64 / 1_000.0,
                detail: failure.detail.clone(),
            }),
            reached: record.reached.clone(),
            unreached: unreached(record),
        }
    }
}

/// What the scenario wants to happen and did not: faults may leave no moment for it.
fn unreached(record: &Record) -> Vec<String> {
    let wanted = record.plan.scenario.reaches.iter();
    wanted.filter(|key| !record.reached.contains_key(*key)).cloned().collect()
}

/// What is going to be done, before it is.
pub(super) fn head(plan: &Plan) {
    let scenario = &plan.scenario;
    item("scenario", format_args!("{}: {}", scenario.name, scenario.about));
    item("expect", &scenario.expect);
    item("seed", format_args!("{}, commit {}", plan.seed, super::COMMIT));
    let mut first = 0;
    let domains = scenario.domains.iter().map(|domain| {
        let hosts = if domain.nodes == 1 {
            format!("host {first}")
        } else {
            format!("hosts {first}-{}", first + domain.nodes - 1)
        };
        first += domain.nodes;
        format!("{} ({hosts})", domain.name)
    });
    item("domains", domains.collect::<Vec<_>>().join(", "));
    item("policy", serde_json::to_string(&plan.policy).unwrap_or_default().replace('"', ""));
    let load = scenario.load;
    item(
        "load",
        format_args!(
            "{} agents a domain, {} operations a second of each, {:.0} % across, {:.0} % escrows",
            load.agents,
            load.per_second,
            load.across * 100.0,
            load.escrows * 100.0
        ),
    );
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    plan.faults.iter().for_each(|planned| *kinds.entry(planned.kind()).or_default() += 1);
    let list: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let off = crate::faults::KINDS.iter().filter(|kind| !kinds.contains_key(kind.name)).count();
    item(
        "faults",
        format_args!("{} planned: {}; {off} kinds off in this universe", plan.faults.len(), list.join(", ")),
    );
    let phases = scenario.phases;
    item(
        "phases",
        format_args!(
            "warm {} s, chaos {} s, quiet {} s, core {} s, heal {} s",
            phases.warm_s, phases.chaos_s, phases.quiet_s, phases.core_s, phases.heal_s
        ),
    );
}

/// How it ended, in words. `again` is the command that does it again.
pub(super) fn verdict(record: &Record, again: &[&str]) {
    let speed = record.virtual_ms as f64 / (record.wall_ms.max(1)) as f64;
    let summary = Summary::of(record);
    let took = format!(
        "{} of virtual time in {:.1} s ({speed:.0} times as fast), {} of {} faults done",
        moment(record.virtual_ms),
        record.wall_ms as f64 / 1_000.0,
        summary.faults.done,
        summary.faults.planned
    );
    match &record.failure {
        None => {
            item("held", took);
            transfers(record);
            let asked = crate::oracles::of(&record.plan.scenario);
            let claims: Vec<&str> = asked.iter().map(|oracle| oracle.name()).collect();
            for key in unreached(record) {
                item("aim", format_args!("not reached this time: {key}"));
            }
            item("claims", format_args!("all {} held: {}", claims.len(), claims.join(", ")));
        }
        Some(failure) => {
            let name = match record.verdict {
                Verdict::Crashed => "CRASHED",
                Verdict::NoProgress => "STUCK",
                _ => "WRONG",
            };
            item(name, took);
            transfers(record);
            item("oracle", format_args!("{} at {}", failure.oracle, moment(failure.at_ms)));
            item("claim", &failure.claim);
            item("seen", failure.detail.replace('\n', "\n          "));
        }
    }
    item("digest", format_args!("{:016x} over {} events", record.digest, record.events));
    let words: Vec<String> = again.iter().map(|word| quoted(word)).collect();
    item("again", words.join(" "));
}

fn transfers(record: &Record) {
    let mut last: BTreeMap<&str, &str> = BTreeMap::new();
    for happening in &record.timeline {
        if let What::Transfer { id, state, .. } = &happening.what {
            last.insert(id, state);
        }
    }
    if last.is_empty() {
        return;
    }
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    last.values().for_each(|state| *states.entry(state).or_default() += 1);
    let list: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    item("transfers", format_args!("{} across the boundary: {}", last.len(), list.join(", ")));
}

/// What is said if the process aborts: for people, unless they asked for nothing but the object, and the object, if they
/// asked for it.
pub(super) fn last_words(plan: &Plan, again: &[&str], (words, json): (bool, bool)) -> String {
    let mut text = String::new();
    if words {
        let again: Vec<String> = again.iter().map(|word| quoted(word)).collect();
        text += &format!("CRASHED   the process aborted in the universe of seed {}; see above for why\n", plan.seed);
        text += &format!("again     {}\n", again.join(" "));
    }
    if json {
        text += &serde_json::to_string(&Summary::aborted(plan)).unwrap_or_default();
        text.push('\n');
    }
    text
}

/// The object as the last line.
pub(super) fn json(summary: &Summary) {
    line(serde_json::to_string(summary).unwrap_or_default());
}
