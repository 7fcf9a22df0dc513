//! Two-phase commit between domains, judged on the events of both sides.

mod atomic;
mod closings;
mod credited;
mod doubt;
mod drift;
mod fence;
mod heard;
mod in_time;
mod majority;
mod once;
mod promises;
mod rotation;
mod treaties;
mod two_words;
mod votes;

use comity_ledger::Outcome;
use comity_proto::{
    envelope::{Signed as _, Verified},
    ids::{DomainId, TransferId},
    settlement::{Decision, SettlementBatch, SettlementMessage},
};

use super::{Oracle, View};
use crate::observe::Asked;

pub(super) fn all() -> Vec<Box<dyn Oracle>> {
    vec![
        once::oracle(),
        votes::oracle(),
        promises::oracle(),
        atomic::oracle(),
        in_time::oracle(),
        credited::oracle(),
        doubt::oracle(),
        Box::new(treaties::Treaties::default()),
        Box::new(closings::Closings::default()),
        Box::new(heard::Heard::default()),
        Box::new(rotation::Unnoticed::default()),
        Box::new(majority::Majority::default()),
        Box::new(two_words::TwoWords::default()),
        Box::new(fence::Held::default()),
        Box::new(fence::Ends::default()),
        fence::remembered(),
        Box::new(drift::NoFalseDrift::default()),
        Box::new(drift::DriftShown::default()),
    ]
}

/// A transfer in words.
fn named(view: &View<'_>, (origin, transfer): &(DomainId, TransferId)) -> String {
    let at = view.seen.ids().iter().position(|id| id == origin);
    let name = at.and_then(|at| view.plan.scenario.domains.get(at)).map_or("?", |spec| spec.name.as_str());
    format!("transfer {transfer} of {name}")
}

/// Judges every decision in the new entries of a domain's log: the batch that it came in, and what the ledger answered.
fn each_decision(
    view: &View<'_>,
    domain: usize,
    mut judge: impl FnMut(&Verified<SettlementBatch>, &Decision, &Outcome) -> Result<(), String>,
) -> Result<(), String> {
    let story = &view.seen.stories[domain];
    for item in view.seen.new_entries(domain).flat_map(|(index, _)| story.items(index).unwrap_or_default()) {
        let Asked::Settlement { envelope } = &item.asked else { continue };
        let Ok(batch) = SettlementBatch::open(envelope) else { continue };
        for (message, outcome) in batch.get().messages.iter().zip(&item.outcomes) {
            if let SettlementMessage::Decision(decision) = message {
                judge(&batch, decision, outcome)?;
            }
        }
    }
    Ok(())
}
