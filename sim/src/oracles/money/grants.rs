//! The faucet gives once.

use std::collections::BTreeSet;

use comity_ledger::{AccountKind, EventKind};
use comity_proto::ids::AgentId;

use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
};

/// Who has had its grant, by domain.
#[derive(Default)]
pub(super) struct Grants {
    given: BTreeSet<(usize, AgentId)>,
}

impl Oracle for Grants {
    fn name(&self) -> &'static str {
        "one-grant"
    }

    fn claim(&self) -> &'static str {
        "an agent gets the faucet's grant once, and exactly the grant"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        let grant = i128::from(crate::hosts::policy().faucet_grant);
        for domain in 0..view.seen.stories.len() {
            for event in view.seen.new_events(domain) {
                let EventKind::FaucetClaimed { agent } = &event.kind else { continue };
                let got: i128 = event
                    .legs
                    .iter()
                    .filter(|leg| leg.account.kind == AccountKind::Agent(*agent))
                    .map(|leg| leg.delta)
                    .sum();
                if !self.given.insert((domain, *agent)) || got != grant {
                    return Err(format!("domain {domain}: agent {agent} was granted {got}, or was granted before"));
                }
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.given.retain(|(domain, _)| *domain != restore.domain);
        Ok(())
    }
}
