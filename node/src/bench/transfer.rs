//! Transfers between two domains: counted when the payer's domain knows that the payee has the money.

use super::{
    BenchError,
    domain::BenchDomain,
    driver::{Client, DiskCount, Target},
};
use crate::{
    node::Node,
    service::commands,
    signer::{Signer, fresh_transfer_id},
};
use comity_ledger::{Event, EventKind, Ledger, settlement::record::OutgoingState};
use comity_proto::{
    amount::AssetId,
    command::{Party, Verb},
    ids::TransferId,
    text::Memo,
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{broadcast::error::RecvError, oneshot};

/// A transfer that is not closed by then counts as failed; the ledger will still end it.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// Transfers from many agents of one domain to many of another, or to one.
pub(super) struct Transfers<'a> {
    pub(super) payer: &'a BenchDomain,
    pub(super) payee: &'a BenchDomain,
    /// All pay one account.
    pub(super) hot: bool,
}

impl Target for Transfers<'_> {
    type Client = Sender;

    async fn clients(&self, count: usize) -> Result<Vec<Sender>, BenchError> {
        let mut senders = self.unconnected(count).await?;
        connect(senders.first_mut()).await?;
        Ok(senders)
    }

    async fn disks(&self) -> Option<DiskCount> {
        let (a, b) = (self.payer.disks(), self.payee.disks());
        Some(DiskCount { syncs: a.syncs + b.syncs, bytes: a.bytes + b.bytes })
    }
}

impl Transfers<'_> {
    /// Payers and payees, before anything is known of the way between them.
    pub(super) async fn unconnected(&self, count: usize) -> Result<Vec<Sender>, BenchError> {
        let leader = self.payer.leader()?;
        let closings = Closings::watch(&leader);
        let payers = self.payer.agents(count, true).await?;
        let payees = self.payee.agents(if self.hot { 1 } else { count }, false).await?;
        let memo = Memo::new("").map_err(|e| BenchError::new("writing a memo", e.to_string()))?;
        let mut senders = Vec::new();
        for (payer, payee) in payers.into_iter().zip(payees.iter().cycle()) {
            let agent = payee.agent_id().ok_or_else(|| BenchError::new("choosing a payee", "it is no agent"))?;
            senders.push(Sender {
                node: leader.clone(),
                payer,
                to: Party { domain: payee.home(), agent },
                asset: self.payer.asset(),
                memo: memo.clone(),
                closings: closings.clone(),
            });
        }
        Ok(senders)
    }
}

/// One transfer goes through before anything is measured: the two domains have found each other.
async fn connect(sender: Option<&mut Sender>) -> Result<(), BenchError> {
    let Some(sender) = sender else { return Ok(()) };
    sender.call().await.map(|_| ())
}

/// One payer's program.
pub(super) struct Sender {
    node: Arc<Node>,
    payer: Signer,
    to: Party,
    asset: AssetId,
    memo: Memo,
    closings: Closings,
}

impl Sender {
    fn payment(&self) -> (TransferId, crate::signer::SignedBatch) {
        let transfer_id = fresh_transfer_id();
        let verb =
            Verb::Transfer { transfer_id, to: self.to, asset: self.asset, amount: 1_000, memo: self.memo.clone() };
        (transfer_id, self.payer.sign(verb, comity_runtime::wall_ms()))
    }

    /// Begins a payment and waits for nothing but that.
    pub(super) async fn begin(&mut self) {
        let (_, batch) = self.payment();
        let _refused = commands::submit(&self.node, batch.envelope, &batch.request_id.to_string()).await;
    }
}

impl Client for Sender {
    async fn call(&mut self) -> Result<u64, BenchError> {
        let (transfer_id, batch) = self.payment();
        let closed = self.closings.expect(transfer_id);
        commands::submit(&self.node, batch.envelope, &batch.request_id.to_string()).await?;
        match comity_runtime::timeout(CLOSED_WITHIN, closed).await {
            Ok(Ok(true)) => Ok(1),
            Ok(Ok(false)) => Err(BenchError::new("transferring", "the transfer was aborted")),
            Ok(Err(_)) => Err(BenchError::new("transferring", "the node stopped")),
            Err(_) => Err(BenchError::new("transferring", "not closed within 30 s")),
        }
    }
}

/// Tells senders when their transfers are closed, from what the ledger applied.
#[derive(Clone, Default)]
struct Closings(Arc<Mutex<BTreeMap<TransferId, oneshot::Sender<bool>>>>);

impl Closings {
    /// Watches until nobody waits any more.
    fn watch(node: &Arc<Node>) -> Closings {
        let closings = Closings::default();
        let (mut notices, node, mine) = (node.replica().subscribe(), node.clone(), Arc::downgrade(&closings.0));
        comity_runtime::spawn(async move {
            loop {
                let notice = notices.recv().await;
                let Some(waiting) = mine.upgrade().map(Closings) else { return };
                match notice {
                    Ok(notice) => waiting.tell(&notice.events),
                    Err(RecvError::Lagged(_)) => node.replica().read_stale(|ledger, _| waiting.look(ledger)),
                    Err(RecvError::Closed) => return,
                }
            }
        });
        closings
    }

    fn expect(&self, transfer: TransferId) -> oneshot::Receiver<bool> {
        let (tell, told) = oneshot::channel();
        self.0.lock().insert(transfer, tell);
        told
    }

    fn tell(&self, events: &[Event]) {
        for event in events {
            if let EventKind::TransferClosed { transfer, commit } = &event.kind
                && let Some(waiting) = self.0.lock().remove(transfer)
            {
                // Who no longer waits has counted it as failed.
                let _ = waiting.send(*commit);
            }
        }
    }

    /// After notices were lost: asks the ledger instead.
    fn look(&self, ledger: &Ledger) {
        let closed = |id: &TransferId| match ledger.outgoing_transfer(id)?.state {
            OutgoingState::Closed { commit, .. } => Some(commit),
            _ => None,
        };
        let mut waiting = self.0.lock();
        let ended: Vec<(TransferId, bool)> = waiting.keys().filter_map(|id| closed(id).map(|c| (*id, c))).collect();
        for (id, commit) in ended {
            if let Some(sender) = waiting.remove(&id) {
                let _ = sender.send(commit);
            }
        }
    }
}
