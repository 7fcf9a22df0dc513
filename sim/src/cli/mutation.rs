//! The mutation gate: every planted bug must be caught by an oracle within a bound of seeds.
//!
//! An oracle that has never been seen to fail proves nothing. A plant is tried on one seed after another, each in a
//! process of its own, until a universe goes wrong; the table says which oracle saw it first and how many seeds it took.
//! A plant that is not caught within the bound fails the gate.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use comity_proto::planted::Plant;
use serde::{Deserialize, Serialize};

/// What became of one plant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Caught {
    /// Its name.
    pub(super) plant: String,
    /// Which oracle saw it first; `None` when none did.
    pub(super) oracle: Option<String>,
    /// At which seed.
    pub(super) seed: u64,
    /// Seeds that it took.
    pub(super) seeds: u64,
    /// What the oracle said.
    pub(super) detail: String,
}

/// What one universe said in its own process: the line that a child prints.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    /// Name of the oracle that failed, if one did.
    pub(super) oracle: Option<String>,
    /// What it said.
    pub(super) detail: String,
}

/// The plants of a quick gate: one of every kind, each caught by few seeds.
pub(super) const QUICK: &[Plant] = &[
    Plant::SkipSync,
    Plant::AckEarly,
    Plant::NoRequestMemory,
    Plant::AcceptUnsigned,
    Plant::FeeRoundedUp,
    Plant::StaleRead,
    Plant::LostRow,
    Plant::OlderCard,
];

/// Runs the gate: `plants` against seeds from `from` on, at most `bound` each. `child` makes the command that runs one
/// plant on one seed and prints [`Told`] as one line of JSON.
pub(super) fn gate(plants: &[Plant], from: u64, bound: u64, child: impl Fn(Plant, u64) -> Command) -> Vec<Caught> {
    plants.iter().map(|plant| try_plant(*plant, from, bound, &child)).collect()
}

fn try_plant(plant: Plant, from: u64, bound: u64, child: &impl Fn(Plant, u64) -> Command) -> Caught {
    let began = Instant::now();
    for seed in from..from + bound {
        let told = run_child(child(plant, seed));
        if let Some(oracle) = told.oracle {
            let seeds = seed - from + 1;
            eprintln!("{:<20} {oracle:<22} seed {seed:<6} {seeds} seeds, {:?}", plant.name(), began.elapsed());
            return Caught { plant: plant.name().to_owned(), oracle: Some(oracle), seed, seeds, detail: told.detail };
        }
    }
    eprintln!("{:<20} NOT CAUGHT within {bound} seeds, {:?}", plant.name(), began.elapsed());
    Caught { plant: plant.name().to_owned(), oracle: None, seed: 0, seeds: bound, detail: String::new() }
}

fn run_child(mut command: Command) -> Told {
    let ended = command.stdin(Stdio::null()).stderr(Stdio::null()).output();
    let Ok(output) = ended else {
        return Told { oracle: None, detail: "the child did not start".to_owned() };
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    // A child that ended without a word died: that is seen, too.
    told.unwrap_or_else(|| Told { oracle: Some("abort".to_owned()), detail: format!("{}", output.status) })
}

/// The table for people.
pub(super) fn table(caught: &[Caught]) -> String {
    let mut text = format!("{:<20} {:<24} {:>8} {:>8}\n", "plant", "caught by", "at seed", "seeds");
    for line in caught {
        let oracle = line.oracle.as_deref().unwrap_or("NOT CAUGHT");
        text.push_str(&format!("{:<20} {oracle:<24} {:>8} {:>8}\n", line.plant, line.seed, line.seeds));
    }
    let missed = caught.iter().filter(|line| line.oracle.is_none()).count();
    text.push_str(&format!("{} of {} caught\n", caught.len() - missed, caught.len()));
    text
}
