//! The same request has the same answer.

use std::collections::BTreeMap;

use comity_ledger::Outcome;
use comity_proto::{
    command::{Actor, Verb},
    ids::RequestId,
};

use crate::{
    hosts::Restore,
    observe::Asked,
    oracles::{Oracle, View},
};

/// The first answer to each request that the ledger remembers, by domain.
#[derive(Default)]
pub(super) struct SameAnswer {
    first: BTreeMap<(usize, Actor, RequestId), (Verb, Outcome, u64)>,
}

impl Oracle for SameAnswer {
    fn name(&self) -> &'static str {
        "same-answer"
    }

    fn claim(&self) -> &'static str {
        "the same request under the same id gets the same answer again; another request under that id is refused by name"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (domain, story) in view.seen.stories.iter().enumerate() {
            for (index, told) in view.seen.new_entries(domain) {
                for item in story.items(index).unwrap_or_default() {
                    let Asked::Commands { actor, commands, valid_until_ms, .. } = &item.asked else { continue };
                    if commands.len() != item.outcomes.len() || *valid_until_ms < told.stamp_ms {
                        continue;
                    }
                    for (command, outcome) in commands.iter().zip(&item.outcomes) {
                        if !is_remembered(*outcome) {
                            continue;
                        }
                        let key = (domain, *actor, command.request_id);
                        let (verb, answer, at) =
                            self.first.entry(key).or_insert_with(|| (command.verb.clone(), *outcome, index));
                        let same_wish = *verb == command.verb;
                        let refused = *outcome == Outcome::ExistsWithDifferentContent;
                        if (same_wish && answer != outcome && !(refused && index == *at)) || (!same_wish && !refused) {
                            return Err(format!(
                                "domain {domain}: request {} was answered {answer} by entry {at} and {outcome} by {index}",
                                command.request_id
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.first.retain(|(domain, ..), _| *domain != restore.domain);
        Ok(())
    }
}

/// Answers of the gate come before a request id counts; they may change.
fn is_remembered(outcome: Outcome) -> bool {
    !matches!(
        outcome,
        Outcome::NotInitialized
            | Outcome::Malformed
            | Outcome::BadSignature
            | Outcome::WrongDomain
            | Outcome::Fenced
            | Outcome::Expired
            | Outcome::ValidUntilTooFar
            | Outcome::UnknownAgent
            | Outcome::LimitExceededRequests
            | Outcome::UnknownReferralCode
            | Outcome::DuplicateReferralCode
    )
}
