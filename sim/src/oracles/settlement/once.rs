//! Every step once.

use std::collections::BTreeMap;

use comity_proto::ids::DomainId;

use super::named;
use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "steps-once",
        claim: "under one id a transfer begins once, is promised once by each, decided once, posted once by each and closed once",
        look,
    })
}

/// How often the one who did it most often did it.
fn most(by: impl Iterator<Item = DomainId>) -> usize {
    let mut times: BTreeMap<DomainId, usize> = BTreeMap::new();
    by.for_each(|domain| *times.entry(domain).or_default() += 1);
    times.into_values().max().unwrap_or(0)
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (key, deal) in view.seen.deals.touched() {
        let steps = [
            ("begun", deal.begun.len()),
            ("promised", most(deal.voted.iter().filter(|step| step.what.is_ok()).map(|step| step.by))),
            ("voted on", most(deal.voted.iter().map(|step| step.by))),
            ("decided", deal.decided.len()),
            ("posted", most(deal.finished.iter().map(|step| step.by))),
            ("closed", deal.closed.len()),
        ];
        if let Some((step, times)) = steps.into_iter().find(|(_, times)| *times > 1) {
            return Err(format!("{} was {step} {times} times", named(view, key)));
        }
    }
    Ok(())
}
