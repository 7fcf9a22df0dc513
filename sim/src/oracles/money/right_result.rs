//! The payer gets what it verified.

use std::collections::BTreeMap;

use comity_ledger::EventKind;
use comity_proto::{
    command::Verb,
    ids::{EscrowId, Hash},
};

use crate::{
    hosts::Restore,
    observe::Asked,
    oracles::{Oracle, View},
};

/// Hash of each delivered part, by domain, escrow and part.
#[derive(Default)]
pub(super) struct RightResult {
    delivered: BTreeMap<(usize, EscrowId, u16), Hash>,
}

impl Oracle for RightResult {
    fn name(&self) -> &'static str {
        "right-result"
    }

    fn claim(&self) -> &'static str {
        "a payer that names the hash of the result that it verified never pays for another one"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (domain, story) in view.seen.stories.iter().enumerate() {
            for event in view.seen.new_events(domain) {
                if let EventKind::EscrowSubmitted { escrow, milestone, result_hash } = &event.kind {
                    self.delivered.insert((domain, *escrow, *milestone), *result_hash);
                }
            }
            for (index, _) in view.seen.new_entries(domain) {
                for item in story.items(index).unwrap_or_default() {
                    let Asked::Commands { commands, .. } = &item.asked else { continue };
                    for (command, outcome) in commands.iter().zip(&item.outcomes) {
                        let Verb::ReleaseEscrow { escrow_id, milestone, verified_hash: Some(verified) } = &command.verb
                        else {
                            continue;
                        };
                        let part = (domain, *escrow_id, milestone.unwrap_or(0));
                        if outcome.is_success() && self.delivered.get(&part) != Some(verified) {
                            return Err(format!(
                                "domain {domain}: entry {index} released escrow {escrow_id} for another result"
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.delivered.retain(|(domain, ..), _| *domain != restore.domain);
        Ok(())
    }
}
