//! Looks at the records of the next commands before any of them is applied.
//!
//! In a large domain nearly every record lies outside the caches, and a command cannot start before the one ahead of it
//! is done: its waits would add up. Here the records of a stretch of commands are asked for at once and the memory answers
//! in parallel. Reads only; leaves nothing behind and decides nothing.

use crate::{
    account::AccountKey,
    check::{Checked, CheckedItem},
    cow::{ShardKey as _, prefix_of_bytes},
    state::{Ledger, OPERATOR},
};
use alloc::vec::Vec;
use comity_proto::command::{Actor, Verb};

/// Commands of a stretch: enough to keep the memory busy; of many more the page tables would not stay near the core.
const STRETCH: usize = 64;

impl Ledger {
    /// Asks for the records of those who sign, and the balances of those who pay and are paid. Says for how many of the
    /// items, at least one if there is any: the others come later.
    pub(super) fn warm(&self, items: &[CheckedItem]) -> usize {
        let mut signers = Vec::with_capacity(items.len().min(STRETCH));
        let mut holders = Vec::with_capacity(STRETCH.saturating_mul(2));
        let mut taken = 0_usize;
        for item in items.iter().take(STRETCH) {
            if holders.len() >= STRETCH.saturating_mul(2) {
                break;
            }
            taken = taken.saturating_add(1);
            let Checked::Commands(checked) = &item.0 else { continue };
            let signer = match checked.batch.actor {
                Actor::Agent(agent) => agent,
                Actor::Operator => OPERATOR,
            };
            signers.push(signer.prefix());
            holders.push(signer.prefix());
            holders.extend(checked.batch.commands.iter().filter_map(|command| match &command.verb {
                Verb::Transfer { to, .. } => Some(prefix_of_bytes(&to.agent.0)),
                _ => None,
            }));
        }
        let accounts = holders.iter().map(|prefix| AccountKey::prefix_of_agent(*prefix));
        let seen = [
            self.agents.warm(signers.iter().copied(), |id, agent| id.prefix() ^ agent.stays_home),
            self.accounts.warm(accounts, |account, balance| account.prefix() ^ balance),
            self.usage.warm(signers.iter().copied(), |id, usage| id.prefix() ^ u64::from(usage.names)),
            self.remembered.warm(signers.iter().copied(), |_, known| known.valid_until_ms),
        ];
        // Without a use the compiler would leave the reads out.
        core::hint::black_box(seen);
        taken
    }
}
