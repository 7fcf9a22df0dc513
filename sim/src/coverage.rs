//! What many runs reached together: fault kinds, states, refusal codes, and what none of them did.

use std::{collections::BTreeMap, fmt::Write};

use comity_ledger::Outcome;

use crate::faults;

/// Sums of [`crate::record::Record::reached`], whose keys are `group:name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Coverage(BTreeMap<String, u64>);

impl Coverage {
    /// Adds what one run reached.
    pub fn add(&mut self, reached: &BTreeMap<String, u64>) {
        for (name, count) in reached {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    /// Adds one sighting.
    pub fn mark(&mut self, group: &str, name: &str) {
        *self.0.entry(format!("{group}:{name}")).or_default() += 1;
    }

    /// How often something was reached.
    pub fn count(&self, group: &str, name: &str) -> u64 {
        self.0.get(&format!("{group}:{name}")).copied().unwrap_or(0)
    }

    /// The groups with their members, most frequent first.
    fn groups(&self) -> BTreeMap<&str, Vec<(&str, u64)>> {
        let mut groups: BTreeMap<&str, Vec<(&str, u64)>> = BTreeMap::new();
        for (key, count) in &self.0 {
            let (group, name) = key.split_once(':').unwrap_or(("other", key));
            groups.entry(group).or_default().push((name, *count));
        }
        groups.values_mut().for_each(|members| members.sort_by_key(|(name, count)| (u64::MAX - count, *name)));
        groups
    }

    /// Of what can be listed beforehand: what was never reached.
    fn never(&self, group: &str) -> Vec<&'static str> {
        let known: Vec<&'static str> = match group {
            "fault" => faults::KINDS.iter().map(|kind| kind.name).collect(),
            "outcome" => Outcome::ALL.iter().map(|outcome| outcome.name()).collect(),
            _ => Vec::new(),
        };
        known.into_iter().filter(|name| self.count(group, name) == 0).collect()
    }

    /// For people: a paragraph per group.
    pub fn told(&self) -> String {
        let mut text = String::new();
        for (group, members) in self.groups() {
            let never = self.never(group);
            let of = if never.is_empty() { String::new() } else { format!(" of {}", members.len() + never.len()) };
            let list: Vec<String> = members.iter().map(|(name, count)| format!("{name} {count}")).collect();
            let _ = writeln!(text, "{group:<10}{}{of}: {}", members.len(), list.join(", "));
            if !never.is_empty() {
                let _ = writeln!(text, "{:<10}never: {}", "", never.join(", "));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_reached_is_told() {
        let mut coverage = Coverage::default();
        coverage.mark("fault", "crash");
        coverage.add(&BTreeMap::from([("fault:crash".to_owned(), 2), ("transfer:voted".to_owned(), 1)]));
        assert_eq!(coverage.count("fault", "crash"), 3);
        let told = coverage.told();
        assert!(told.contains("crash 3") && told.contains("voted 1"), "{told}");
        let never = told.lines().find(|line| line.contains("never:")).expect("some kinds were not drawn");
        let names: Vec<&str> = never.trim().trim_start_matches("never: ").split(", ").collect();
        assert!(names.contains(&"drift") && !names.contains(&"crash"), "{never}");
    }
}
