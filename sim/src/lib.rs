//! A false world for the real node: many hosts in one process, in virtual time, from one seed.
//!
//! | module | what |
//! |---|---|
//! | `world` | time, chance, tasks and clocks |
//! | `net` | connections between hosts |
//! | `disk` | their disks |
//! | `hosts` | machines with the shipping node on them |
//! | `scenario` | what a person asks for |
//! | `plan` | what a seed makes of it |
//! | `faults` | what goes wrong |
//! | `adversary` | somebody who lies |
//! | `workload` | what people and agents do |
//! | `observe` | what happened, exactly |
//! | `oracles` | what must hold |
//! | `run` | one universe from beginning to verdict |
//! | `record` | what it leaves behind |
//! | `scale` | how cards spread over many nodes |
//! | `core` | real ledgers over a modelled log and network: millions of steps, every state |
//! | `shrink` | less of it that fails the same way |
//! | `coverage` | what many runs reached |
//! | `report` | a page that shows one |
//! | `cli` | the command line, the only part that touches the real machine |
//!
//! The node's own code is not changed and not told.
//!
//! Deliberately absent: any rule of the product. What must hold is said by oracles that only look.

#![forbid(unsafe_code)]

pub mod adversary;
pub mod cli;
pub mod core;
pub mod coverage;
pub mod disk;
pub mod faults;
pub mod hosts;
mod memo;
pub mod net;
pub mod observe;
pub mod oracles;
pub mod plan;
pub mod record;
pub mod report;
pub mod run;
pub mod scale;
pub mod scenario;
pub mod shrink;
pub mod workload;
pub mod world;
