//! Which universes a sweep lives through, and which of them it has done already.

use std::{
    collections::{BTreeSet, VecDeque},
    path::{Path, PathBuf},
};

use super::{crew::Ended, tally::Tally};
use crate::{
    cli::{
        COMMIT,
        args::SweepArgs,
        files::{self, Problem},
        run::fresh_seed,
    },
    scenario,
};

/// A shipped scenario of at most so many virtual milliseconds is quick.
const QUICK_MS: u64 = 300_000;

/// One universe to live through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// As `run --scenario` takes it.
    pub(super) scenario: String,
    pub(super) seed: u64,
}

/// What there is to do.
pub(super) struct Work {
    pub(super) todo: VecDeque<Job>,
    pub(super) done: Tally,
    pub(super) scenarios: usize,
    /// Seeds that were drawn for this sweep.
    pub(super) fresh: Option<Vec<u64>>,
}

impl Work {
    pub(super) fn of(args: &SweepArgs) -> Result<Work, Problem> {
        let scenarios = scenarios(&args.scenario)?;
        let fresh = args.fresh.map(|count| (0..count).map(|_| fresh_seed()).collect::<Vec<u64>>());
        let seeds: Vec<u64> = match &fresh {
            Some(fresh) => fresh.clone(),
            None => (args.from..args.from.saturating_add(args.seeds)).collect(),
        };
        let (mut done, mut known) = (Tally::default(), BTreeSet::new());
        for line in args
            .out
            .as_ref()
            .map(|folder| results(folder))
            .map(std::fs::read_to_string)
            .and_then(Result::ok)
            .iter()
            .flat_map(|text| text.lines())
        {
            // A line that was cut off is a universe to live through again.
            let Ok(ended) = serde_json::from_str::<Ended>(line) else { continue };
            let wanted = seeds.contains(&ended.job.1) && scenarios.contains(&ended.job.0);
            if ended.commit == COMMIT && wanted && known.insert(ended.job.clone()) {
                done.add(ended)?;
            }
        }
        // Seed by seed, so that a sweep that is cut short has seen every scenario.
        let all = seeds.iter().flat_map(|seed| scenarios.iter().map(move |name| (name, *seed)));
        let todo = all.filter(|(name, seed)| !known.contains(&((*name).clone(), *seed)));
        let todo = todo.map(|(name, seed)| Job { scenario: name.clone(), seed }).collect();
        Ok(Work { todo, done, scenarios: scenarios.len(), fresh })
    }
}

/// Where the results of a sweep are kept, a line each.
pub(super) fn results(folder: &Path) -> PathBuf {
    folder.join("sweep.jsonl")
}

fn scenarios(wanted: &str) -> Result<Vec<String>, Problem> {
    let of_length = |longest: u64| {
        let fitting = scenario::ready().filter(move |scenario| scenario.length_ms() <= longest);
        fitting.map(|scenario| scenario.name).collect()
    };
    match wanted {
        "all" => Ok(of_length(u64::MAX)),
        "quick" => Ok(of_length(QUICK_MS)),
        one => files::scenario(one).map(|_| vec![one.to_owned()]),
    }
}

/// Which of `count` universes are lived through twice: a share of them, evenly spread.
pub(super) fn shares(count: usize, share: f64) -> Vec<bool> {
    (0..count).map(|at| (at as f64 * share).floor() < ((at + 1) as f64 * share).floor()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_evenly_spread() {
        let twice = |count, share| shares(count, share).iter().filter(|twice| **twice).count();
        assert_eq!((twice(100, 0.0), twice(100, 0.25), twice(100, 1.0)), (0, 25, 100));
        assert_eq!(shares(4, 0.5), [false, true, false, true]);
    }

    #[test]
    fn quick_scenarios_leave_out_the_days() {
        let quick = scenarios("quick").unwrap_or_default();
        assert!(quick.contains(&"two-domains".to_owned()) && !quick.contains(&"long-horizon".to_owned()));
        assert!(scenarios("all").unwrap_or_default().contains(&"long-horizon".to_owned()));
    }
}
