//! What to say to peers, and when: the outbox without its tasks, clock and network.
//!
//! Pure, so that a model of many domains says the same things at the same moments as a node does.

use super::retry::Retries;
use bytes::Bytes;
use comity_ledger::settlement::{Owed, OwedMessage, batches};
use comity_proto::{
    ids::{DomainId, Hash},
    limits::PREPARE_BATCH_BYTES_MAX,
    settlement::{Query, SettlementMessage},
};
use comity_runtime::Instant;
use std::time::Duration;

/// How often the ledger is asked for everything that is still unanswered.
pub const LOOK: Duration = Duration::from_millis(500);
/// Messages that wait to be sent; more are left for the next look at the ledger.
pub const WAITING: usize = 65_536;

/// What goes to one peer in one batch under one signature.
pub type Said = (DomainId, Vec<OwedMessage>);

/// The memory of one speaker: what it said, and when that is due again.
pub struct Speech {
    retries: Retries,
}

impl Speech {
    /// Nothing was said yet. `chance` gives one byte per draw and shifts every pause a little.
    #[must_use]
    pub fn new(chance: Box<dyn FnMut() -> u8 + Send>) -> Speech {
        Speech { retries: Retries::new(chance) }
    }

    /// An entry owes something new: it is said at once.
    pub fn fresh(&mut self, owed: Vec<Owed>, now: Instant) -> Vec<Said> {
        owed.iter().for_each(|owed| self.retries.said_now(owed.peer, &owed.message, now));
        batches(owed)
    }

    /// A look at the ledger: of everything that it owes, what is due now. What is owed no more is forgotten.
    pub fn due(&mut self, owed: Vec<Owed>, now: Instant) -> Vec<Said> {
        self.retries.begin_round();
        let retries = &mut self.retries;
        let due: Vec<Owed> =
            owed.into_iter().filter(|owed| retries.is_due(owed.peer, &owed.message, now)).take(WAITING).collect();
        retries.end_round();
        batches(due)
    }

    /// The peer can be reached again, or better than before: what waits for it is due at the next look.
    pub fn hurry(&mut self, peer: DomainId) {
        self.retries.hurry(peer);
    }

    /// No leader any more: a new one starts from its ledger alone.
    pub fn fall_silent(&mut self) {
        self.retries.forget_all();
    }
}

/// The digest of the signed batch that a message needs beside itself, if it does.
#[must_use]
pub const fn evidence_for(owed: &OwedMessage) -> Option<Hash> {
    match owed {
        OwedMessage::Query { evidence, .. } => Some(*evidence),
        _ => None,
    }
}

/// An owed message as it travels. `None` for a query whose evidence is not here (yet): the vote is repeated meanwhile.
#[must_use]
pub fn message(owed: OwedMessage, evidence: Option<Bytes>) -> Option<SettlementMessage> {
    Some(match owed {
        OwedMessage::Prepare(prepare) => SettlementMessage::Prepare(prepare),
        OwedMessage::Vote(vote) => SettlementMessage::Vote(vote),
        OwedMessage::Decision(decision) => SettlementMessage::Decision(decision),
        OwedMessage::Acknowledge(acknowledge) => SettlementMessage::Acknowledge(acknowledge),
        OwedMessage::Refusal(refusal) => SettlementMessage::Refusal(refusal),
        OwedMessage::Backing(backing) => SettlementMessage::Backing(backing),
        OwedMessage::BackingAnswer(answer) => SettlementMessage::BackingAnswer(answer),
        OwedMessage::BooksAsk(ask) => SettlementMessage::BooksAsk(ask),
        OwedMessage::Closing(closing) => SettlementMessage::Closing(closing),
        OwedMessage::ClosingAnswer(answer) => SettlementMessage::ClosingAnswer(answer),
        // Made of the ledger and the event store: see the outbox.
        OwedMessage::Books { .. } => return None,
        OwedMessage::Query { transfer, .. } => {
            // After a restore the evidence of a promise is a whole page, which is no prepare: the vote is enough.
            let prepare = evidence.filter(|bytes| bytes.len() <= PREPARE_BATCH_BYTES_MAX)?;
            SettlementMessage::Query(Query { transfer, prepare })
        }
    })
}
