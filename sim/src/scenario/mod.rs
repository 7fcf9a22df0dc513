//! What a universe is made of and what is to happen in it, as a person writes it in TOML.
//!
//! A scenario says what may happen; a seed draws what does (see `plan`).
//!
//! | module | holds |
//! |---|---|
//! | `library` | the scenarios that are shipped |
//! | `read` | a file to a scenario, or to an error with line and column |
//! | `check` | what a parser cannot know |

mod check;
mod library;
mod read;

pub use library::{READY, named, nearest, ready};
pub use read::{BadScenario, read};

use comity_node::config::{LogSizes, RaftTiming};
use serde::{Deserialize, Serialize};

use crate::{
    faults::{Fault, When},
    net::LinkProfile,
    world::Policy,
};

/// One scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name, as in `--scenario`.
    pub name: String,
    /// What it shows, in a sentence.
    pub about: String,
    /// What its oracles expect, in words.
    pub expect: String,
    /// What must have happened at least once in each of its universes, as records count it: `fault:crash`,
    /// `crash:in-a-flush`. A universe in which it did not shows nothing of what the scenario is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reaches: Vec<String>,
    /// The only claims that are asked, by their oracles' names; empty: all. For universes in which a domain breaks what the
    /// others rest on, as when all of it comes back from an older copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<String>,
    /// Nodes look at their peers' checkpoints and tell each other of proofs, and operators look at what they found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub witnesses: bool,
    /// Domains sign cards of themselves, which bring everybody their figures and the certificates that they took back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub domain_cards: bool,
    /// The domains.
    pub domains: Vec<DomainSpec>,
    /// Links that are not described.
    #[serde(default)]
    pub link: LinkProfile,
    /// Links between two domains (or within one), where they differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkSpec>,
    /// Domains whose nodes pass between two others that do not reach each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<GatewaySpec>,
    /// Above this amount, minor units, all treaties ask for words of most voters of a payment's origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub majority_above: Option<u64>,
    /// Timing of the consensus.
    #[serde(default)]
    pub raft: RaftTiming,
    /// Sizes of all logs; each domain's are drawn from the seed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogSizes>,
    /// Length of the phases.
    #[serde(default)]
    pub phases: Phases,
    /// What agents do.
    #[serde(default)]
    pub load: Load,
    /// What goes wrong by chance.
    #[serde(default)]
    pub chaos: Chaos,
    /// What goes wrong at a given time, in every universe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<Scripted>,
    /// How the next task is chosen; drawn from the seed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// One domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainSpec {
    /// Display name.
    pub name: String,
    /// How many nodes: 1, 3 or 5.
    pub nodes: usize,
}

/// Links between the nodes of two domains, both ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSpec {
    /// Two names of domains; the same twice for the links inside one.
    pub between: [String; 2],
    /// What these links are like.
    #[serde(flatten)]
    pub profile: LinkProfile,
}

/// A domain of gateways, and the two that reach each other through it alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySpec {
    /// Whose nodes they are.
    pub domain: String,
    /// Two other domains.
    pub between: [String; 2],
}

impl GatewaySpec {
    /// All three names.
    pub fn names(&self) -> [&str; 3] {
        [&self.domain, &self.between[0], &self.between[1]]
    }
}

/// How long each phase lasts, virtual seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phases {
    /// Nothing goes wrong yet: domains are founded, agents funded, treaties set.
    pub warm_s: u64,
    /// Faults: only safety is asked for.
    pub chaos_s: u64,
    /// The load stops, faults stay.
    pub quiet_s: u64,
    /// A drawn core of each domain is healed, the rest stays as it is: the core must make progress alone.
    pub core_s: u64,
    /// Everything is healed: everything pending ends.
    pub heal_s: u64,
}

impl Default for Phases {
    fn default() -> Self {
        Phases { warm_s: 8, chaos_s: 30, quiet_s: 4, core_s: 10, heal_s: 20 }
    }
}

/// What agents do while the load lasts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// Agents in each domain.
    pub agents: usize,
    /// Operations per virtual second of each domain.
    pub per_second: f64,
    /// Share of the operations that cross into another domain.
    pub across: f64,
    /// Share of the payments that cross which are made in the money of a third domain.
    #[serde(default, skip_serializing_if = "is_none_of_it")]
    pub third: f64,
    /// Share of the operations that are escrows (lock, submit, release, dispute, or silence); the rest are transfers.
    pub escrows: f64,
    /// Cards published per virtual second of each domain.
    pub cards_per_second: f64,
}

/// Plans of scenarios without it are what they were before it could be said.
fn is_none_of_it(share: &f64) -> bool {
    *share == 0.0
}

impl Default for Load {
    fn default() -> Self {
        Load { agents: 4, per_second: 4.0, across: 0.6, third: 0.0, escrows: 0.4, cards_per_second: 0.2 }
    }
}

/// What goes wrong by chance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chaos {
    /// Kinds of faults that may be drawn; empty: all. Each seed switches each of them on or off (swarm testing, Groce et
    /// al., ISSTA 2012).
    pub kinds: Vec<String>,
    /// Mean time between two faults, virtual milliseconds; 0: none.
    pub every_ms: u64,
    /// Share of the kinds that a seed switches on.
    pub share: f64,
    /// Strength of all faults, 1 is usual.
    pub strength: f64,
}

impl Default for Chaos {
    fn default() -> Self {
        Chaos { kinds: Vec::new(), every_ms: 2_000, share: 0.5, strength: 1.0 }
    }
}

/// A fault at a given time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scripted {
    /// When it begins, virtual ms since the universe began.
    pub at_ms: u64,
    /// How long it lasts, virtual ms; a crash lasts until the restart.
    pub for_ms: u64,
    /// A state of a settlement that it waits for, not before `at_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// What it is.
    pub fault: Fault,
}

impl Phases {
    /// When everything is healed, virtual ms.
    pub fn heal_at_ms(&self) -> u64 {
        let before = [self.warm_s, self.chaos_s, self.quiet_s, self.core_s];
        before.into_iter().fold(0_u64, u64::saturating_add).saturating_mul(1_000)
    }
}

impl Scenario {
    /// How many hosts it has.
    pub fn hosts(&self) -> u64 {
        self.domains.iter().map(|domain| domain.nodes as u64).sum()
    }

    /// How long it lasts, virtual ms.
    pub fn length_ms(&self) -> u64 {
        self.phases.heal_at_ms().saturating_add(self.phases.heal_s.saturating_mul(1_000))
    }
}
