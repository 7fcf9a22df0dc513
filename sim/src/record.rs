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
        /// Account kind and its sum over all accounts, minor units; as text in JSON, whose numbers lose digits.
        #[serde(with = "sums")]
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

/// Sums as text: a number of 128 bits passes neither a flattened structure nor a browser.
mod sums {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::collections::BTreeMap;

    pub(super) fn serialize<S: Serializer>(value: &BTreeMap<String, i128>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(value.iter().map(|(kind, sum)| (kind, sum.to_string())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, i128>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
        texts.into_iter().map(|(kind, sum)| Ok((kind, sum.parse().map_err(D::Error::custom)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    #[test]
    fn everything_that_can_be_told_survives_its_file() {
        let sums = [("agents".to_owned(), i128::from(u64::MAX) * -3)].into();
        let text = |text: &str| text.to_owned();
        let told = [
            What::Phase { name: text("warm") },
            What::FaultBegan { number: 1, done: true },
            What::FaultEnded { number: 1 },
            What::Host { host: 2, up: false },
            What::Role { host: 2, role: text("leader"), term: 3 },
            What::Transfer { id: text("a"), state: text("voted"), from: text("x"), to: text("y"), amount: u64::MAX },
            What::Books { domain: text("alpha"), sums },
            What::Note { text: text("a line") },
        ];
        for what in told {
            let happening = Happening { at_ms: 5, what };
            let json = serde_json::to_string(&happening).expect("it is written");
            assert_eq!(serde_json::from_str::<Happening>(&json).expect(&json), happening);
        }
    }

    #[test]
    fn every_plan_survives_its_file_to_the_last_bit() {
        for scenario in scenario::ready() {
            for seed in 0..40 {
                let plan = Plan::draw(seed, &scenario);
                let json = serde_json::to_string(&plan).expect("it is written");
                assert_eq!(serde_json::from_str::<Plan>(&json).expect("it is read"), plan, "seed {seed}: {json}");
            }
        }
    }
}
