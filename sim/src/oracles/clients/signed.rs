//! Nothing without a signature.

use std::collections::BTreeSet;

use comity_ledger::Outcome;
use comity_proto::{command::CommandBatch, envelope::Signed as _, ids::Hash, settlement::SettlementBatch};

use crate::{
    observe::Asked,
    oracles::{Oracle, View},
};

/// Envelopes that were judged already.
#[derive(Default)]
pub(super) struct Signed {
    good: BTreeSet<Hash>,
}

impl Oracle for Signed {
    fn name(&self) -> &'static str {
        "signed-only"
    }

    fn claim(&self) -> &'static str {
        "the ledger does nothing that was not signed: every command and message that took effect has a valid signature"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (domain, story) in view.seen.stories.iter().enumerate() {
            for (index, _) in view.seen.new_entries(domain) {
                for item in story.items(index).unwrap_or_default() {
                    if !item.outcomes.iter().any(|outcome| outcome.is_success() && *outcome != Outcome::Exists) {
                        continue;
                    }
                    let (bytes, opens): (_, fn(&bytes::Bytes) -> bool) = match &item.asked {
                        Asked::Commands { envelope, .. } => (envelope, |bytes| CommandBatch::open(bytes).is_ok()),
                        Asked::Settlement { envelope } => (envelope, |bytes| SettlementBatch::open(bytes).is_ok()),
                        Asked::Pulse | Asked::Other => continue,
                    };
                    if self.good.insert(Hash::of(bytes)) && !opens(bytes) {
                        return Err(format!("domain {domain}: entry {index} did what a forged message asked for"));
                    }
                }
            }
        }
        Ok(())
    }
}
