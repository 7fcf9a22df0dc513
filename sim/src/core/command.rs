//! `comity-sim core`: runs the models and prints what they saw.

use std::time::Duration;

use clap::Args;

use super::{
    exhaustive::{self, Bounds, Story},
    random::{self, Options},
};

/// Core fidelity: real ledgers over a modelled log and network.
#[derive(Args, Clone, Debug)]
pub struct CoreArgs {
    /// All chance of a random run comes from it.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// So many random runs, one for each seed from the first on: one line in all.
    #[arg(long, default_value_t = 1, conflicts_with = "exhaustive", value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,
    /// Steps of a random run: entries, packets, requests and faults.
    #[arg(long, default_value_t = 1_000_000)]
    pub steps: u64,
    /// Domains of a random run, each of 1, 3 or 5 replicas.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(2..=8))]
    pub domains: u64,
    /// Mean time between two requests of one domain, ms of universe time.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub request_every_ms: u64,
    /// Sign everything and judge every signature, as a node does: some twenty times slower.
    #[arg(long)]
    pub signed: bool,
    /// Walk through every reachable state of one transfer Out and one Back instead.
    #[arg(long)]
    pub exhaustive: bool,
    /// Walk through two transfers that cross.
    #[arg(long, requires = "exhaustive")]
    pub crossing: bool,
    /// Copies of one message under way at once.
    #[arg(long, requires = "exhaustive", value_parser = clap::value_parser!(u32).range(1..=2))]
    pub copies: Option<u32>,
    /// Messages under way at once.
    #[arg(long, requires = "exhaustive", value_parser = clap::value_parser!(u32).range(1..=16))]
    pub in_flight: Option<u32>,
    /// States after which the walk gives up; about 120 bytes each.
    #[arg(long, requires = "exhaustive")]
    pub states_max: Option<usize>,
}

/// Runs what was asked for; the process's exit code: 0 held, 128 not complete, 129 wrong.
pub fn run(args: &CoreArgs) -> u8 {
    if args.exhaustive { walk(args) } else { draw(args) }
}

fn walk(args: &CoreArgs) -> u8 {
    let stories: &[Story] = if args.crossing { &[Story::Crossing] } else { &[Story::Out, Story::Back] };
    for story in stories {
        let mut bounds = if *story == Story::Crossing { Bounds::crossing() } else { Bounds::single() };
        bounds.copies = args.copies.unwrap_or(bounds.copies);
        bounds.in_flight = args.in_flight.unwrap_or(bounds.in_flight);
        bounds.states_max = args.states_max.unwrap_or(bounds.states_max);
        match exhaustive::search(*story, bounds) {
            Ok(summary) => {
                println!("{summary}");
                if !summary.complete {
                    return 128;
                }
            }
            Err(found) => {
                println!("{}: WRONG: {found}", story.name());
                return 129;
            }
        }
    }
    0
}

fn draw(args: &CoreArgs) -> u8 {
    let mut sums = Sums::default();
    for seed in args.seed..args.seed.saturating_add(args.seeds) {
        match draw_one(args, seed) {
            Ok(_) if args.seeds == 1 => {}
            Ok(report) => sums.add(&report),
            Err(Wrong) => return 129,
        }
    }
    if args.seeds > 1 {
        sums.print(args);
    }
    0
}

/// What many runs saw together.
#[derive(Default)]
struct Sums {
    transfers: [u64; 4],
    heals: u64,
    doubt_us: u64,
    virtual_us: u64,
    steps: u64,
}

impl Sums {
    fn add(&mut self, report: &random::Report) {
        self.transfers.iter_mut().zip(report.transfers).for_each(|(sum, count)| *sum += count);
        self.heals += report.heals;
        self.doubt_us = self.doubt_us.max(report.doubt_us);
        self.virtual_us += report.virtual_us;
        self.steps += report.steps;
    }

    fn print(&self, args: &CoreArgs) {
        let [begun, committed, aborted, across] = self.transfers;
        println!("{} seeds from {} held, {} domains, {} steps", args.seeds, args.seed, args.domains, self.steps);
        println!("  {:.0} hours of universe time", self.virtual_us as f64 / 3.6e9);
        println!("  transfers: {begun} begun, {committed} committed ({across} of them across), {aborted} aborted");
        println!("  {} heals; in doubt after one for at most {:.1} s (bar 10)", self.heals, self.doubt_us as f64 / 1e6);
    }
}

/// It is told already.
struct Wrong;

fn draw_one(args: &CoreArgs, seed: u64) -> Result<random::Report, Wrong> {
    let options = Options {
        seed,
        steps: args.steps,
        domains: args.domains as usize,
        request_every_ms: args.request_every_ms,
        signed: args.signed,
        ..Options::default()
    };
    let before = on_core();
    let ended = random::run(options);
    let took = on_core().saturating_sub(before);
    match ended {
        Ok(report) => {
            if args.seeds == 1 {
                print(&report, took);
            }
            Ok(report)
        }
        Err(wrong) => {
            println!("seed {seed}: WRONG at step {}, {} ms: {}", wrong.step, wrong.at_us / 1_000, wrong.what);
            println!(
                "again: comity-sim core --seed {seed} --steps {} --domains {} --request-every-ms {}",
                args.steps, args.domains, args.request_every_ms
            );
            Err(Wrong)
        }
    }
}

fn print(report: &random::Report, took: Duration) {
    let virtual_s = report.virtual_us as f64 / 1e6;
    let cpu_s = took.as_secs_f64().max(1e-6);
    println!("seed {} held, digest {:016x}", report.options.seed, report.digest);
    println!("  {} steps in {cpu_s:.2} s of one core: {:.0} steps a second", report.steps, report.steps as f64 / cpu_s);
    println!(
        "  {virtual_s:.0} s of universe time / {cpu_s:.2} s of processor time = {:.0} x real time (bar 10000), {} domains, one \
         request per domain and {} ms, {}",
        virtual_s / cpu_s,
        report.options.domains,
        report.options.request_every_ms,
        if report.options.signed { "signed" } else { "signatures believed" }
    );
    let [begun, committed, aborted, across] = report.transfers;
    println!("  transfers: {begun} begun, {committed} committed ({across} of them across), {aborted} aborted");
    println!("  {} heals; in doubt after one for at most {:.1} s (bar 10)", report.heals, report.doubt_us as f64 / 1e6);
    for (what, count) in &report.counts {
        println!("  {count:>9} {what}");
    }
}

/// Processor time of this process so far.
fn on_core() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
