//! What a gate comes to: a table, and one JSON object.

use std::{collections::BTreeSet, time::Duration};

use comity_proto::planted::Plant;
use serde::Serialize;

use super::{
    crew::{Ended, Unsound},
    places,
};
use crate::{
    cli::output::{item, line},
    oracles,
};

/// Everything that a gate found.
#[derive(Serialize)]
pub(super) struct Report {
    commit: &'static str,
    wall_s: f64,
    caught: usize,
    escaped: Vec<&'static str>,
    /// Oracles that were seen to fail.
    oracles: BTreeSet<String>,
    plants: Vec<Ended>,
    unsound: Vec<Unsound>,
}

impl Report {
    pub(super) fn of(plants: Vec<Ended>, unsound: Vec<Unsound>, wall: Duration) -> Report {
        let by = |ended: &Ended| ended.caught.as_ref().map(|caught| caught.broken.oracle.clone());
        let escaped: Vec<_> = plants.iter().filter(|ended| ended.caught.is_none()).map(|ended| ended.plant).collect();
        Report {
            commit: crate::cli::COMMIT,
            wall_s: wall.as_secs_f64(),
            caught: plants.len() - escaped.len(),
            escaped,
            oracles: plants.iter().filter_map(by).collect(),
            plants,
            unsound,
        }
    }

    /// The table for people.
    pub(super) fn tell(&self) {
        line(format_args!(
            "{:<20} {:<10} {:>6} {:>6}  {:<24} {:>9}",
            "plant", "scenario", "seed", "tried", "oracle", "virtual s"
        ));
        for ended in &self.plants {
            let (plant, scenario, tried) = (ended.plant, &ended.scenario, ended.tried);
            match &ended.caught {
                Some(caught) => line(format_args!(
                    "{plant:<20} {scenario:<10} {:>6} {tried:>6}  {:<24} {:>9.1}",
                    caught.seed, caught.broken.oracle, caught.broken.at_s
                )),
                None => line(format_args!("{plant:<20} {scenario:<10} {:>6} {tried:>6}  NOT CAUGHT", "-")),
            }
        }
        item(
            "caught",
            format_args!(
                "{} of {} by {} of {} oracles in {:.0} s, commit {}",
                self.caught,
                self.plants.len(),
                self.oracles.len(),
                oracles::all().len(),
                self.wall_s,
                self.commit
            ),
        );
        if self.plants.len() == Plant::ALL.len() {
            item("unproven", format_args!("oracles that none of them broke: {}", self.unproven().join(", ")));
        }
        for unsound in &self.unsound {
            let (scenario, seed) = (places::file_of(&unsound.scenario), unsound.seed);
            item("unsound", format_args!("without a bug {} fails: {}", unsound.broken.oracle, unsound.broken.detail));
            item("", format_args!("comity-sim run --scenario {scenario} --seed {seed}"));
        }
    }

    /// Oracles that were not seen to fail: another one saw the bug first, or no bug is made for them.
    fn unproven(&self) -> Vec<&'static str> {
        let names = oracles::all();
        names.iter().map(|oracle| oracle.name()).filter(|name| !self.oracles.contains(*name)).collect()
    }

    /// The object as the last line.
    pub(super) fn json(&self) {
        line(serde_json::to_string(self).unwrap_or_default());
    }

    /// 1 when a bug escaped; 129 when a universe without a bug broke a claim.
    pub(super) fn exit_code(&self) -> u8 {
        match (self.escaped.is_empty(), self.unsound.is_empty()) {
            (false, _) => 1,
            (true, false) => 129,
            (true, true) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::crew::{Broken, Caught};
    use super::*;

    fn ended(plant: &'static str, oracle: Option<&str>) -> Ended {
        let caught = oracle.map(|oracle| Caught { seed: 3, broken: broken(oracle) });
        Ended { plant, scenario: "calm".to_owned(), tried: 1, caught }
    }

    fn broken(oracle: &str) -> Broken {
        Broken { oracle: oracle.to_owned(), at_s: 7.5, detail: "seen".to_owned() }
    }

    #[test]
    fn a_bug_that_escapes_fails_the_gate_and_so_does_one_that_nobody_planted() {
        let report = |plants, unsound| Report::of(plants, unsound, Duration::from_secs(1));
        let (seen, missed) = (ended("skip-sync", Some("durable-log")), ended("any-hash", None));
        assert_eq!(report(vec![seen.clone()], Vec::new()).exit_code(), 0);
        let some = report(vec![seen.clone(), missed], Vec::new());
        assert_eq!((some.exit_code(), some.caught, some.escaped), (1, 1, vec!["any-hash"]));
        let unsound = Unsound { scenario: "calm".to_owned(), seed: 3, broken: broken("supply") };
        assert_eq!(report(vec![seen], vec![unsound]).exit_code(), 129);
    }

    #[test]
    fn the_json_says_which_oracle_saw_what_at_which_seed() {
        let report = Report::of(vec![ended("skip-sync", Some("durable-log"))], Vec::new(), Duration::ZERO);
        let json = serde_json::to_value(report).expect("plain values");
        let first = &json["plants"][0]["caught"];
        assert_eq!((&first["seed"], &first["oracle"], &first["at_s"]), (&3.into(), &"durable-log".into(), &7.5.into()));
    }
}
