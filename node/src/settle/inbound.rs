//! Takes settlement batches of peers into the log.
//!
//! Nothing is judged here: the ledger of every replica judges the signature, the roster and each message. Who delivers a
//! batch does not matter, only who signed it.

use super::budget::{Budgets, Speaker};
use crate::mesh::{Caller, MeshHandle, OverLicence, Refusal};
use bytes::Bytes;
use comity_ledger::Outcome;
use comity_proto::{
    entry::EntryItem,
    envelope::{Envelope, Signed as _},
    limits::{ROSTER_MAX, SETTLEMENT_BATCH_MAX},
    planted::{Plant, planted},
    settlement::{Prepare, SettlementBatch, SettlementMessage},
};
use comity_replica::{Replica, SubmitError, SubmitReply};
use std::time::Duration;

/// How long a batch waits here for a leader: the sender's other nodes may be better off, and its places are few.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How long a refusal of a partner that is not heard is held back. It has so many places on a link and no more, so the rest
/// of a flood stays in the flooder's own buffers, where it costs nobody else anything.
const HELD_BACK: Duration = Duration::from_secs(1);
/// Words for which a batch counts that changed nothing at all: it is an entry and a signature, however little it says.
const WASTED_BATCH: u64 = 8;

/// Answers a peer once its batch is applied: then it was heard for good. A peer whose words change nothing, again and
/// again, is not heard for a while on the way that brought them.
pub(crate) async fn take(
    replica: Replica,
    budgets: &Budgets,
    speaker: Speaker,
    envelope: Bytes,
    hold_votes: Duration,
) -> Result<Bytes, Refusal> {
    if let Err(left) = budgets.hears(speaker, comity_runtime::now()) {
        comity_runtime::sleep(left.min(HELD_BACK)).await;
        let seconds = left.as_secs().saturating_add(1);
        return Err(Refusal(format!(
            "settlement_budget: too much of what you said changed nothing; nothing is taken for {seconds} s, then say it again"
        )));
    }
    if replica.read_stale(|ledger, _| ledger.is_fenced()) && !is_about_books(&envelope) {
        // Answered without an entry, and held against nobody: the peer says it again when the fence is lifted.
        return Err(Refusal("fenced: this domain was restored and first compares its books with its peers".to_owned()));
    }
    if !hold_votes.is_zero() && carries_a_vote(&envelope) {
        comity_runtime::sleep(hold_votes).await;
    }
    if planted(Plant::LeakTask) {
        (0..8).for_each(|_| drop(comity_runtime::spawn(std::future::pending::<()>())));
    }
    let taken = comity_runtime::timeout(PATIENCE, replica.submit(EntryItem::Settlement(envelope.clone()))).await;
    if let Ok(taken) = &taken
        && budgets.wasted(speaker, wasted_words(taken, &envelope), comity_runtime::now())
    {
        let (partner, through) = speaker;
        tracing::warn!(
            %partner,
            ?through,
            "its settlement words change nothing, again and again: it is not heard for a while"
        );
    }
    match taken {
        Ok(Ok(_applied)) => Ok(Bytes::new()),
        Ok(Err(error)) => Err(Refusal(error.to_string())),
        Err(comity_runtime::Elapsed) => Err(Refusal("no leader in time; another node may know one".to_owned())),
    }
}

/// Words that changed nothing; what is no batch at all counts as a full one.
fn wasted_words(taken: &Result<SubmitReply, SubmitError>, envelope: &Bytes) -> u64 {
    match taken {
        Ok(reply) => {
            let applied = reply.outcomes.iter().filter(|outcome| **outcome == Outcome::Applied).count();
            match reply.outcomes.len().saturating_sub(applied) as u64 {
                wasted if applied == 0 => wasted.max(WASTED_BATCH),
                0 => 0,
                wasted => wasted.saturating_sub(words_with(envelope, applied)),
            }
        }
        Err(SubmitError::Refused(_)) => SETTLEMENT_BATCH_MAX as u64,
        Err(_) => 0,
    }
}

/// Words of voters that go with so many decisions: they change nothing themselves, and are no waste.
fn words_with(envelope: &Bytes, decisions: usize) -> u64 {
    let is_word = |message: &&SettlementMessage| matches!(message, SettlementMessage::Word(_));
    let words = unverified(envelope).map_or(0, |all| all.iter().filter(is_word).count());
    words.min(decisions.saturating_mul(ROSTER_MAX)) as u64
}

/// What a batch begins is counted against the licence of whoever brings it, once: what is said again, because the answer
/// was lost, begins nothing. A batch is signed whole, so what else is in it waits for the next minute, too; nothing of it is
/// lost.
pub(crate) fn over_licence(
    mesh: &MeshHandle,
    replica: &Replica,
    caller: &Caller,
    envelope: &Bytes,
) -> Option<OverLicence> {
    let peer = caller.domain.filter(|peer| !caller.own && mesh.counts(peer))?;
    let batch = Envelope::parse(envelope, SettlementBatch::PAYLOAD_BYTES_MAX, SettlementBatch::LIMIT)
        .and_then(|envelope| SettlementBatch::decode(envelope.unverified_payload()));
    let events = batch.map_or(1, |batch| {
        replica.read_stale(|ledger, _| {
            begun_by(&batch, |said| ledger.incoming_transfer(said.origin, said.transfer).is_some())
        })
    });
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    if events == 0 { None } else { mesh.admit(&peer, events).err() }
}

/// How many transfers a batch begins that are not known yet.
fn begun_by(batch: &SettlementBatch, is_known: impl Fn(&Prepare) -> bool) -> usize {
    let begins =
        |message: &&SettlementMessage| matches!(message, SettlementMessage::Prepare(prepare) if !is_known(prepare));
    batch.messages.iter().filter(begins).count()
}

/// Unverified, and only for a node that was told to hold votes back.
fn carries_a_vote(envelope: &Bytes) -> bool {
    unverified(envelope).is_some_and(|all| all.iter().any(|message| matches!(message, SettlementMessage::Vote(_))))
}

/// Unverified: the ledger judges the same again.
fn is_about_books(envelope: &Bytes) -> bool {
    let about =
        |message: &SettlementMessage| matches!(message, SettlementMessage::BooksAsk(_) | SettlementMessage::Books(_));
    unverified(envelope).is_some_and(|all| all.iter().all(about))
}

fn unverified(envelope: &Bytes) -> Option<Vec<SettlementMessage>> {
    let batch = Envelope::parse(envelope, SettlementBatch::PAYLOAD_BYTES_MAX, SettlementBatch::LIMIT)
        .and_then(|envelope| SettlementBatch::decode(envelope.unverified_payload()));
    batch.ok().map(|batch| batch.messages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::{
        amount::{AssetCode, AssetId},
        command::Party,
        ids::{AgentId, DomainId, TransferId},
        keys::SecretKey,
        settlement::{Acknowledge, Source},
    };

    #[test]
    fn what_is_said_again_is_no_event_of_a_licence() {
        let (from, to) = (DomainId([1; 32]), DomainId([2; 32]));
        let prepare = |n: u8| {
            SettlementMessage::Prepare(Prepare {
                transfer: TransferId([n; 16]),
                origin: from,
                source: Source::Agent(AgentId([3; 32])),
                recipient: Party { domain: to, agent: AgentId([4; 32]) },
                asset: AssetId { issuer: from, code: AssetCode::new("CRED").expect("a code") },
                amount: 1,
                decide_by_ms: 1,
            })
        };
        let other = SettlementMessage::Acknowledge(Acknowledge { transfer: TransferId([1; 16]), commit: true });
        let messages = vec![prepare(1), other, prepare(2), prepare(3)];
        let batch = SettlementBatch { from, to, incarnation: 1, roster: Bytes::new(), messages };
        let known = |said: &Prepare| said.transfer == TransferId([2; 16]);
        assert_eq!(begun_by(&batch, known), 2);
        assert_eq!(begun_by(&batch, |_| true), 0);
    }

    #[test]
    fn words_that_go_with_a_decision_are_no_waste_and_others_are() {
        let one = || SettlementMessage::Acknowledge(Acknowledge { transfer: TransferId([1; 16]), commit: true });
        let said = |words: usize| {
            let (from, to) = (DomainId([1; 32]), DomainId([2; 32]));
            let messages = std::iter::repeat_n(SettlementMessage::Word(Bytes::new()), words).chain([one(), one()]);
            let batch =
                SettlementBatch { from, to, incarnation: 1, roster: Bytes::new(), messages: messages.collect() };
            batch.seal(&SecretKey::from_seed(&[7; 32]))
        };
        let wasted = |words: usize, last: [Outcome; 2]| {
            let outcomes = std::iter::repeat_n(Outcome::Exists, words).chain(last).collect();
            wasted_words(&Ok(SubmitReply { log_index: 1, stamp_ms: 1, outcomes }), &said(words))
        };
        let (applied, exists) = (Outcome::Applied, Outcome::Exists);
        assert_eq!(wasted(3, [applied, applied]), 0);
        assert_eq!(wasted(3, [applied, exists]), 1, "what is said again changes nothing");
        assert_eq!(wasted(20, [applied, exists]), 21 - ROSTER_MAX as u64, "more words than voters");
        assert_eq!(wasted(3, [exists, exists]), WASTED_BATCH, "words about nothing new");
        assert_eq!(wasted(0, [exists, exists]), WASTED_BATCH);
    }
}
