//! A false world for the real node: many hosts in one process, in virtual time, from one seed.
//!
//! | module | what |
//! |---|---|
//! | `world` | time, chance, tasks and clocks |
//! | `net` | connections between hosts |
//! | `hosts` | machines with the shipping node on them |
//! | `scenario` | what a person asks for |
//! | `plan` | what a seed makes of it |
//! | `faults` | what goes wrong |
//! | `workload` | what people and agents do |
//! | `oracles` | what must hold |
//! | `run` | one universe from beginning to verdict |
//! | `record` | what it leaves behind |
//! | `scale` | how cards spread over many nodes |
//!
//! The node's own code is not changed and not told.
//!
//! Deliberately absent: any rule of the product. What must hold is said by oracles that only look.

#![forbid(unsafe_code)]

pub mod faults;
pub mod hosts;
pub mod net;
pub mod oracles;
pub mod plan;
pub mod record;
pub mod run;
pub mod scale;
pub mod scenario;
pub mod workload;
pub mod world;
