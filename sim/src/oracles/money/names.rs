//! A name has one owner.

use std::collections::BTreeMap;

use comity_ledger::EventKind;
use comity_proto::{ids::AgentId, text::Name};

use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
};

/// Who owns what, by domain.
#[derive(Default)]
pub(super) struct Names {
    owned: BTreeMap<(usize, Name), (AgentId, u64)>,
}

impl Oracle for Names {
    fn name(&self) -> &'static str {
        "one-owner"
    }

    fn claim(&self) -> &'static str {
        "a name has one owner until that one gives it away or its time is over"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for domain in 0..view.seen.stories.len() {
            for event in view.seen.new_events(domain) {
                match &event.kind {
                    EventKind::NameHeld { name, owner, expires_ms } => {
                        let before = self.owned.insert((domain, name.clone()), (*owner, *expires_ms));
                        let given = given_away(view, domain, event.log_index, name);
                        if let Some((other, until)) = before
                            && other != *owner
                            && until > event.stamp_ms
                            && !given
                        {
                            return Err(format!("domain {domain}: {name} of {other} was given to {owner}"));
                        }
                    }
                    EventKind::NameFreed { name, expired, .. } => {
                        let before = self.owned.remove(&(domain, name.clone()));
                        if *expired && before.is_some_and(|(_, until)| until > event.stamp_ms) {
                            return Err(format!("domain {domain}: {name} was taken away before its time"));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.owned.retain(|(domain, _), _| *domain != restore.domain);
        Ok(())
    }
}

fn given_away(view: &View<'_>, domain: usize, index: u64, name: &Name) -> bool {
    use crate::observe::Asked;
    use comity_proto::command::Verb;
    let Some(items) = view.seen.stories[domain].items(index) else { return true };
    items.iter().any(|item| match &item.asked {
        Asked::Commands { commands, .. } => commands
            .iter()
            .any(|command| matches!(&command.verb, Verb::TransferName { name: given, .. } if given == name)),
        _ => false,
    })
}
