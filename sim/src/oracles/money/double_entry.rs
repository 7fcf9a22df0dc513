//! Double entry.

use std::collections::BTreeMap;

use comity_ledger::{AccountKind, AssetIndex};

use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "double-entry",
        claim: "the postings of every event sum to zero per asset, and nobody but an issuance is ever below zero",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (domain, story) in view.seen.stories.iter().enumerate() {
        for event in view.seen.new_events(domain) {
            let mut sums: BTreeMap<AssetIndex, i128> = BTreeMap::new();
            event.legs.iter().for_each(|leg| *sums.entry(leg.account.asset).or_default() += leg.delta);
            if let Some((asset, sum)) = sums.iter().find(|(_, sum)| **sum != 0) {
                return Err(format!(
                    "domain {domain}: event {} of entry {} moves {sum} of asset {} from nowhere",
                    event.n, event.log_index, asset.0
                ));
            }
            for leg in &event.legs {
                let balance = story.balance(&leg.account);
                let is_issuance = leg.account.kind == AccountKind::Issuance;
                if (balance < 0) != is_issuance && balance != 0 {
                    return Err(format!(
                        "domain {domain}: {:?} stands at {balance} after entry {}",
                        leg.account.kind, event.log_index
                    ));
                }
            }
        }
    }
    Ok(())
}
