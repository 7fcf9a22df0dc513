//! A domain's time never runs backwards.

use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks { name: "time-goes-on", claim: "a domain's time never runs backwards, whoever leads it", look })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (domain, story) in view.seen.stories.iter().enumerate() {
        let from = view.seen.fresh.from.get(domain).map_or(0, |(_, entry)| *entry);
        let mut last = story.before(from).map_or(0, |told| told.stamp_ms);
        for (index, told) in story.entries(from) {
            if told.stamp_ms < last {
                return Err(format!("domain {domain}: entry {index} is stamped {} after {last}", told.stamp_ms));
            }
            last = told.stamp_ms;
        }
    }
    Ok(())
}
