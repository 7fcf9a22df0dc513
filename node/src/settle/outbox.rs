//! Says what the ledger owes: at once when an entry owes something new, again with pauses while it stays unanswered.
//!
//! Only the leader speaks; a new leader asks its ledger for everything unanswered. Messages to one peer share a batch and
//! a signature and go by a lane of their own; what does not fit waits for the next look at the ledger.

use super::{
    lanes::{Carry, Lanes, Traffic},
    speech::{LOOK, Said, Speech, WAITING},
    words,
};
use crate::{
    bridge::{Cargo, Ways},
    mesh::MeshHandle,
};
use comity_ledger::settlement::{Owed, OwedMessage};
use comity_proto::{
    books::SharedKey,
    envelope::Signed as _,
    ids::{DomainId, PublicKey},
    keys::SecretKey,
    limits::SETTLEMENT_BATCH_MAX,
    planted::{Plant, planted},
    settlement::{SettlementBatch, SettlementMessage},
};
use comity_replica::Replica;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{broadcast::error::RecvError, mpsc};

/// What the outbox works with.
#[derive(Clone)]
pub(crate) struct Outbox {
    pub(crate) replica: Replica,
    pub(crate) mesh: MeshHandle,
    pub(crate) ways: Arc<Ways>,
    pub(crate) traffic: Arc<Traffic>,
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
    let mut lanes = Lanes::new(outbox.clone(), outbox.traffic.clone());
    let mut speech = Speech::new(Box::new(chance));
    let mut reached = BTreeSet::new();
    let mut look_at = comity_runtime::now() + LOOK;
    loop {
        let said = match comity_runtime::timeout_at(look_at, told.recv()).await {
            Ok(Some(mut fresh)) => {
                while fresh.len() < WAITING
                    && let Ok(owed) = told.try_recv()
                {
                    fresh.extend(owed);
                }
                speech.fresh(fresh, comity_runtime::now())
            }
            Ok(None) => break,
            Err(comity_runtime::Elapsed) => {
                look_at = comity_runtime::now() + LOOK;
                outbox.hurry_those_who_came(&mut reached, &mut speech, &lanes);
                outbox.due(&mut speech)
            }
        };
        said.into_iter().for_each(|(peer, messages)| lanes.say(peer, messages));
    }
    listener.abort();
}

fn chance() -> u8 {
    let mut byte = [0];
    comity_runtime::entropy(&mut byte);
    byte[0]
}

impl Outbox {
    /// A pause that grew while a peer was away must not keep a transfer in doubt after it is back.
    fn hurry_those_who_came(
        &self,
        reached: &mut BTreeSet<(DomainId, PublicKey)>,
        speech: &mut Speech,
        lanes: &Lanes<Outbox>,
    ) {
        let neighbours = self.mesh.neighbours();
        let mut now: BTreeSet<_> =
            neighbours.iter().filter_map(|other| Some((other.standing.domain()?, other.node))).collect();
        now.extend(self.ways.all(&self.mesh));
        for (domain, _) in now.difference(reached) {
            speech.hurry(*domain);
            lanes.close(domain);
        }
        *reached = now;
    }

    fn due(&self, speech: &mut Speech) -> Vec<Said> {
        if !*self.replica.leads().borrow() || planted(Plant::SaidOnce) {
            speech.fall_silent();
            return Vec::new();
        }
        let owed = self.replica.read_stale(|ledger, _| ledger.owed_all());
        speech.due(owed, comity_runtime::now())
    }

    async fn message(&self, peer: &DomainId, owed: OwedMessage) -> Option<SettlementMessage> {
        if let OwedMessage::Books { incarnation, after } = owed {
            return self.page(peer, incarnation, after).await;
        }
        let evidence = match owed.evidence() {
            Some(digest) => self.replica.evidence(&digest).await.ok().flatten(),
            None => None,
        };
        owed.said(evidence)
    }
}

impl Outbox {
    /// A page of what lies between us and a peer that was restored, with its own words as far as they are kept.
    async fn page(&self, peer: &DomainId, incarnation: u64, after: Option<SharedKey>) -> Option<SettlementMessage> {
        let draft = self.replica.read_stale(|ledger, _| ledger.books_draft(peer, incarnation, after))?;
        self.replica.events().settle().await.ok()?;
        let mut found = BTreeMap::new();
        for digest in draft.evidence().collect::<BTreeSet<_>>() {
            found.extend(self.replica.evidence(&digest).await.ok().flatten().map(|bytes| (digest, bytes)));
        }
        Some(SettlementMessage::Books(Box::new(draft.with(&found))))
    }
}

impl Carry for Outbox {
    async fn carry(&self, peer: DomainId, owed: Vec<OwedMessage>, deadline: Duration) -> bool {
        let mut messages = Vec::with_capacity(owed.len());
        for message in owed {
            let words = words::collect((&self.replica, &self.mesh, &self.key), peer, &message).await;
            let Some(words) = words else { continue };
            // What does not fit is still owed.
            if messages.len() + words.len() >= SETTLEMENT_BATCH_MAX {
                break;
            }
            let message = self.message(&peer, message).await;
            messages.extend(words.into_iter().chain(message));
        }
        if messages.is_empty() {
            return false;
        }
        let Some((incarnation, roster)) = self
            .replica
            .read_stale(|ledger, _| ledger.domain().map(|domain| (domain.incarnation, domain.roster.clone())))
        else {
            return false;
        };
        let batch = SettlementBatch { from: self.domain, to: peer, incarnation, roster, messages };
        let envelope = batch.seal(&self.key);
        let taken = if self.mesh.nodes_of(&peer).is_empty() {
            self.ways.carry(&self.mesh, (self.domain, peer), Cargo::Settlement, envelope, deadline).await
        } else {
            self.mesh.settle(peer, envelope, deadline).await
        };
        if let Err(error) = &taken {
            tracing::debug!(%peer, %error, "a settlement batch was not taken; it will be said again");
        }
        taken.is_ok()
    }
}
