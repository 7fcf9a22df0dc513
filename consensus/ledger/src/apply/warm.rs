//! Looks at the records of an entry before any command of it is applied.
//!
//! In a large domain nearly every record lies outside the caches, and a command cannot start before the one ahead of it
//! is done: its waits would add up. Here all records of the entry are asked for at once and the memory answers in
//! parallel. Reads only; leaves nothing behind and decides nothing.

use crate::{
    account::AccountKey,
    check::{Checked, CheckedItem},
    cow::{ShardKey as _, prefix_of_bytes},
    state::{Ledger, OPERATOR},
};
use alloc::vec::Vec;
use comity_proto::command::{Actor, Verb};

/// Records asked for ahead: more would push each other out of the cache nearest to the core.
const COMMANDS_MAX: usize = 512;

impl Ledger {
    /// Asks for the records of those who sign, and the balances of those who pay and are paid.
    pub(super) fn warm(&self, items: &[CheckedItem]) {
        let mut signers = Vec::with_capacity(items.len().min(COMMANDS_MAX));
        let mut holders = Vec::with_capacity(COMMANDS_MAX);
        for item in items {
            let Checked::Commands(checked) = &item.0 else { continue };
            if holders.len() >= COMMANDS_MAX {
                break;
            }
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
    }
}
