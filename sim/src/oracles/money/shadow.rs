//! The ledger is what its events say.

use std::collections::BTreeMap;

use comity_ledger::AccountKey;

use crate::{
    oracles::{Oracle, Phase, View},
    world::{HostId, TimeNs},
};

/// Time between two comparisons.
const EVERY: TimeNs = 2_000_000_000;

/// When it compared last.
#[derive(Default)]
pub(super) struct Shadow {
    next: TimeNs,
    compared: BTreeMap<HostId, u64>,
}

impl Oracle for Shadow {
    fn name(&self) -> &'static str {
        "events-are-the-books"
    }

    fn claim(&self) -> &'static str {
        "adding up all postings of all events gives every balance of the ledger"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.now < self.next && view.phase != Phase::Audit {
            return Ok(());
        }
        self.next = view.now + EVERY;
        for (host, node) in view.hosts.nodes() {
            let domain = view.hosts.with(host, |machine| machine.domain);
            let story = &view.seen.stories[domain];
            node.replica().read_stale(|ledger, _| {
                let same_events = ledger.event_count() == story.events().len() as u64 && story.gap().is_none();
                if !same_events || self.compared.insert(host, ledger.event_count()) == Some(ledger.event_count()) {
                    return Ok(());
                }
                let held: BTreeMap<AccountKey, i128> = ledger
                    .accounts()
                    .map(|(account, balance)| {
                        let is_issuance = *account == AccountKey::issuance(account.asset);
                        (*account, if is_issuance { -i128::from(balance) } else { i128::from(balance) })
                    })
                    .collect();
                let posted = story.balances().iter().filter(|(_, balance)| **balance != 0);
                if posted.clone().eq(held.iter()) {
                    return Ok(());
                }
                let other = posted.clone().find(|(account, balance)| held.get(account) != Some(balance));
                let extra = held.iter().find(|(account, balance)| story.balance(account) != **balance);
                Err(format!("host {host}: events say {other:?}, the ledger says {extra:?}"))
            })?;
        }
        Ok(())
    }
}
