//! What can go wrong, by name.
//!
//! A fault is data: a plan lists them with their times, a failure file carries them, and shrinking takes them out one by
//! one. `apply` does them to a universe and takes them back; `conduct` does it at their time, or when a state is seen.
//!
//! | module | holds |
//! |---|---|
//! | `fault`, `who` | the faults and whom they hit |
//! | `kinds` | the table of kinds, and those that wait for parts of the node |
//! | `draw` | which of them a seed draws |
//! | `apply` | doing each of them |
//! | `atlas` | which disks may lose what, so that no domain loses what it promised |
//! | `renumber` | a fault in a universe with fewer hosts |
//! | `trigger` | faults that wait for a state of a settlement |
//! | `conduct` | all of a plan, and healing |

mod apply;
mod atlas;
mod conduct;
mod draw;
mod fault;
mod kinds;
mod renumber;
mod trigger;
mod who;

pub use conduct::{Conductor, Tell};
pub use draw::draw;
pub use fault::{Fault, Keep};
pub use kinds::{Class, KINDS, Kind, NAMED, WAITING, Waiting};
pub(crate) use renumber::Number;
pub use trigger::{Seen, State, When};
pub use who::{Part, Who};
