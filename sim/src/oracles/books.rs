//! Conservation inside one domain.

use super::{Oracle, View};
use std::collections::BTreeMap;

/// Every replica's ledger keeps its own invariants.
#[derive(Default)]
pub(super) struct Books {
    seen: BTreeMap<u32, u64>,
}

impl Oracle for Books {
    fn name(&self) -> &'static str {
        "books"
    }

    fn claim(&self) -> &'static str {
        "in every replica all accounts of an asset sum to zero, and every held amount belongs to something open"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (host, node) in view.hosts.nodes() {
            node.replica().read_stale(|ledger, applied| {
                if self.seen.insert(host, applied.log_index) == Some(applied.log_index) {
                    return Ok(());
                }
                comity_ledger::invariants::check_all(ledger).map_err(|broken| format!("host {host}: {broken}"))
            })?;
        }
        Ok(())
    }
}
