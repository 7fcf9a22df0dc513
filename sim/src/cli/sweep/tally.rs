//! What came of many universes: failures by seed, coverage, speed.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::crew::Ended;
use crate::{
    cli::{
        COMMIT,
        files::Problem,
        output::{duration, item, line},
    },
    coverage::Coverage,
    record::Verdict,
};

#[derive(Default)]
struct Aims {
    universes: u64,
    unreached: BTreeMap<String, u64>,
}

/// Universes of a scenario after which it is said that it does not do what it is about.
const ENOUGH: u64 = 10;

impl Aims {
    fn add(&mut self, unreached: &[String]) {
        self.universes += 1;
        for key in unreached {
            *self.unreached.entry(key.clone()).or_default() += 1;
        }
    }

    /// What happened in less than half of enough universes.
    fn missed(&self) -> impl Iterator<Item = &str> {
        let is_rare = |times: u64| self.universes >= ENOUGH && times * 2 > self.universes;
        self.unreached.iter().filter(move |(_, times)| is_rare(**times)).map(|(key, _)| key.as_str())
    }
}

/// Sums over many universes.
#[derive(Default)]
pub(super) struct Tally {
    verdicts: BTreeMap<u8, u64>,
    /// By oracle: scenario and seed.
    failures: BTreeMap<String, Vec<(String, u64)>>,
    coverage: Coverage,
    /// By scenario: its universes that were lived to the end, and of what it wants to happen, in how many it did not.
    aims: BTreeMap<String, Aims>,
    virtual_s: f64,
    cpu_s: f64,
    faults: usize,
    twice: u64,
    fixed: u64,
    differing: u64,
}

impl Tally {
    pub(super) fn add(&mut self, ended: Ended) -> Result<(), Problem> {
        *self.verdicts.entry(ended.verdict().exit_code()).or_default() += 1;
        let differs = ended.twice.as_ref().is_some_and(|twice| twice.difference.is_some());
        if let Some(twice) = &ended.twice {
            self.twice += 1;
            self.fixed += u64::from(twice.fixed_addresses);
            self.differing += u64::from(differs);
        }
        let oracle = match &ended.came {
            _ if differs => Some("not-repeatable".to_owned()),
            Ok(summary) => summary.failure.as_ref().map(|broken| broken.oracle.clone()),
            Err(_) => Some("abort".to_owned()),
        };
        if let Some(oracle) = oracle {
            self.failures.entry(oracle).or_default().push(ended.job);
        }
        if let Ok(summary) = &ended.came {
            self.coverage.add(&summary.reached);
            if summary.verdict == Verdict::Held {
                self.aims.entry(summary.scenario.clone()).or_default().add(&summary.unreached);
            }
            self.virtual_s += summary.virtual_s;
            self.cpu_s += summary.cpu_s;
            self.faults += summary.faults.done;
        }
        Ok(())
    }

    pub(super) fn runs(&self) -> u64 {
        self.verdicts.values().sum()
    }

    pub(super) fn failed(&self) -> u64 {
        self.runs() - self.verdicts.get(&0).copied().unwrap_or(0)
    }

    /// The worst verdict: a broken claim before a standstill before a crash.
    pub(super) fn exit_code(&self) -> u8 {
        let worst = self.verdicts.keys().next_back().copied().unwrap_or(Verdict::Held.exit_code());
        if self.missed().is_empty() { worst } else { worst.max(Verdict::NoProgress.exit_code()) }
    }

    /// Scenarios that do not do what they are about: in most of their universes it did not happen.
    fn missed(&self) -> Vec<(&str, &str)> {
        self.aims.iter().flat_map(|(scenario, aims)| aims.missed().map(|key| (scenario.as_str(), key))).collect()
    }

    /// Universes per hour of one core.
    fn per_core_hour(&self) -> f64 {
        if self.cpu_s > 0.0 { self.runs() as f64 * 3_600.0 / self.cpu_s } else { 0.0 }
    }

    /// Virtual seconds per second of one core.
    fn acceleration(&self) -> f64 {
        if self.cpu_s > 0.0 { self.virtual_s / self.cpu_s } else { 0.0 }
    }

    /// For people.
    pub(super) fn tell(&self, left: usize, took: Duration) {
        line("");
        line("what was reached, over all universes");
        line(self.coverage.told().trim_end());
        line("");
        for (oracle, jobs) in &self.failures {
            let list: Vec<String> = jobs.iter().map(|(scenario, seed)| format!("{scenario} {seed}")).collect();
            item("FAILED", format_args!("{oracle}: {}", list.join(", ")));
        }
        for (scenario, aims) in &self.aims {
            for (key, times) in &aims.unreached {
                item("aim", format_args!("{scenario}: not {key} in {times} of {} universes", aims.universes));
            }
        }
        for (scenario, key) in self.missed() {
            item("FAILED", format_args!("{scenario} is about {key}, which most of its universes did not reach"));
        }
        let held = self.runs() - self.failed();
        item(
            "verdict",
            format_args!("{held} held, {} failed, {left} not done, in {}", self.failed(), duration(took.as_secs_f64())),
        );
        if self.twice > 0 {
            item(
                "twice",
                format_args!(
                    "{} universes in a second process ({} of them at fixed addresses): {} differ",
                    self.twice, self.fixed, self.differing
                ),
            );
        }
        item(
            "speed",
            format_args!(
                "{:.0} universes per core-hour, {:.0} virtual seconds per second of a core, {} faults done",
                self.per_core_hour(),
                self.acceleration(),
                self.faults
            ),
        );
    }

    /// The same as one object.
    pub(super) fn json(&self) -> String {
        json!({
            "commit": COMMIT,
            "runs": self.runs(),
            "failed": self.failed(),
            "failures": self.failures,
            "missed": self.missed(),
            "twice": self.twice,
            "differing": self.differing,
            "virtual_s": self.virtual_s,
            "cpu_s": self.cpu_s,
            "per_core_hour": self.per_core_hour(),
            "acceleration": self.acceleration(),
            "faults": self.faults,
            "reached": self.coverage,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_that_mostly_does_not_do_what_it_is_about_fails() {
        let mut aims = Aims::default();
        let late = ["moment:late".to_owned()];
        (0..4).for_each(|_| aims.add(&late));
        assert_eq!(aims.missed().count(), 0, "too few to say");
        (0..4).for_each(|_| aims.add(&[]));
        (0..2).for_each(|_| aims.add(&late));
        assert_eq!(aims.missed().collect::<Vec<_>>(), ["moment:late"], "6 of 10");
        (0..2).for_each(|_| aims.add(&[]));
        assert_eq!(aims.missed().count(), 0, "6 of 12");
    }
}
