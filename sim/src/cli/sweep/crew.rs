//! Processes at a time: each lives through one universe, and through some of them twice.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Instant,
};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::work::{Job, results};
use crate::{
    cli::{
        COMMIT,
        args::SweepArgs,
        child::{self, words},
        files::{self, Problem},
        output::quoted,
        replay,
        summary::Summary,
    },
    record::Verdict,
};

/// What came of one universe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Scenario, as it was asked for, and seed.
    pub(super) job: (String, u64),
    pub(super) commit: String,
    /// Its summary, or how its process ended without one.
    pub(super) came: Result<Summary, String>,
    /// Whether it was lived through a second time, and in what the second time differed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) twice: Option<Twice>,
}

/// The same universe in another process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Twice {
    /// Whether the second process had its addresses fixed.
    pub(super) fixed_addresses: bool,
    pub(super) difference: Option<String>,
}

impl Ended {
    pub(super) fn verdict(&self) -> Verdict {
        match &self.came {
            Ok(_) if self.twice.as_ref().is_some_and(|twice| twice.difference.is_some()) => Verdict::Wrong,
            Ok(summary) => summary.verdict,
            Err(_) => Verdict::Crashed,
        }
    }

    /// A line for people, if it failed.
    pub(super) fn failure_line(&self) -> Option<String> {
        let (scenario, seed) = &self.job;
        let why = match (&self.came, self.twice.as_ref().and_then(|twice| twice.difference.as_ref())) {
            (_, Some(difference)) => format!("NOT REPEATABLE: {difference}"),
            (Ok(summary), None) => {
                let broken = summary.failure.as_ref()?;
                let first = broken.detail.lines().next().unwrap_or_default();
                format!("{} at {} s: {first}", broken.oracle, broken.at_s)
            }
            (Err(said), None) => format!("the process ended without a word: {said}"),
        };
        let scenario = quoted(scenario);
        Some(format!(
            "FAILED    {scenario} {seed}: {why}\n          comity-sim run --scenario {scenario} --seed {seed}"
        ))
    }
}

/// The processes and where they leave things.
pub(super) struct Crew {
    jobs: usize,
    deadline: Option<Instant>,
    failures: PathBuf,
    max_wall_s: u64,
    log: Option<File>,
    scratch: tempfile::TempDir,
}

impl Crew {
    pub(super) fn new(args: &SweepArgs, jobs: usize, deadline: Option<Instant>) -> Result<Crew, Problem> {
        let failures = args.out.clone().unwrap_or_else(|| PathBuf::from("."));
        std::fs::create_dir_all(&failures)?;
        let open = |folder: &PathBuf| File::options().create(true).append(true).open(results(folder));
        let log = args.out.as_ref().map(open).transpose()?;
        let (max_wall_s, scratch) = (args.max_wall_s, tempfile::tempdir()?);
        Ok(Crew { jobs, deadline, failures, max_wall_s, log, scratch })
    }

    /// Lives through all of them, or as many as there is time for; `each` hears of every end in its order.
    pub(super) fn run(
        &mut self,
        todo: VecDeque<Job>,
        twice: &[bool],
        mut each: impl FnMut(Ended) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        let todo = Mutex::new(todo.into_iter().zip(twice.iter().copied()).enumerate().collect::<VecDeque<_>>());
        let (sender, receiver) = mpsc::sync_channel(self.jobs);
        let mut log = self.log.take();
        let crew = &*self;
        thread::scope(|scope| {
            for _ in 0..crew.jobs {
                let (sender, todo) = (sender.clone(), &todo);
                scope.spawn(move || {
                    while crew.deadline.is_none_or(|deadline| Instant::now() < deadline) {
                        let Some((number, (job, twice))) = todo.lock().pop_front() else { break };
                        if sender.send(crew.live(number, job, twice)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for ended in receiver {
                let ended = ended?;
                if let Some(log) = &mut log {
                    // One write a line: a sweep that is killed leaves at most its last line cut.
                    log.write_all(format!("{}\n", serde_json::to_string(&ended)?).as_bytes())?;
                }
                each(ended)?;
            }
            Ok(())
        })
    }

    fn live(&self, number: usize, job: Job, twice: bool) -> Result<Ended, Problem> {
        let name = self.scratch.path().join(number.to_string());
        let (first, second) = (name.with_extension("a.json"), name.with_extension("b.json"));
        let came = self.once(&job, twice.then_some(first.as_path()), false)?;
        let twice = match (&came, twice) {
            // An abort leaves no record to compare with.
            (Ok(_), true) if first.exists() => Some(self.again(number, &job, &first, &second)?),
            _ => None,
        };
        Ok(Ended { job: (job.scenario, job.seed), commit: COMMIT.to_owned(), came, twice })
    }

    fn once(&self, job: &Job, out: Option<&Path>, fixed: bool) -> Result<Result<Summary, String>, Problem> {
        let (seed, wall) = (job.seed.to_string(), self.max_wall_s.to_string());
        let mut args = words(["run", "--json", "--quiet", "--scenario", &job.scenario, "--seed", &seed]);
        args.extend(words(["--max-wall-s", &wall, "--failures"]));
        args.push(self.failures.clone().into_os_string());
        if let Some(out) = out {
            args.extend([OsString::from("--out"), out.as_os_str().to_owned()]);
        }
        if fixed {
            args.extend(words(["--fixed-addresses"]));
        }
        child::run(&args)
    }

    /// The second time every other process has its addresses fixed, where the system lets it.
    fn again(&self, number: usize, job: &Job, first: &Path, second: &Path) -> Result<Twice, Problem> {
        let mut fixed_addresses = number.is_multiple_of(2);
        let mut came = self.once(job, Some(second), fixed_addresses)?;
        if fixed_addresses && came.is_err() {
            fixed_addresses = false;
            came = self.once(job, Some(second), false)?;
        }
        let difference = match came {
            Ok(_) => replay::difference(&files::record(first)?, &files::record(second)?)?,
            Err(said) => Some(format!("the second process ended without a word: {said}")),
        };
        if difference.is_none() {
            let _ = (std::fs::remove_file(first), std::fs::remove_file(second));
        } else {
            for (path, which) in [(first, "once"), (second, "again")] {
                let name = format!("DIFFERS-{}-{which}.json", job.seed);
                let _ = std::fs::copy(path, self.failures.join(name));
            }
        }
        Ok(Twice { fixed_addresses, difference })
    }
}
