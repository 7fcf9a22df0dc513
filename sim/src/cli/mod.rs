//! The command line: the only part of the simulator that touches the real machine.
//!
//! A run is held on a thread of its own (see `held`); everything here happens outside of it. Many runs are many
//! processes: a process that has run once is not fresh any more.

pub mod args;
mod child;
mod files;
mod gate;
mod held;
mod list;
mod output;
mod replay;
mod report;
mod run;
mod scale;
mod shrink;
mod summary;
mod sweep;
mod system_calls;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use files::Problem;

/// The commit that this program was built from; `-dirty-…` names changes that are not committed.
pub const COMMIT: &str = env!("COMITY_COMMIT");

/// What the binary does to the process, as a library may not.
#[derive(Clone, Copy)]
pub struct System {
    /// From now on chance comes from this seed and real clocks are forbidden, but for spared threads.
    pub hold: fn(u64),
    /// The run is over.
    pub release: fn(),
    /// The calling thread watches runs and takes no part in them.
    pub spare: fn(),
    /// From the next `exec` on addresses are the same in every process; false if that is not allowed here.
    pub fix_addresses: fn() -> bool,
    /// What the process says, and with which exit code it ends, if it aborts from now on.
    pub last_words: fn(String, u8),
}

/// The whole program.
pub fn main(system: System) -> ExitCode {
    (system.spare)();
    crate::memo::install();
    let cli = Cli::parse();
    if std::env::var_os("RUST_LOG").is_some() {
        // Without times: the real clock is out of bounds, and the virtual one is in the lines themselves.
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().without_time().with_writer(std::io::stderr).with_env_filter(filter).init();
    }
    let ended = match cli.command {
        Command::Run(args) => run::run(system, &args),
        Command::Sweep(args) => sweep::sweep(&args),
        Command::Replay(args) => replay::replay(system, &args),
        Command::Shrink(args) => shrink::shrink(&args),
        Command::Report(args) => report::report(&args),
        Command::Scenarios(args) => list::list(&args),
        Command::Core(args) => Ok(crate::core::command::run(&args)),
        Command::Scale(args) => scale::scale(system, &args),
        Command::Gate(args) => gate::gate(&args),
        Command::Planted(args) => gate::planted(system, &args),
        Command::Worker(args) => run::worker(system, &args),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(Problem(text)) => {
            eprintln!("comity-sim: {text}");
            ExitCode::from(1)
        }
    }
}
