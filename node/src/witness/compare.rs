//! Have both participants of a transfer across been told the same end of it?
//!
//! ```text
//! one that was told commit and misses the other one's word:   -- Told (what the origin signed) ->
//!                                                              the other one was told abort: the two are a proof
//! ```
//! A lie of the origin strands its own unit and nothing else, so nobody hurries: only what has stood still since the last
//! round is compared. And what is proved suspends: a leader brings every proof that its node keeps into the log.

use super::ask::{accuse, put_question};
use crate::{node::Node, storage::audit::Shelf};
use bytes::Bytes;
use comity_ledger::settlement::record::IncomingKey;
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    planted::{Plant, planted},
    relay::Question,
    settlement::SettlementBatch,
};
use comity_verify::{Verdict, decisions, verify};
use std::{collections::BTreeSet, io};

/// Tells the other participant of each transfer that stands still what its origin said here. `stood` are those of the last
/// round.
pub(super) async fn compare(node: &Node, stood: &mut BTreeSet<IncomingKey>) {
    let stuck = match *node.replica().leads().borrow() {
        true => node.replica().read_stale(|ledger, _| ledger.ends_to_compare()),
        false => Vec::new(),
    };
    for (whom, key, evidence) in &stuck {
        let Some(batch) = node.replica().events().evidence(evidence).ok().flatten().filter(|_| stood.contains(key))
        else {
            continue;
        };
        let question = Question::Told(batch);
        for other in node.mesh().nodes_of(whom) {
            if put_question(node, other, &question).await.is_some() {
                break;
            }
        }
    }
    *stood = stuck.into_iter().map(|(_, key, _)| key).collect();
}

/// Another participant was told this by the origin of a transfer. True if that is a proof together with what is kept here.
///
/// # Errors
/// The disk's.
pub(super) async fn told(node: &Node, envelope: Bytes) -> io::Result<bool> {
    let Ok(batch) = SettlementBatch::open(&envelope) else { return Ok(false) };
    let Some(digest) = node.replica().read_stale(|ledger, _| ledger.told_otherwise(batch.get())) else {
        return Ok(false);
    };
    match node.replica().events().evidence(&digest).ok().flatten() {
        // Whoever takes it judges both again.
        Some(own) => accuse(node, decisions::document(&own, &envelope)).await,
        None => Ok(false),
    }
}

/// Brings the proofs that this node keeps into the log, where they suspend.
pub(super) async fn suspend(node: &Node) -> io::Result<()> {
    if !*node.replica().leads().borrow() || planted(Plant::TwoWordsTaken) {
        return Ok(());
    }
    for (subject, kept) in node.memory().all(Shelf::Decided).await? {
        let Ok(Verdict::TwoDecisions(two)) = verify(kept.bytes.as_ref(), None) else { continue };
        let is_news = node.replica().read_stale(|ledger, _| {
            let known = ledger.peer_state(&subject);
            let knows = known.is_some_and(|state| state.equivocation.is_some() || state.proved == Some(two.transfer));
            ledger.treaty(&subject).is_some_and(|treaty| treaty.agreed.is_some()) && !knows
        });
        if !is_news {
            continue;
        }
        match node.replica().submit(EntryItem::Contradiction(kept.bytes)).await {
            Ok(reply) => tracing::error!(domain = %subject, outcomes = ?reply.outcomes, "a proof is in the log"),
            Err(error) => tracing::debug!(domain = %subject, %error, "a proof is not in the log yet"),
        }
    }
    Ok(())
}
