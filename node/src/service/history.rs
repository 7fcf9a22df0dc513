//! What moved on an agent's account, out of the events that this node keeps: newest first, looking back a bounded way.

use super::error::{Kind, ServiceError};
use crate::node::Node;
use comity_ledger::{AccountKey, Event, EventKind};
use comity_proto::ids::{AgentId, EscrowId};

/// How far back one question looks: events of the whole domain.
pub const LOOK_BACK: u64 = 20_000;

/// What a movement was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Put aside for an escrow.
    Locked(EscrowId),
    /// Paid out of an escrow.
    Paid(EscrowId),
    /// Given back by an escrow.
    Back(EscrowId),
    /// Put down by whoever disputes.
    Bond(EscrowId),
    /// Given back or lost.
    BondSettled(EscrowId),
    /// From the faucet, or issued.
    Granted,
    /// To or from another agent, here or elsewhere.
    Transferred,
    /// Fees of names, shares of fees.
    Other,
}

/// One movement on the agent's account of the domain's own asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Number of the event's leaf in the domain's log: the same on every node.
    pub leaf: u64,
    /// Ledger time, ms.
    pub stamp_ms: u64,
    /// Minor units; negative left the account.
    pub delta: i128,
    /// What it was.
    pub why: Why,
}

/// Movements, newest first.
#[derive(Clone, Debug, Default)]
pub struct Movements {
    /// The page that was asked for.
    pub page: Vec<Movement>,
    /// Whether the look back ended at the first event of all.
    pub complete: bool,
}

fn why(kind: &EventKind, delta: i128) -> Why {
    match kind {
        EventKind::EscrowPaid { escrow, returned, .. } if delta == i128::from(*returned) => Why::Back(*escrow),
        EventKind::EscrowLocked { escrow, .. } => Why::Locked(*escrow),
        EventKind::EscrowPaid { escrow, .. } | EventKind::EscrowPayoutDone { escrow, .. } => Why::Paid(*escrow),
        EventKind::EscrowDisputed { escrow, .. } => Why::Bond(*escrow),
        EventKind::BondSettled { escrow, .. } => Why::BondSettled(*escrow),
        EventKind::FaucetClaimed { .. } | EventKind::Issued { .. } => Why::Granted,
        EventKind::Transferred { .. } | EventKind::TransferBegun { .. } | EventKind::TransferDecided { .. } => {
            Why::Transferred
        }
        EventKind::TransferFinished { .. } | EventKind::TransferClosed { .. } => Why::Transferred,
        _ => Why::Other,
    }
}

fn of_event(leaf: u64, event: &Event, account: AccountKey) -> Option<Movement> {
    let mine = event.legs.iter().filter(|leg| leg.account == account);
    let delta = mine.fold(0i128, |sum, leg| sum.saturating_add(leg.delta));
    (delta != 0).then_some(Movement { leaf, stamp_ms: event.stamp_ms, delta, why: why(&event.kind, delta) })
}

/// The newest movements of an agent, after `skip` of them.
///
/// # Errors
/// `events_unreadable`.
pub async fn movements(node: &Node, agent: AgentId, skip: usize, take: usize) -> Result<Movements, ServiceError> {
    let broken = |reason: String| ServiceError::new(Kind::Internal, "events_unreadable", reason, "see the node's log");
    let store = node.replica().events().clone();
    store.settle().await.map_err(|error| broken(error.to_string()))?;
    let (count, asset) = node.replica().read_stale(|ledger, _| (ledger.event_count(), ledger.native_asset()));
    let look = move || {
        let account = AccountKey::agent(agent, asset);
        let first = count.saturating_sub(LOOK_BACK);
        let (mut page, mut left) = (Vec::new(), skip);
        for leaf in (first..count).rev() {
            let Some(stored) = store.leaf(leaf).map_err(|error| error.to_string())? else { continue };
            let event = Event::from_bytes(&stored.bytes).map_err(|error| error.to_string())?;
            match of_event(leaf, &event, account) {
                Some(_) if left > 0 => left -= 1,
                Some(movement) => page.push(movement),
                None => {}
            }
            if page.len() == take {
                break;
            }
        }
        Ok(Movements { page, complete: first == 0 })
    };
    let looked: Result<Movements, String> =
        comity_runtime::run_blocking(look).await.unwrap_or_else(|_| Err("the node is stopping".to_owned()));
    looked.map_err(broken)
}
