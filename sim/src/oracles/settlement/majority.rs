//! Who ends a large payment.

use std::collections::BTreeSet;

use comity_ledger::Outcome;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::{Roster, keys_by_seat},
    ids::PublicKey,
    settlement::{Decision, DecisionWord, SettlementBatch, SettlementMessage},
};

use super::{each_decision, named};
use crate::oracles::{Oracle, View};

/// Ends of large payments that were judged.
#[derive(Default)]
pub(super) struct Majority {
    judged: [(&'static str, u64); 1],
}

impl Oracle for Majority {
    fn name(&self) -> &'static str {
        "large-payments-end-by-most"
    }

    fn claim(&self) -> &'static str {
        "above the amount of a treaty no end of a payment is taken without signed words of most voters of its origin"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        let Some(above) = view.plan.scenario.majority_above else { return Ok(()) };
        for domain in 0..view.seen.stories.len() {
            let own = view.seen.ids()[domain];
            each_decision(view, domain, |batch, decision, outcome| {
                let key = (batch.get().from, decision.transfer);
                let deal = view.seen.deals.all().find(|(known, _)| **known == key);
                let is_large = deal
                    .and_then(|(_, deal)| deal.begun.first())
                    .is_some_and(|begun| begun.what.amount > above && [key.0, own].contains(&begun.what.asset.issuer));
                if !is_large || *outcome != Outcome::Applied {
                    return Ok(());
                }
                if !most_say_so(batch, decision) {
                    return Err(format!("{} ended in domain {domain} without most voters", named(view, &key)));
                }
                self.judged[0].0 = "majority:large-ends";
                self.judged[0].1 += 1;
                Ok(())
            })?;
        }
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

/// Whether words of most voters of the roster in this batch say the same.
fn most_say_so(batch: &Verified<SettlementBatch>, decision: &Decision) -> bool {
    let Ok(roster) = Roster::open(&batch.get().roster) else { return false };
    let voters = keys_by_seat(&roster.get().voters, &roster.get().seats);
    let said = batch.get().messages.iter().filter_map(|message| {
        let SettlementMessage::Word(envelope) = message else { return None };
        let word = DecisionWord::open(envelope).ok()?;
        let DecisionWord { transfer, content, commit, .. } = *word.get();
        let same = transfer == decision.transfer && content == decision.content && commit == decision.commit;
        same.then_some(*word.key())
    });
    let said: BTreeSet<PublicKey> = said.collect();
    let heard = voters.values().filter(|keys| keys.iter().any(|key| said.contains(key))).count();
    2 * heard > voters.len()
}
