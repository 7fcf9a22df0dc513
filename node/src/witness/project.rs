//! Events of a peer's log that concern this domain are brought into ours.
//!
//! ```text
//! our leader, behind each look at a peer:   concerning from, held, size ->   (size: the checkpoint that this node keeps)
//!                                           <- excerpt: events, paths, that the tree extends the last one
//! under that checkpoint it is judged here, then by every replica: an entry of our log, or a named refusal
//! ```
//! What is asked for is bounded: so many pages at each look, each of at most 64 events; a peer that is busier is followed at
//! that pace and nothing is lost, for its log keeps it. What a node shows is bounded too: one page at a time for each peer.

use super::{ask::put_question, judge};
use crate::{
    mesh::{Caller, Refusal},
    node::Node,
    service::projected,
    storage::audit::Shelf,
};
use bytes::Bytes;
use comity_ledger::{Outcome, projection::CheckedProjection};
use comity_proto::{
    entry::EntryItem,
    ids::{DomainId, PublicKey},
    limits::EXCERPT_EVENTS_MAX,
    projection::{Excerpt, Projection},
    relay::{Answer, NotNow, Question},
};
use parking_lot::Mutex;
use std::{collections::BTreeSet, io};

/// Pages at one look.
const PAGES: usize = 16;

/// Peers that are being shown a page.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<BTreeSet<DomainId>>);

/// A peer's place; it is free again when this goes.
struct Place<'a>(&'a Shown, DomainId);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

impl Shown {
    fn take(&self, peer: DomainId) -> Option<Place<'_>> {
        self.0.lock().insert(peer).then_some(Place(self, peer))
    }
}

/// What another domain is shown of what our log says about it: the one that asks, and no other.
pub(super) async fn answer(node: &Node, caller: Caller, range: (u64, u64, u64)) -> Result<Answer, Refusal> {
    let peer = caller.domain.filter(|_| !caller.own).ok_or_else(|| Refusal("asked by no other domain".to_owned()))?;
    let known =
        node.replica().read_stale(|ledger, _| ledger.treaty(&peer).is_some_and(|treaty| treaty.agreed.is_some()));
    if !known {
        return Err(Refusal("nothing was agreed on with that domain".to_owned()));
    }
    let Some(_place) = node.memory().shown.take(peer) else { return Ok(Answer::NotNow(NotNow::Busy)) };
    match projected::excerpt(node, peer, range).await {
        Ok(Ok(excerpt)) => Ok(Answer::Excerpt(excerpt)),
        Ok(Err(size)) => Ok(Answer::Behind(size)),
        Err(error) => Err(Refusal(error.to_string())),
    }
}

/// Brings what is new of a peer's log into ours, as far as the checkpoint that this node keeps of it goes.
pub(super) async fn project(node: &Node, peer: DomainId, root_key: PublicKey) -> io::Result<()> {
    for _ in 0..PAGES {
        let Some(kept) = node.memory().get(Shelf::Seen, peer).await?.filter(|_| *node.replica().leads().borrow())
        else {
            break;
        };
        let Ok(head) = judge::head_of(&kept.bytes, &peer, &root_key) else { break };
        let size = head.judge().map_or(0, |judged| judged.checkpoint().size);
        let (next, held) = node.replica().read_stale(|ledger, _| {
            let state = ledger.peer_state(&peer);
            state.map_or((0, 0), |state| (state.projected.next, state.projected.size()))
        });
        // What the ledger holds may be newer than what this node saw before it led.
        if size <= next || size < held {
            break;
        }
        let Some(excerpt) = ask(node, peer, Question::Concerning { from: next, held, size }).await else { break };
        let is_last = excerpt.events.len() < EXCERPT_EVENTS_MAX;
        if excerpt.events.is_empty() {
            break;
        }
        let shown = Projection { roster: head.chain.roster, checkpoint: head.checkpoint, excerpt };
        if !take(node, peer, shown.encode()).await || is_last {
            break;
        }
    }
    Ok(())
}

async fn ask(node: &Node, peer: DomainId, question: Question) -> Option<Excerpt> {
    for other in node.mesh().nodes_of(&peer) {
        if let Some(Answer::Excerpt(excerpt)) = put_question(node, other, &question).await {
            return Some(excerpt);
        }
    }
    None
}

/// Whether it is in the log now. What this node refuses itself never gets there.
async fn take(node: &Node, peer: DomainId, bytes: Bytes) -> bool {
    if let Err(refusal) = refused(node, &bytes) {
        tracing::warn!(%peer, %refusal, "what a peer shows of its log is refused");
        return false;
    }
    match node.replica().submit(EntryItem::Projection(bytes)).await {
        Ok(reply) => reply.outcomes.iter().all(|outcome| outcome.is_success()),
        Err(error) => {
            tracing::debug!(%peer, %error, "a peer's events are not in the log yet; they are asked for again");
            false
        }
    }
}

fn refused(node: &Node, bytes: &Bytes) -> Result<(), Outcome> {
    let shown = CheckedProjection::open(bytes)?;
    node.replica().read_stale(|ledger, _| ledger.judge_projection(&shown).map(|_| ()))
}
