//! The scenarios that are shipped, each in a file of its own.

use super::{Scenario, read};

macro_rules! ready {
    ($($name:literal),+ $(,)?) => {
        /// Names and texts of the scenarios that can be run, in the order of reading.
        pub const READY: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../scenarios/", $name, ".toml")))),+];
    };
}

ready![
    "two-domains",
    "partition-2pc",
    "coordinator-crash",
    "participant-crash",
    "three-domain-across",
    "bridged",
    "unpeer-in-doubt",
    "revoke-under-load",
    "rotation-during-partition",
    "equivocating-origin",
    "stolen-key",
    "export-race",
    "drift-and-repair",
    "restored-domain",
    "slow-disk",
    "torn-disk",
    "clock-chaos",
    "flapping-laptop",
    "late-joiner",
    "same-key-restart",
    "first-publish",
    "flood",
    "forged-and-replayed",
    "long-horizon",
    "quiet-hours",
];

/// All that can be run.
pub fn ready() -> impl Iterator<Item = Scenario> {
    READY.iter().filter_map(|(name, _)| named(name))
}

/// The shipped scenario of this name.
pub fn named(name: &str) -> Option<Scenario> {
    let (name, text) = READY.iter().find(|(known, _)| *known == name)?;
    read(&format!("{name}.toml"), text).ok()
}

/// What was probably meant, if anything is near enough.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|name| (strsim::damerau_levenshtein(word, name), name)).min()?;
    // Beyond two changes, or half of a short word, a guess misleads.
    (near.0 <= 2.max(word.len() / 3) && near.0 < near.1.len()).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::State;
    use std::collections::BTreeSet;

    #[test]
    fn every_shipped_file_is_listed_read_and_named_as_its_file() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("the folder is there")
            .filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
            .collect();
        let listed: BTreeSet<String> = READY.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(files, listed);
        for (name, text) in READY {
            let scenario = read(&format!("{name}.toml"), text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(scenario.name, *name);
        }
        assert_eq!(ready().count(), READY.len());
    }

    /// Cuts and crashes that wait for a state: none of them is left to the clock.
    #[test]
    fn settlement_scenarios_wait_for_every_state() {
        for name in ["partition-2pc", "coordinator-crash", "participant-crash"] {
            let scenario = named(name).expect("it is shipped");
            let waits = || scenario.script.iter().filter_map(|scripted| scripted.when);
            for state in State::ALL {
                assert!(waits().any(|when| when.state == state), "{name} does nothing at {}", state.name());
            }
            for commit in [true, false] {
                assert!(waits().any(|when| when.state == State::Decided && when.commit == Some(commit)), "{name}");
            }
            let moments = scenario.reaches.iter().filter(|key| key.starts_with("moment:")).count();
            assert_eq!(moments, 10, "{name} says what it must reach");
        }
    }

    #[test]
    fn what_was_meant_is_near_and_not_far() {
        let names = || READY.iter().map(|(name, _)| *name);
        assert_eq!(nearest("two-domain", names()), Some("two-domains"));
        assert_eq!(nearest("clockchaos", names()), Some("clock-chaos"));
        assert_eq!(nearest("quantum-foam", names()), None);
    }
}
