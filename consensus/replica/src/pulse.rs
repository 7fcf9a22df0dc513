//! The leader proposes a pulse when the ledger says that one is due. No replica owns a timer that moves money.

use std::{sync::Arc, time::Duration};

use comity_proto::entry::EntryItem;
use comity_runtime as runtime;

use crate::{clock::Stamp, replica::Replica};

/// How often a leader looks at the queue of deadlines.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Starts the pulse of a replica. It ends with the replica's last handle.
pub(crate) fn start(replica: &Replica) {
    let replica = Arc::downgrade(&replica.inner);
    runtime::spawn(async move {
        loop {
            runtime::sleep(LOOK_EVERY).await;
            let Some(inner) = replica.upgrade() else { return };
            if due(&Replica { inner: inner.clone() }) {
                // A lost pulse is proposed again at the next look, by whoever leads then.
                let _ = runtime::timeout(Duration::from_secs(5), inner.proposer.propose(EntryItem::Pulse)).await;
            }
        }
    });
}

/// Only a leader whose stamp can move pulses: while time stands still nothing new becomes due.
fn due(replica: &Replica) -> bool {
    let inner = &replica.inner;
    if !inner.leadership.leads() {
        return false;
    }
    let state = inner.machine.state.read();
    match inner.leadership.peek(state.applied.stamp_ms) {
        Stamp::Moves(now_ms) => state.ledger.pulse_due(now_ms),
        Stamp::StandsStill(_) | Stamp::Jumped(_) => false,
    }
}
