//! Where each planted bug shows: one table, one scenario a bug, of the gate's own or a shipped one.
//!
//! A scenario of the gate makes happen at set times, or at set states of a payment, what chance brings about seldom: few
//! seeds suffice then. They are no test of the node, so they are not among the scenarios that are shipped.

use comity_proto::planted::Plant;

use crate::{
    cli::files::{self, Problem},
    scenario::{self, Scenario},
};

macro_rules! own {
    ($($name:literal),+ $(,)?) => {
        /// Names and texts of the gate's own scenarios.
        const OWN: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../../gate/", $name, ".toml")))),+];
    };
}

own!["calm", "power", "border", "heirs", "clocks", "crowd", "third"];

/// Bugs with seeds at which they are known to be caught, cheap enough to try each time.
const QUICK: &str = include_str!("../../../gate/quick.txt");

/// The scenario in which a bug shows.
pub(super) const fn of(plant: Plant) -> &'static str {
    use Plant as P;
    match plant {
        // What a client does wrong, or twice, or late, is enough.
        P::AckEarly
        | P::LostRow
        | P::NoRequestMemory
        | P::AcceptUnsigned
        | P::Overdraft
        | P::FeeRoundedUp
        | P::RefundEarly
        | P::AnyHash
        | P::ReleaseInDispute
        | P::NameTakenOver
        | P::DoubleBegin
        | P::NoIsYes
        | P::OlderCard
        | P::LeakTask => "calm",
        // What was only in memory is gone after a power cut; names are asked for again after a start from a snapshot;
        // cards are published while a node is away.
        P::SkipSync | P::ForgetVote | P::SnapshotGap | P::NoRepair => "power",
        // The border closes between two steps of a payment: a word is lost, comes late, or comes twice.
        P::UnlockAfterYes | P::CommitLate | P::VoteTwice | P::CreditTwice => "border",
        // An old leader is asked that nobody follows any more; a new one must say what the old one had decided.
        P::StaleRead | P::SaidOnce => "heirs",
        // One clock after the other goes back while its host leads.
        P::OwnClock => "clocks",
        // Three domains, two of which vote.
        P::OneYesOfTwo | P::MintUnbacked => "third",
        // Whatever a scenario that is shipped does to treaties, exports and whole domains.
        P::ExportBlind => "export-race",
        P::PeerUnheeded | P::TreatyUntold => "revoke-under-load",
        P::TwoWordsTaken | P::ProofUntold | P::ProjectionUnproved => "equivocating-origin",
        P::DriftBlind | P::DriftOpen => "drift-and-repair",
        P::NoFence | P::PaidAgain => "restored-domain",
        // An operator drains while payments are under way.
        P::CloseInDoubt => "unpeer-in-doubt",
        // A node has another key in the roster before it has it in its hand.
        P::NoOverlap | P::OneWord => "rotation-during-partition",
        // Only a gateway joins two domains there.
        P::NoPassage => "bridged",
        // A thief shows a certificate that its owner takes back.
        P::TakenBackCounts | P::RoundedSupply => "stolen-key",
        // Many requests in one entry, of different outcomes.
        P::CrossedAnswers => "crowd",
    }
}

/// A scenario of the gate, or any that `run` takes.
pub(super) fn scenario(name: &str) -> Result<Scenario, Problem> {
    match OWN.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Ok(scenario::read(&file_of(name), text)?),
        None => files::scenario(name),
    }
}

/// As `run --scenario` takes it, from the root of the repository.
pub(super) fn file_of(name: &str) -> String {
    let is_own = OWN.iter().any(|(known, _)| *known == name);
    if is_own { format!("sim/gate/{name}.toml") } else { name.to_owned() }
}

/// The bug of this name.
pub(super) fn named(name: &str) -> Result<Plant, Problem> {
    let all = Plant::ALL;
    all.iter().copied().find(|plant| plant.name() == name).ok_or_else(|| {
        let near = scenario::nearest(name, all.iter().map(|plant| plant.name()));
        let help = near.map_or_else(
            || all.iter().map(|plant| plant.name()).collect::<Vec<_>>().join(", "),
            |near| format!("did you mean {near}?"),
        );
        Problem(format!("no planted bug is called {name}; {help}; nothing was run"))
    })
}

/// The bugs of the quick set with their seeds.
pub(super) fn quick() -> Result<Vec<(Plant, u64)>, Problem> {
    let lines = QUICK.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(pair).collect()
}

fn pair(line: &str) -> Result<(Plant, u64), Problem> {
    let mut words = line.split_whitespace();
    match (words.next(), words.next().map(str::parse), words.next()) {
        (Some(name), Some(Ok(seed)), None) => Ok((named(name)?, seed)),
        _ => Err(Problem(format!("`{line}` in sim/gate/quick.txt is no name with a seed; nothing was run"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_bug_has_a_scenario_that_can_be_read_and_every_scenario_of_the_gate_has_a_bug() {
        let used: BTreeSet<&str> = Plant::ALL.iter().map(|plant| of(*plant)).collect();
        assert!(OWN.iter().all(|(name, _)| used.contains(name)));
        for name in used {
            let read = scenario(name).unwrap_or_else(|Problem(why)| panic!("{why}"));
            assert_eq!(read.name, name);
        }
    }

    #[test]
    fn the_quick_set_names_each_bug_at_most_once() {
        let quick = quick().unwrap_or_else(|Problem(why)| panic!("{why}"));
        let names: BTreeSet<&str> = quick.iter().map(|(plant, _)| plant.name()).collect();
        assert!(names.len() == quick.len() && names.len() >= 18, "{names:?}");
    }

    #[test]
    fn what_is_no_bug_is_refused_with_the_nearest_one() {
        let refused = |line| pair(line).err().map(|Problem(why)| why).unwrap_or_default();
        assert!(refused("skip-synk 3").contains("did you mean skip-sync?"));
        assert!(refused("skip-sync").contains("no name with a seed"));
        assert!(refused("skip-sync three").contains("no name with a seed"));
    }
}
