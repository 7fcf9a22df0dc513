//! What can be asked for.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// The shipping node in a false world: a seed is a whole universe of partitions, crashes and time-outs.
///
/// Exit codes of run and replay: 0 every claim held, 127 a crash, 128 no progress, 129 a claim was broken, 1 the input
/// was refused or a replay differed.
#[derive(Debug, Parser)]
#[command(name = "comity-sim", version = super::COMMIT, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lives through one universe and says what was broken and what held.
    Run(RunArgs),
    /// Lives through many, one process each: failures by seed, coverage, speed.
    Sweep(SweepArgs),
    /// Lives through a kept universe again, byte for byte.
    Replay(ReplayArgs),
    /// Finds less of a failure that fails the same way.
    Shrink(ShrinkArgs),
    /// Draws a kept universe as one HTML page that needs no network.
    Report(ReportArgs),
    /// Lists the scenarios that are shipped.
    Scenarios(ScenariosArgs),
    /// Walks real ledgers over a modelled log and network: millions of steps, or every state.
    Core(crate::core::command::CoreArgs),
    /// Measures how a card spreads over many nodes of the shipping mesh.
    Scale(ScaleArgs),
    /// Plants bugs on purpose and asks whether an oracle sees each (needs the feature `planted`).
    Gate(GateArgs),
    /// One universe with one bug, or with none; for `gate`.
    #[command(hide = true)]
    Planted(PlantedArgs),
    /// Runs a plan that is not drawn; for `shrink`.
    #[command(hide = true)]
    Worker(WorkerArgs),
}

/// Of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A shipped scenario (see `comity-sim scenarios`) or a TOML file.
    #[arg(long, default_value = "two-domains")]
    pub scenario: String,
    /// Which universe; drawn afresh, and printed, when absent.
    #[arg(long, value_parser = seed)]
    pub seed: Option<u64>,
    /// Keeps the whole record here, for `report` and `replay`.
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
    /// Where the record of a failure is kept.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub failures: PathBuf,
    /// Prints one JSON object as the last line.
    #[arg(long)]
    pub json: bool,
    /// Prints nothing but the JSON object.
    #[arg(long, requires = "json")]
    pub quiet: bool,
    /// Stops a universe that takes longer than this in real time, seconds, and says who waited for what.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub max_wall_s: u64,
    /// Runs in a process whose addresses are the same every time.
    #[arg(long)]
    pub fixed_addresses: bool,
}

/// Of `sweep`.
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// A shipped scenario, a TOML file, `quick` for all shipped ones of a few virtual minutes, or `all`.
    #[arg(long, default_value = "two-domains")]
    pub scenario: String,
    /// How many seeds of each scenario.
    #[arg(long, default_value_t = 100, conflicts_with = "fresh")]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1, value_parser = seed)]
    pub from: u64,
    /// Draws so many seeds of each scenario afresh, and prints them.
    #[arg(long, value_name = "N")]
    pub fresh: Option<u64>,
    /// Universes at a time; default: one per core.
    #[arg(long)]
    pub jobs: Option<usize>,
    /// Keeps the results here and skips seeds that this program has done already.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Share of the universes that are lived through twice: their digests must agree.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    pub twice: f64,
    /// Stops after so many real seconds; seeds that are not done are said.
    #[arg(long, value_name = "SECONDS")]
    pub budget_s: Option<u64>,
    /// As in `run`, for each universe.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub max_wall_s: u64,
    /// Prints one JSON object as the last line.
    #[arg(long)]
    pub json: bool,
}

/// Of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A record, such as `FAILURE-two-domains-7.json`.
    pub record: PathBuf,
    /// Also if it is of another commit: it may end in another way then.
    #[arg(long)]
    pub any_commit: bool,
    /// Keeps the new record here.
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
    /// As in `run`.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub max_wall_s: u64,
}

/// Of `shrink`.
#[derive(Debug, Args)]
pub struct ShrinkArgs {
    /// The record of a failure.
    pub record: PathBuf,
    /// Where the smaller one goes.
    #[arg(short, long, value_name = "FILE.json", default_value = "SHRUNK.json")]
    pub out: PathBuf,
    /// Universes at a time; default: one per core.
    #[arg(long)]
    pub jobs: Option<usize>,
    /// Universes in all; the smallest failure so far is kept when they are used up.
    #[arg(long, default_value_t = 600)]
    pub max_runs: usize,
    /// Also if it is of another commit: the failure must still be there.
    #[arg(long)]
    pub any_commit: bool,
}

/// Of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A record.
    pub record: PathBuf,
    /// Where the page goes; default: beside the record.
    #[arg(short, long, value_name = "PAGE.html")]
    pub out: Option<PathBuf>,
}

/// Of `scenarios`.
#[derive(Debug, Args)]
pub struct ScenariosArgs {
    /// Prints the text of one of them, to start your own from.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Prints JSON.
    #[arg(long, conflicts_with = "name")]
    pub json: bool,
}

/// Of `scale`.
#[derive(Debug, Args)]
pub struct ScaleArgs {
    /// How many nodes.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub nodes: u32,
    /// How many others each node dials.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=32))]
    pub dials: u32,
    /// Shortest and longest link, ms one way, as `10-150`.
    #[arg(long, value_name = "FROM-TO", default_value = "10-150", value_parser = range)]
    pub link_ms: (u64, u64),
    /// Share of packets that are lost and sent again.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub loss: f64,
    /// Share of the nodes that go away, and come back, per virtual second.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub churn: f64,
    /// Cards published, one after the other.
    #[arg(long, default_value_t = 10)]
    pub cards: usize,
    /// Nodes that die without a word afterwards, one after the other; 0: only cards are measured.
    #[arg(long, default_value_t = 3)]
    pub deaths: usize,
    /// Draws graph and links.
    #[arg(long, default_value_t = 1, value_parser = seed)]
    pub seed: u64,
    /// Where the JSON and the picture go.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Of `gate`.
#[derive(Debug, Args)]
pub struct GateArgs {
    /// Only bugs with a seed at which each is known to be caught, and that seed alone.
    #[arg(long)]
    pub quick: bool,
    /// Only this one.
    #[arg(long, value_name = "NAME", conflicts_with = "quick")]
    pub plant: Option<String>,
    /// Seeds within which each must be caught.
    #[arg(long, default_value_t = 500, conflicts_with = "quick")]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1, value_parser = seed, conflicts_with = "quick")]
    pub from: u64,
    /// Where they are planted instead of in the scenario in which each shows.
    #[arg(long, conflicts_with = "quick")]
    pub scenario: Option<String>,
    /// Universes at a time; default: one per core.
    #[arg(long)]
    pub jobs: Option<usize>,
    /// As in `run`, for each universe.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub max_wall_s: u64,
    /// Prints one JSON object as the last line.
    #[arg(long)]
    pub json: bool,
}

/// Of `planted`.
#[derive(Debug, Args)]
pub struct PlantedArgs {
    /// Which bug; none when absent.
    #[arg(long)]
    pub plant: Option<String>,
    /// A scenario of the gate, or as in `run`.
    #[arg(long)]
    pub scenario: String,
    /// As in `run`.
    #[arg(long, value_parser = seed)]
    pub seed: u64,
    /// As in `run`.
    #[arg(long, default_value_t = 300)]
    pub max_wall_s: u64,
}

/// Of `worker`.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// A plan as JSON.
    pub plan: PathBuf,
    /// Keeps the record here.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// As in `run`.
    #[arg(long, default_value_t = 900)]
    pub max_wall_s: u64,
}

/// A number, decimal or with `0x`.
fn seed(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}; a seed is a number from 0 to {}", u64::MAX))
}

/// Two numbers with a dash between them, the smaller first.
fn range(text: &str) -> Result<(u64, u64), String> {
    let parsed = text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    parsed.filter(|(from, to)| from <= to).ok_or_else(|| "two numbers as in 10-150, the smaller first".to_owned())
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let parsed: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..=1.0).contains(&parsed) { Ok(parsed) } else { Err("a share is a number from 0 to 1".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn seeds_are_numbers_in_either_writing() {
        assert_eq!((seed("7"), seed("0xff")), (Ok(7), Ok(255)));
        assert!(seed("seven").is_err() && seed("-1").is_err());
    }
}
