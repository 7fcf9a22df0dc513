//! `run`: one universe, watched.

use std::{
    io::IsTerminal,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    System,
    args::{RunArgs, WorkerArgs},
    files::{self, Problem},
    held::held,
    output::{item, line},
    summary::{self, Summary},
};
use crate::{
    oracles::Phase,
    plan::Plan,
    record::{Record, Verdict},
    run::Progress,
};

/// Set for the process that was started again with fixed addresses.
const FIXED: &str = "COMITY_SIM_FIXED_ADDRESSES";

pub(super) fn run(system: System, args: &RunArgs) -> Result<u8, Problem> {
    if args.fixed_addresses && std::env::var_os(FIXED).is_none() {
        return fixed(system);
    }
    let scenario = files::scenario(&args.scenario)?;
    let seed = args.seed.unwrap_or_else(fresh_seed);
    let plan = Plan::draw(seed, &scenario);
    let text = seed.to_string();
    let again = ["comity-sim", "run", "--scenario", &args.scenario, "--seed", &text];
    let last = summary::last_words(&plan, &again, (!args.quiet, args.json));
    (system.last_words)(last, Verdict::Crashed.exit_code());
    if !args.quiet {
        summary::head(&plan);
    }
    let mut show = Show::new(!args.quiet);
    let record = held(system, &plan, Duration::from_secs(args.max_wall_s), |progress| show.draw(progress))?;
    show.end();
    if let Some(out) = &args.out {
        files::write_json(out, &record)?;
    }
    let kept = keep_failure(&args.failures, &record)?;
    if !args.quiet {
        summary::verdict(&record, &again);
        match kept.as_deref().or(args.out.as_deref()) {
            Some(path) => item("look", format_args!("comity-sim report {0}   or   replay {0}", path.display())),
            None => item("look", "add --out RUN.json, then comity-sim report RUN.json"),
        }
    }
    if args.json {
        summary::json(&Summary::of(&record));
    }
    Ok(record.verdict.exit_code())
}

/// Runs a plan from a file and prints its summary.
pub(super) fn worker(system: System, args: &WorkerArgs) -> Result<u8, Problem> {
    let plan: Plan = serde_json::from_slice(&std::fs::read(&args.plan)?)?;
    (system.last_words)(summary::last_words(&plan, &[], (false, true)), Verdict::Crashed.exit_code());
    let record = held(system, &plan, Duration::from_secs(args.max_wall_s), |_| {})?;
    if let Some(out) = &args.out {
        files::write_json(out, &record)?;
    }
    summary::json(&Summary::of(&record));
    Ok(record.verdict.exit_code())
}

/// A seed that nobody chose.
pub(super) fn fresh_seed() -> u64 {
    let mut bytes = [0_u8; 4];
    // Without the system's chance any seed is as good as another.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u64::from(u32::from_le_bytes(bytes))
}

/// Keeps the record of a failure under a name that says which it is.
pub(super) fn keep_failure(folder: &Path, record: &Record) -> Result<Option<PathBuf>, Problem> {
    if record.verdict == Verdict::Held {
        return Ok(None);
    }
    let path = folder.join(format!("FAILURE-{}-{}.json", record.plan.scenario.name, record.plan.seed));
    files::write_json(&path, record)?;
    Ok(Some(path))
}

/// Becomes the same program at fixed addresses.
fn fixed(system: System) -> Result<u8, Problem> {
    if !(system.fix_addresses)() {
        return Err(Problem("this system does not let a program fix its addresses; nothing was run".to_owned()));
    }
    let error = Command::new(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(FIXED, "1").exec();
    Err(error.into())
}

/// Live progress: a bar on a terminal, a line per phase elsewhere.
struct Show {
    bar: Option<ProgressBar>,
    told: Option<Phase>,
    wanted: bool,
}

impl Show {
    fn new(wanted: bool) -> Show {
        let bar = (wanted && std::io::stdout().is_terminal()).then(|| {
            let bar = ProgressBar::new(1);
            let style = ProgressStyle::with_template("{msg:<10}{wide_bar} {prefix}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Show { bar, told: None, wanted }
    }

    fn draw(&mut self, progress: Progress) {
        if progress.of_ms == 0 {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.set_length(progress.of_ms);
            bar.set_position(progress.virtual_ms);
            bar.set_message(progress.phase.name());
            bar.set_prefix(format!("{} of {} s", progress.virtual_ms / 1_000, progress.of_ms / 1_000));
            return;
        }
        if self.wanted && self.told != Some(progress.phase) {
            self.told = Some(progress.phase);
            // A phase is heard of a second after it began.
            let from_s = (progress.virtual_ms / 1_000).saturating_sub(1);
            line(format_args!("          {from_s:>6} s  {}", progress.phase.name()));
        }
    }

    fn end(&self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}
