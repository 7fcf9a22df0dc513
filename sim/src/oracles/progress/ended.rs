//! What is due ends.

use crate::oracles::{Looks, Oracle, Phase, View};

/// Time between a deadline and its pulse in a healed domain, ledger ms.
const PULSE_WITHIN_MS: u64 = 5_000;

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "due-is-done",
        claim: "once everything is healed no escrow is past its deadline and no share of it is still on its way",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    for (host, node) in view.hosts.nodes() {
        // Where nothing happens the stamp stands still: the slowest clock of the domain tells how late it is at least.
        let domain = view.hosts.with(host, |machine| machine.domain);
        let clocks = view.hosts.domains()[domain].hosts.clone();
        let clock = clocks.into_iter().map(|host| view.hosts.universe.world(host).wall_ms()).min().unwrap_or(0);
        node.replica().read_stale(|ledger, _| {
            for (id, escrow) in ledger.escrows() {
                let due = escrow.deadline().map(|worked| worked + ledger.stalled_ms());
                if let Some(due) = due.filter(|due| due + PULSE_WITHIN_MS < clock.min(ledger.stamp_ms() + 60_000)) {
                    return Err(format!("host {host}: escrow {id} was due {} ms ago", clock - due));
                }
                if escrow.deadline().is_none() && escrow.owed_shares > 0 {
                    return Err(format!("host {host}: escrow {id} still owes {} shares", escrow.owed_shares));
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}
