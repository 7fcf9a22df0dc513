//! A client is told what the log says.

use comity_ledger::Outcome;

use super::Judged;
use crate::{
    observe::{Asked, Item, Story},
    oracles::{Oracle, View},
    workload::{Answer, Call},
};

/// Calls that are judged already.
#[derive(Default)]
pub(super) struct Answers {
    judged: Judged,
}

impl Oracle for Answers {
    fn name(&self) -> &'static str {
        "answers-are-the-logs"
    }

    fn claim(&self) -> &'static str {
        "what a client is told about its request is what the log made of it"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        self.judged.each(view, |call, answer| {
            let Answer::Done { log_index, outcome } = answer else { return Ok(()) };
            let story = &view.seen.stories[call.operation.domain];
            let stands = match *log_index {
                // Refused by its bytes alone, or at the door of a node that sees the peer in drift: it never was in the log.
                0 if matches!(outcome, Outcome::BadSignature | Outcome::Malformed | Outcome::PeerInDrift) => true,
                0 => stands_somewhere(story, call, *outcome),
                index => story.items(index).is_none_or(|items| outcomes(items, call).any(|told| told == *outcome)),
            };
            if stands {
                return Ok(());
            }
            let request = call.operation.request_id;
            Err(format!("request {request} was answered {outcome} with entry {log_index}, which does not say so"))
        })
    }
}

fn stands_somewhere(story: &Story, call: &Call, outcome: Outcome) -> bool {
    let mut all_known = !story.has_holes();
    for (index, _) in story.entries(0) {
        match story.items(index) {
            Some(items) if outcomes(items, call).any(|told| told == outcome) => return true,
            Some(_) => {}
            None => all_known = false,
        }
    }
    !all_known
}

/// What the items of an entry answered to a call.
fn outcomes<'a>(items: &'a [Item], call: &'a Call) -> impl Iterator<Item = Outcome> + 'a {
    items.iter().flat_map(move |item| {
        let commands = match &item.asked {
            Asked::Commands { commands, .. } => commands.as_slice(),
            _ => &[],
        };
        let whole = commands.len() != item.outcomes.len();
        let own = commands.iter().enumerate().filter(|(_, command)| command.request_id == call.operation.request_id);
        own.filter_map(move |(at, _)| item.outcomes.get(if whole { 0 } else { at }).copied())
    })
}
