//! Commands of local agents for a ledger elsewhere, and of agents from elsewhere for this ledger.
//!
//! ```text
//! worker -- REST --> its node -- question --> a voter of the escrow's home -- entry --> log
//!        <-- recorded, with the receipt <-- receipt, signed by that voter <-- outcome --
//!        <-- pending, without one
//! ```
//! Only a receipt says that something was recorded: whatever else a node of the home answers, or does not, leaves the
//! command pending, and the same bytes may be sent again. Absent: a queue here that sends them again by itself; a command
//! carries its own end (`valid_until`), and its agent is the one that knows whether it still wants it.

use super::{
    commands::{of_outcome, peek},
    error::{Kind, ServiceError},
};
use crate::{mesh::class::Class, node::Node};
use bytes::Bytes;
use comity_ledger::{Ledger, Outcome};
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    identity::Roster,
    ids::{DomainId, Hash},
    reject::Reject,
    relay::{Answer, NotNow, Question, Receipt},
};
use comity_replica::{SubmitError, SubmitReply};
use std::time::Duration;

/// How long all nodes of another domain together have to take a command into their log and to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Hands a batch of so many commands to the home that it addresses. Gives what its log answered, and the envelope of the
/// receipt that proves it.
///
/// # Errors
/// `pending` without a valid receipt; `home_unreachable` without a treaty; what the home's node says of the bytes before
/// its log; `home_not_understood`.
pub(super) async fn ask_home(
    node: &Node,
    home: DomainId,
    envelope: Bytes,
    commands: usize,
) -> Result<(SubmitReply, Bytes), ServiceError> {
    if node.replica().read_stale(|ledger, _| ledger.treaty(&home).is_none()) {
        let detail = format!("there is no treaty with domain {home}: nothing can be carried to its ledger from here");
        let next = "send it to a node of a domain that has one";
        return Err(ServiceError::new(Kind::Unavailable, "home_unreachable", detail, next));
    }
    let digest = Hash::of(&envelope);
    let question = Question::Commands(envelope).encode();
    let begun = comity_runtime::now();
    let mut why = String::from("no node of it is connected");
    for other in node.mesh().nodes_of(&home) {
        let left = PATIENCE.saturating_sub(begun.elapsed());
        let answer = match node.mesh().request(other, Class::Tasks, question.clone(), left).await {
            Ok(bytes) => Answer::decode(&bytes),
            Err(error) => {
                why = error.to_string();
                continue;
            }
        };
        why = match answer {
            Ok(Answer::Receipt(receipt)) => {
                let judged = node.replica().read_stale(|ledger, _| check(ledger, home, digest, commands, &receipt));
                match judged {
                    Ok(told) => return recorded(told, receipt),
                    Err(reject) => {
                        tracing::warn!(%home, node = %other, %reject, "a receipt that proves nothing");
                        format!("its receipt proves nothing: {reject}")
                    }
                }
            }
            Ok(Answer::Refused(code)) => return Err(of_outcome(outcome(code)?)),
            Ok(Answer::NotNow(reason)) => words(reason).to_owned(),
            Ok(Answer::IsHere(_) | Answer::Document(_) | Answer::Behind(_) | Answer::Taken(_) | Answer::Excerpt(_)) => {
                "it answered another question".to_owned()
            }
            Err(reject) => format!("its answer was not understood: {reject}"),
        };
    }
    let detail = format!("no receipt of domain {home} yet: {why}");
    let next = "send the same bytes again: their request ids make that safe";
    Err(ServiceError::new(Kind::Unknown, "pending", detail, next))
}

fn recorded(told: Receipt, receipt: Bytes) -> Result<(SubmitReply, Bytes), ServiceError> {
    let outcomes = told.outcomes.iter().map(|code| outcome(*code)).collect::<Result<_, _>>()?;
    let reply = SubmitReply { log_index: told.log_index, stamp_ms: told.stamp_ms, outcomes };
    Ok((reply, receipt))
}

fn outcome(code: u16) -> Result<Outcome, ServiceError> {
    Outcome::from_code(code).ok_or_else(|| {
        let detail = format!("the home answered with outcome {code}, which this program does not know");
        ServiceError::new(Kind::Unknown, "home_not_understood", detail, "update this node, then send it again")
    })
}

const fn words(reason: NotNow) -> &'static str {
    match reason {
        NotNow::Busy => "it is busy",
        NotNow::NoLeader => "it has no leader",
        NotNow::NotAVoter => "the node that was reached is no voter of it",
        NotNow::Unknown => "it did not learn in time whether it was recorded",
    }
}

/// Signed by a voter of the highest roster known of that domain, about these bytes.
fn check(ledger: &Ledger, home: DomainId, batch: Hash, commands: usize, envelope: &Bytes) -> Result<Receipt, Reject> {
    let receipt = Receipt::open(envelope)?;
    receipt.get().check_answers(home, batch, commands)?;
    let roster = Roster::open(&receipt.get().roster)?;
    if !ledger.speaks_for(receipt.get().incarnation, &roster, receipt.key()) {
        return Err(Reject::WrongSigner);
    }
    Ok(receipt.into_inner())
}

/// How many commands a batch holds, unverified; one for what is no batch.
pub(crate) fn commands_in(envelope: &Bytes) -> u32 {
    peek(envelope).map_or(1, |batch| u32::try_from(batch.commands.len()).unwrap_or(u32::MAX))
}

/// The other end: takes a batch of an agent at home elsewhere into this ledger and signs what became of it.
pub(crate) async fn record(node: &Node, envelope: Bytes) -> Answer {
    let key = node.key();
    let speaks = |ledger: &Ledger| {
        let domain = ledger.domain().filter(|domain| domain.voters.contains(&key.public()))?;
        Some((domain.incarnation, domain.roster.clone()))
    };
    if node.replica().read_stale(|ledger, _| speaks(ledger)).is_none() {
        return Answer::NotNow(NotNow::NotAVoter);
    }
    match peek(&envelope) {
        Ok(batch) if batch.home == node.domain() => {}
        Ok(_) => return Answer::Refused(Outcome::WrongDomain.code()),
        Err(_) => return Answer::Refused(Outcome::Malformed.code()),
    }
    let batch = Hash::of(&envelope);
    let reply = match node.replica().submit(EntryItem::Commands(envelope)).await {
        Ok(reply) => reply,
        Err(error) => return unrecorded(&error),
    };
    // Removed from the roster meanwhile: another voter answers the same bytes again.
    let Some((incarnation, roster)) = node.replica().read_stale(|ledger, _| speaks(ledger)) else {
        return Answer::NotNow(NotNow::Unknown);
    };
    let outcomes = reply.outcomes.iter().map(|outcome| outcome.code()).collect();
    let SubmitReply { log_index, stamp_ms, .. } = reply;
    let receipt = Receipt { domain: node.domain(), batch, incarnation, log_index, stamp_ms, outcomes, roster };
    Answer::Receipt(receipt.seal(key))
}

fn unrecorded(error: &SubmitError) -> Answer {
    match error {
        SubmitError::Refused(outcome) => Answer::Refused(outcome.code()),
        SubmitError::TooLarge { .. } => Answer::Refused(Outcome::Malformed.code()),
        SubmitError::Busy => Answer::NotNow(NotNow::Busy),
        SubmitError::NotLeader | SubmitError::NoLeader | SubmitError::ClockJump { .. } => {
            Answer::NotNow(NotNow::NoLeader)
        }
        SubmitError::Unknown | SubmitError::Stopped => Answer::NotNow(NotNow::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::keys::SecretKey;

    fn key(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    fn receipt(outcomes: Vec<u16>) -> Receipt {
        let root = key(1);
        let domain = DomainId::of_key(&root.public());
        let roster = Roster { domain, epoch: 1, voters: vec![key(2).public()], seats: vec![] }.seal(&root);
        let batch = Hash::of(b"a batch");
        Receipt { domain, batch, incarnation: 1, log_index: 5, stamp_ms: 7, outcomes, roster }
    }

    #[test]
    fn a_receipt_proves_only_what_it_is_about_and_only_from_a_voter() {
        let (home, batch) = (receipt(vec![2]).domain, Hash::of(b"a batch"));
        let ledger = Ledger::empty();
        let judged = |receipt: Receipt, signer: u8, commands| {
            check(&ledger, home, batch, commands, &receipt.seal(&key(signer))).map(|_| ())
        };
        assert_eq!(judged(receipt(vec![2, 4]), 2, 2), Ok(()));
        assert_eq!(judged(receipt(vec![8]), 2, 2), Ok(()), "one outcome for a batch refused as such");
        assert_eq!(judged(receipt(vec![2]), 3, 1), Err(Reject::WrongSigner), "no voter");
        assert_eq!(judged(receipt(vec![2]), 1, 1), Err(Reject::WrongSigner), "the root key signs rosters only");
        assert_eq!(judged(receipt(vec![2, 2, 2]), 2, 2), Err(Reject::OutOfRange { field: "outcomes" }));
        let other = Receipt { batch: Hash::of(b"another"), ..receipt(vec![2]) };
        assert_eq!(judged(other, 2, 1), Err(Reject::WrongKind { field: "batch" }));
        let elsewhere = check(&ledger, DomainId([9; 32]), batch, 1, &receipt(vec![2]).seal(&key(2)));
        assert_eq!(elsewhere, Err(Reject::WrongKind { field: "domain" }));
        let mut forged = receipt(vec![2]).seal(&key(2)).to_vec();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        assert_eq!(check(&ledger, home, batch, 1, &forged.into()), Err(Reject::BadSignature));
    }
}
