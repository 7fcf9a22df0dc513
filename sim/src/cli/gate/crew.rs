//! Processes at a time: each lives through one universe, with one bug or without.

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    sync::{Arc, OnceLock},
    thread,
};

use comity_proto::planted::Plant;
use parking_lot::Mutex;
use serde::Serialize;

use crate::{
    cli::{
        child::{self, words},
        files::Problem,
    },
    record::Verdict,
};

/// One bug with the universes in which it is looked for.
pub(super) struct Trial {
    plant: Plant,
    scenario: String,
    from: u64,
    seeds: u64,
}

impl Trial {
    /// `seeds`: the first, and how many.
    pub(super) fn new(plant: Plant, scenario: &str, (from, seeds): (u64, u64)) -> Trial {
        Trial { plant, scenario: scenario.to_owned(), from, seeds }
    }
}

/// What became of one bug.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ended {
    pub(super) plant: &'static str,
    pub(super) scenario: String,
    /// Universes that were tried.
    pub(super) tried: u64,
    /// `None`: it escaped.
    pub(super) caught: Option<Caught>,
}

/// Where and by whom a bug was seen.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Caught {
    pub(super) seed: u64,
    #[serde(flatten)]
    pub(super) broken: Broken,
}

/// A claim that broke.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Broken {
    pub(super) oracle: String,
    /// Virtual seconds.
    pub(super) at_s: f64,
    pub(super) detail: String,
}

/// A universe that fails without a bug on purpose: there is one that nobody planted.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Unsound {
    pub(super) scenario: String,
    pub(super) seed: u64,
    #[serde(flatten)]
    pub(super) broken: Broken,
}

type Universe = (String, u64);
/// How a universe without a bug ended; lived through once however many bugs ask.
type Sound = Arc<OnceLock<Result<Option<Broken>, String>>>;

/// The processes.
pub(super) struct Crew {
    jobs: usize,
    max_wall_s: u64,
    sound: Mutex<BTreeMap<Universe, Sound>>,
}

impl Crew {
    pub(super) fn new(jobs: usize, max_wall_s: u64) -> Crew {
        Crew { jobs, max_wall_s, sound: Mutex::default() }
    }

    /// Tries all of them; what came of them in their order.
    pub(super) fn run(&self, trials: Vec<Trial>) -> Result<Vec<Ended>, Problem> {
        let count = trials.len();
        let todo = Mutex::new(trials.into_iter().enumerate().collect::<VecDeque<_>>());
        let done = Mutex::new(Vec::with_capacity(count));
        thread::scope(|scope| {
            for _ in 0..self.jobs.min(count) {
                scope.spawn(|| {
                    loop {
                        let Some((number, trial)) = todo.lock().pop_front() else { return };
                        let ended = self.attempt(&trial);
                        let is_last = ended.is_err();
                        done.lock().push((number, ended));
                        if is_last {
                            todo.lock().clear();
                        }
                    }
                });
            }
        });
        let mut done = done.into_inner();
        done.sort_by_key(|(number, _)| *number);
        done.into_iter().map(|(_, ended)| ended).collect()
    }

    fn attempt(&self, trial: &Trial) -> Result<Ended, Problem> {
        let (plant, scenario) = (trial.plant.name(), trial.scenario.clone());
        for (tried, seed) in (1..=trial.seeds).zip(trial.from..) {
            let Some(broken) = self.live(&trial.scenario, seed, Some(trial.plant))? else { continue };
            if self.without(&trial.scenario, seed)?.is_some() {
                continue;
            }
            eprintln!("{plant:<20} {} at seed {seed}, {tried} tried", broken.oracle);
            return Ok(Ended { plant, scenario, tried, caught: Some(Caught { seed, broken }) });
        }
        eprintln!("{plant:<20} NOT CAUGHT within {} seeds of {scenario}", trial.seeds);
        Ok(Ended { plant, scenario, tried: trial.seeds, caught: None })
    }

    /// What breaks in a universe without a bug: nothing, unless there is one that nobody planted.
    fn without(&self, scenario: &str, seed: u64) -> Result<Option<Broken>, Problem> {
        let sound = self.sound.lock().entry((scenario.to_owned(), seed)).or_default().clone();
        let lived = sound.get_or_init(|| self.live(scenario, seed, None).map_err(|Problem(why)| why));
        lived.clone().map_err(Problem)
    }

    /// Universes that failed without a bug.
    pub(super) fn unsound(&self) -> Vec<Unsound> {
        let sound = self.sound.lock();
        let failed = sound.iter().filter_map(|((scenario, seed), lived)| {
            let broken = lived.get()?.as_ref().ok()?.clone()?;
            Some(Unsound { scenario: scenario.clone(), seed: *seed, broken })
        });
        failed.collect()
    }

    fn live(&self, scenario: &str, seed: u64, plant: Option<Plant>) -> Result<Option<Broken>, Problem> {
        let (seed, wall) = (seed.to_string(), self.max_wall_s.to_string());
        let mut args = words(["planted", "--scenario", scenario, "--seed", &seed, "--max-wall-s", &wall]);
        if let Some(plant) = plant {
            args.extend(["--plant", plant.name()].map(OsString::from));
        }
        let broken = match child::run(&args)? {
            Ok(summary) if summary.verdict == Verdict::Held => None,
            Ok(summary) => summary.failure.map(|failure| Broken {
                oracle: failure.oracle,
                at_s: failure.at_s,
                detail: failure.detail,
            }),
            // A process that ended without a word was ended by what it lived through: that is seen, too.
            Err(said) => Some(Broken { oracle: "abort".to_owned(), at_s: 0.0, detail: said }),
        };
        // A machine that was too slow has seen nothing.
        Ok(broken.filter(|broken| broken.oracle != "out-of-time"))
    }
}
