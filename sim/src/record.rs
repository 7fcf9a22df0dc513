//! What a run leaves behind: the verdict, what it needs to be repeated, and what happened when.

use serde::{Deserialize, Serialize};

use crate::{plan::Plan, world::HostId};

/// The whole of a run, as JSON in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// How it ended.
    pub verdict: Verdict,
    /// Commit of the program that ran; a replay on another one is refused.
    pub commit: String,
    /// What was run.
    pub plan: Plan,
    /// Fingerprint of everything that happened.
    #[serde(with = "hex")]
    pub digest: u64,
    /// Fingerprints on the way, one every `marks_every` events: where two runs began to differ.
    pub marks: Vec<u64>,
    /// Events between two marks.
    pub marks_every: u64,
    /// Events in all.
    pub events: u64,
    /// Universe time at the end, ms.
    pub virtual_ms: u64,
    /// Real time that it took, ms; not part of what must repeat.
    pub wall_ms: u64,
    /// What failed first, if anything did.
    pub failure: Option<Failure>,
    /// What happened when.
    pub timeline: Vec<Happening>,
    /// What was reached: fault kinds, states, refusal codes, each with its count.
    pub reached: std::collections::BTreeMap<String, u64>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every oracle held. Exit code 0.
    Held,
    /// A panic or an abort. Exit code 127.
    Crashed,
    /// Nothing moved, or not within bounds. Exit code 128.
    NoProgress,
    /// An oracle's claim was broken. Exit code 129.
    Wrong,
}

impl Verdict {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Held => 0,
            Verdict::Crashed => 127,
            Verdict::NoProgress => 128,
            Verdict::Wrong => 129,
        }
    }
}

/// What failed first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Name of the oracle, or `panic`, `deadlock`, `livelock`, `out-of-time`.
    pub oracle: String,
    /// Its claim in words.
    pub claim: String,
    /// When, virtual ms.
    pub at_ms: u64,
    /// What was seen instead.
    pub detail: String,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// When, virtual ms.
    pub at_ms: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What can be told of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum What {
    /// A phase began.
    Phase {
        /// Its name: warm, chaos, quiet, core, heal, audit.
        name: String,
    },
    /// A planned fault began; `done` false when it could not happen.
    FaultBegan {
        /// Its number in the plan.
        number: u32,
        /// Whether it was done.
        done: bool,
    },
    /// A planned fault ended.
    FaultEnded {
        /// Its number in the plan.
        number: u32,
    },
    /// A host's node was started or cut off.
    Host {
        /// Whose.
        host: HostId,
        /// Running or not.
        up: bool,
    },
    /// A host's part in its domain changed.
    Role {
        /// Whose.
        host: HostId,
        /// leader, follower, candidate, learner, stopped.
        role: String,
        /// Raft term.
        term: u64,
    },
    /// A transfer between domains reached a state in its origin's log.
    Transfer {
        /// Its id.
        id: String,
        /// begun, voted, committed, aborted, closed.
        state: String,
        /// From which domain.
        from: String,
        /// To which domain.
        to: String,
        /// Minor units.
        amount: u64,
    },
    /// The books of a domain, now and then.
    Books {
        /// Which domain.
        domain: String,
        /// Account kind and its sum over all accounts, minor units.
        sums: std::collections::BTreeMap<String, i128>,
    },
    /// Something worth a line.
    Note {
        /// The line.
        text: String,
    },
}

/// Digests as 16 hexadecimal digits: JSON numbers lose them.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{value:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}
