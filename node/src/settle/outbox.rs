//! Says what the ledger owes: at once when an entry owes something new, again with pauses while it stays unanswered.
//!
//! Only the leader speaks; a new leader asks its ledger for everything unanswered. Messages to one peer share a batch and
//! a signature, and a few batches are under way at once; what does not fit waits for the next look at the ledger.

use super::retry::Retries;
use crate::mesh::MeshHandle;
use comity_ledger::settlement::{Owed, OwedMessage, batches};
use comity_proto::{
    envelope::Signed as _,
    ids::{DomainId, PublicKey},
    keys::SecretKey,
    settlement::{Query, SettlementBatch, SettlementMessage},
};
use comity_replica::Replica;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::{Semaphore, broadcast::error::RecvError, mpsc};

/// How often the ledger is asked for everything that is still unanswered.
const LOOK: Duration = Duration::from_millis(500);
/// Batches under way at once, all peers together.
const UNDER_WAY: usize = 32;
/// Messages that wait to be sent; more are left for the next look at the ledger.
const WAITING: usize = 65_536;
/// How long a peer has to take a batch into its log.
const DEADLINE: Duration = Duration::from_secs(5);

/// What the outbox works with.
#[derive(Clone)]
pub(crate) struct Outbox {
    pub(crate) replica: Replica,
    pub(crate) mesh: MeshHandle,
    pub(crate) key: SecretKey,
    pub(crate) domain: DomainId,
}

/// Runs for the life of the node.
pub(crate) async fn run(outbox: Outbox) {
    let (tell, mut told) = mpsc::channel::<Vec<Owed>>(1_024);
    let mut notices = outbox.replica.subscribe();
    let listener = comity_runtime::spawn(async move {
        loop {
            match notices.recv().await {
                Ok(notice) if notice.is_leader && !notice.owed.is_empty() => {
                    // A full queue loses only time: the next look at the ledger finds what is still owed.
                    let _full = tell.try_send(notice.owed.to_vec());
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    let mut retries = Retries::default();
    let mut reached = BTreeSet::new();
    let mut look_at = comity_runtime::now() + LOOK;
    loop {
        let mut fresh = Vec::new();
        match comity_runtime::timeout_at(look_at, told.recv()).await {
            Ok(Some(owed)) => {
                fresh.extend(owed);
                while fresh.len() < WAITING
                    && let Ok(owed) = told.try_recv()
                {
                    fresh.extend(owed);
                }
                let now = comity_runtime::now();
                fresh.iter().for_each(|owed| retries.said_now(owed.peer, &owed.message, now));
            }
            Ok(None) => break,
            Err(comity_runtime::Elapsed) => {
                look_at = comity_runtime::now() + LOOK;
                outbox.hurry_those_who_came(&mut reached, &mut retries);
                fresh = outbox.due(&mut retries);
            }
        }
        for (peer, messages) in batches(fresh) {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let outbox = outbox.clone();
            comity_runtime::spawn(async move {
                outbox.say(peer, messages).await;
                drop(place);
            });
        }
    }
    listener.abort();
}

impl Outbox {
    /// A pause that grew while a peer was away must not keep a transfer in doubt after it is back.
    fn hurry_those_who_came(&self, reached: &mut BTreeSet<(DomainId, PublicKey)>, retries: &mut Retries) {
        let neighbours = self.mesh.neighbours();
        let now: BTreeSet<_> =
            neighbours.iter().filter_map(|other| Some((other.standing.domain()?, other.node))).collect();
        now.difference(reached).for_each(|(domain, _)| retries.hurry(*domain));
        *reached = now;
    }

    fn due(&self, retries: &mut Retries) -> Vec<Owed> {
        if !*self.replica.leads().borrow() {
            *retries = Retries::default();
            return Vec::new();
        }
        let owed = self.replica.read_stale(|ledger, _| ledger.owed_all());
        let now = comity_runtime::now();
        retries.begin_round();
        let due = owed.into_iter().filter(|owed| retries.is_due(owed.peer, &owed.message, now)).take(WAITING).collect();
        retries.end_round();
        due
    }

    async fn say(&self, peer: DomainId, owed: Vec<OwedMessage>) {
        let mut messages = Vec::with_capacity(owed.len());
        for message in owed {
            messages.extend(self.message(message).await);
        }
        let Some((incarnation, roster)) = self
            .replica
            .read_stale(|ledger, _| ledger.domain().map(|domain| (domain.incarnation, domain.roster.clone())))
        else {
            return;
        };
        let batch = SettlementBatch { from: self.domain, to: peer, incarnation, roster, messages };
        let envelope = batch.seal(&self.key);
        if let Err(error) = self.mesh.settle(peer, envelope, DEADLINE).await {
            tracing::debug!(%peer, %error, "a settlement batch was not taken; it will be said again");
        }
    }

    /// `None` for a query whose evidence is not here (yet): the vote is repeated meanwhile.
    async fn message(&self, owed: OwedMessage) -> Option<SettlementMessage> {
        Some(match owed {
            OwedMessage::Prepare(prepare) => SettlementMessage::Prepare(prepare),
            OwedMessage::Vote(vote) => SettlementMessage::Vote(vote),
            OwedMessage::Decision(decision) => SettlementMessage::Decision(decision),
            OwedMessage::Acknowledge(acknowledge) => SettlementMessage::Acknowledge(acknowledge),
            OwedMessage::Refusal(refusal) => SettlementMessage::Refusal(refusal),
            OwedMessage::Query { transfer, evidence } => {
                let prepare = self.replica.evidence(&evidence).await.ok().flatten()?;
                SettlementMessage::Query(Query { transfer, prepare })
            }
        })
    }
}
