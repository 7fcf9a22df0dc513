//! `shrink`: less of a failure that fails the same way. Every candidate is a fresh process.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    args::ShrinkArgs,
    child,
    files::{self, Problem},
    output::{item, line},
};
use crate::{plan::Plan, record::Record, shrink};

pub(super) fn shrink(args: &ShrinkArgs) -> Result<u8, Problem> {
    let record = files::record(&args.record)?;
    files::same_commit(&record, args.any_commit)?;
    let Some(failure) = &record.failure else {
        return Err(Problem(format!("{} did not fail; there is nothing to shrink", args.record.display())));
    };
    item("failure", format_args!("{} at {} ms: {}", failure.oracle, failure.at_ms, failure.claim));
    let jobs = args.jobs.unwrap_or_else(cores).max(1);
    let folder = tempfile::tempdir()?;
    let court = Court { oracle: &failure.oracle, folder: folder.path(), asked: AtomicUsize::new(0) };
    if !court.fails(&record.plan) {
        return Err(Problem(format!(
            "the failure is not there any more: the same plan does not break {}; nothing was written",
            failure.oracle
        )));
    }
    let mut found = 0;
    let small = shrink::shrink(&record.plan, &mut |plans| {
        let left = args.max_runs.saturating_sub(court.asked.load(Ordering::Relaxed));
        let first = court.first_failing(&plans[..plans.len().min(left)], jobs)?;
        found += 1;
        item("smaller", format_args!("{} after {} runs", size(&plans[first]), court.asked.load(Ordering::Relaxed)));
        Some(first)
    });
    let shrunk = court.record(&small)?;
    files::write_json(&args.out, &shrunk)?;
    item("before", format_args!("{}, {} events", size(&record.plan), record.events));
    item("after", format_args!("{}, {} events", size(&small), shrunk.events));
    let asked = court.asked.load(Ordering::Relaxed);
    item("runs", format_args!("{asked}, {found} of them smaller failures"));
    for planned in &small.faults {
        let fault = serde_json::to_string(&planned.fault).unwrap_or_default();
        item("", format_args!("{} ms, for {} ms: {fault}", planned.at_ms, planned.for_ms));
    }
    line(format_args!("comity-sim replay {0}   or   report {0}", args.out.display()));
    Ok(shrunk.verdict.exit_code())
}

/// One per core.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// How much a plan is.
fn size(plan: &Plan) -> String {
    let scenario = &plan.scenario;
    format!(
        "{} faults, {} hosts, {} virtual s, {} agents, {} operations/s",
        plan.faults.len(),
        scenario.hosts(),
        scenario.length_ms() / 1_000,
        scenario.load.agents * scenario.domains.len(),
        scenario.load.per_second * scenario.domains.len() as f64
    )
}

/// Tells whether plans break the same claim.
struct Court<'a> {
    oracle: &'a str,
    folder: &'a Path,
    asked: AtomicUsize,
}

impl Court<'_> {
    /// The first plan that fails, asking `jobs` at a time; which one is found does not depend on `jobs`.
    fn first_failing(&self, plans: &[Plan], jobs: usize) -> Option<usize> {
        for (batch, part) in plans.chunks(jobs).enumerate() {
            let failing: Vec<bool> = thread::scope(|scope| {
                let running: Vec<_> = part.iter().map(|plan| scope.spawn(move || self.fails(plan))).collect();
                running.into_iter().map(|running| running.join().unwrap_or(false)).collect()
            });
            if let Some(at) = failing.iter().position(|fails| *fails) {
                return Some(batch * jobs + at);
            }
        }
        None
    }

    fn fails(&self, plan: &Plan) -> bool {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{number}.json"));
        if files::write_json(&path, plan).is_err() {
            return false;
        }
        let ran = child::run(&[child::words(["worker"]), vec![path.clone().into()]].concat());
        let _ = std::fs::remove_file(&path);
        matches!(ran, Ok(Ok(summary)) if summary.failure.as_ref().is_some_and(|broken| broken.oracle == self.oracle))
    }

    /// The whole record of a plan.
    fn record(&self, plan: &Plan) -> Result<Record, Problem> {
        let (input, output) = (self.folder.join("plan.json"), self.folder.join("record.json"));
        files::write_json(&input, plan)?;
        let args = [vec!["worker".into(), input.into()], child::words(["--out"]), vec![output.clone().into()]].concat();
        child::run(&args)?.map_err(Problem)?;
        files::record(&output)
    }
}
