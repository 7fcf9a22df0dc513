//! What can go wrong, by name.
//!
//! A fault is data: a plan lists them with their times, a failure file carries them, and shrinking takes them out one by
//! one. `apply` does them to a universe and takes them back.

mod apply;
mod draw;

pub use apply::apply;
pub use draw::draw;

use serde::{Deserialize, Serialize};

use crate::world::HostId;

/// One fault. Hosts are numbers in the universe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Nothing passes between the two sides, either way.
    Partition {
        /// One side.
        side: Vec<HostId>,
    },
    /// Nothing passes from one host to another; the way back is open.
    OneWay {
        /// From.
        from: HostId,
        /// To.
        to: HostId,
    },
    /// Power cut; unflushed bytes are lost. Restarted when the fault ends.
    Crash {
        /// Whose.
        host: HostId,
    },
    /// The process stands still, its clocks go on.
    Pause {
        /// Whose.
        host: HostId,
    },
    /// The clocks run fast or slow.
    Drift {
        /// Whose.
        host: HostId,
        /// Millionths gained (negative: lost).
        ppm: i64,
    },
}

impl Fault {
    /// The name of its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Partition { .. } => "partition",
            Fault::OneWay { .. } => "one-way",
            Fault::Crash { .. } => "crash",
            Fault::Pause { .. } => "pause",
            Fault::Drift { .. } => "drift",
        }
    }
}

/// All kinds that can be drawn.
pub const KINDS: &[&str] = &["partition", "one-way", "crash", "pause", "drift"];
