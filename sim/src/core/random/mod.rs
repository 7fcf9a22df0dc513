//! Long runs from a seed: many agents, every kind of trouble, and every entry checked.
//!
//! A run is a row of stretches. In each the seed draws which kinds of trouble there are; then everything is healed, and
//! every transfer must end. Every entry of every domain goes through [`super::watch`]; now and then, and at every heal,
//! whole ledgers are compared ([`super::pair`]).

mod agents;
mod domain;
mod faults;
mod network;
mod run;
mod world;

pub use run::{Report, Wrong, run};

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// All chance comes from it.
    pub seed: u64,
    /// Steps after which the last stretch ends: entries, packets, requests and faults.
    pub steps: u64,
    /// How many domains; 2 to 8.
    pub domains: usize,
    /// Agents in each.
    pub agents: usize,
    /// Mean time between two requests of one domain, ms of universe time.
    pub request_every_ms: u64,
    /// Whether messages and commands are signed and every signature is judged.
    pub signed: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { seed: 7, steps: 1_000_000, domains: 3, agents: 8, request_every_ms: 5_000, signed: false }
    }
}
