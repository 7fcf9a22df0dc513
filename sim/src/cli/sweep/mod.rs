//! `sweep`: many universes, one process each.
//!
//! | module | holds |
//! |---|---|
//! | `work` | which universes, and which of them are done already |
//! | `crew` | processes at a time |
//! | `tally` | what came of them all |

mod crew;
mod tally;
mod work;

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    args::SweepArgs,
    files::Problem,
    output::{duration, item, line},
    shrink::cores,
};
use crew::{Crew, Ended};
use tally::Tally;
use work::{Work, shares};

pub(super) fn sweep(args: &SweepArgs) -> Result<u8, Problem> {
    if !(0.0..=1.0).contains(&args.twice) {
        return Err(Problem(format!("--twice {} is no share between 0 and 1; nothing was run", args.twice)));
    }
    let began = Instant::now();
    let jobs = args.jobs.unwrap_or_else(cores).max(1);
    let work = Work::of(args)?;
    if let Some(seeds) = &work.fresh {
        item("fresh", format_args!("seeds {}", list(seeds)));
    }
    item(
        "sweep",
        format_args!(
            "{} universes of {} scenarios, {jobs} at a time, commit {}",
            work.todo.len(),
            work.scenarios,
            super::COMMIT
        ),
    );
    if work.done.runs() > 0 {
        item("skipped", format_args!("{} that this program has done already", work.done.runs()));
    }
    let mut tally = work.done;
    let mut bar = Bar::new(work.todo.len() as u64);
    let deadline = args.budget_s.map(|seconds| began + Duration::from_secs(seconds));
    let count = work.todo.len();
    let twice = shares(count, args.twice);
    let mut crew = Crew::new(args, jobs, deadline)?;
    let mut ended = 0;
    crew.run(work.todo, &twice, |one| {
        ended += 1;
        told(&one, &bar);
        tally.add(one)?;
        bar.step(&tally, ended, count, began);
        Ok(())
    })?;
    bar.end();
    tally.tell(count - ended, began.elapsed());
    if args.json {
        line(tally.json());
    }
    Ok(tally.exit_code())
}

fn list(seeds: &[u64]) -> String {
    seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// A failure is told as soon as it is there.
fn told(one: &Ended, bar: &Bar) {
    if let Some(text) = one.failure_line() {
        bar.above(&text);
    }
}

/// A bar on a terminal; elsewhere a line now and then.
struct Bar {
    bar: Option<ProgressBar>,
    last: Option<Instant>,
    expected: bool,
}

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Universes after which it can be said how long all will take.
const FEW: usize = 5;

impl Bar {
    fn new(count: u64) -> Bar {
        let bar = std::io::stdout().is_terminal().then(|| {
            let bar = ProgressBar::new(count);
            let style = ProgressStyle::with_template("{msg:<10}{wide_bar} {pos} of {len} {prefix}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message("universes");
            bar
        });
        Bar { bar, last: None, expected: false }
    }

    fn above(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| line(text)),
            None => line(text),
        }
    }

    fn step(&mut self, tally: &Tally, ended: usize, count: usize, began: Instant) {
        let passed = began.elapsed();
        let left = passed.as_secs_f64() / ended as f64 * (count - ended) as f64;
        if !self.expected && ended >= FEW.min(count) {
            self.expected = true;
            self.above(&format!("{:<10}about {} more, from the first {ended}", "expected", duration(left)));
        }
        let failed = tally.failed();
        if let Some(bar) = &self.bar {
            bar.set_position(ended as u64);
            bar.set_prefix(format!("{failed} failed, {} left", duration(left)));
        } else if self.last.is_none_or(|last| last.elapsed() > LINE_EVERY) {
            self.last = Some(Instant::now());
            line(format_args!("          {ended} of {count}, {failed} failed, {} left", duration(left)));
        }
    }

    fn end(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}
