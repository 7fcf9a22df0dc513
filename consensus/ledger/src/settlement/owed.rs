//! What this domain owes its peers, derived from state: a new leader owes the same, and saying it twice is harmless.

use super::{
    across::{backing_id, backing_of},
    record::{IncomingState, Outgoing, OutgoingState, Settlement},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use bytes::Bytes;
use comity_proto::{
    amount::AssetId,
    books::{BooksAsk, SharedKey},
    ids::{DomainId, Hash, TransferId},
    limits::{PREPARE_BATCH_BYTES_MAX, SETTLEMENT_BATCH_MAX},
    settlement::{
        Acknowledge, Backing, BackingAnswer, Closing, ClosingAnswer, Decision, Prepare, Query, SettlementMessage,
        SettlementRefusal, Vote,
    },
};

/// Queries in one batch: each carries a whole signed batch of its origin (see `limits`).
pub const QUERIES_PER_BATCH_MAX: usize = 7;

/// One message owed to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// To whom.
    pub peer: DomainId,
    /// What.
    pub message: OwedMessage,
}

/// What is owed; plain values, to be put into a batch as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwedMessage {
    /// Origin to participant, until it votes or the deadline passes.
    Prepare(Prepare),
    /// Participant to origin, until it decides.
    Vote(Vote),
    /// Origin to participant, until it acknowledges.
    Decision(Decision),
    /// Participant to origin. Only after the vote was repeated without an answer: it is far larger.
    Query {
        /// Which transfer.
        transfer: TransferId,
        /// Digest of the origin's signed batch that carried the prepare; its bytes are kept as evidence.
        evidence: Hash,
    },
    /// Participant to origin, once for each decision received.
    Acknowledge(Acknowledge),
    /// An answer without a decision, once for each question.
    Refusal(SettlementRefusal),
    /// Issuer to the recipient's domain, of a third one's transfer: until it is answered.
    Backing(Backing),
    /// Recipient's domain to issuer: once minted, and once for each backing that is heard again.
    BackingAnswer(BackingAnswer),
    /// A restored domain to its peer, until it is answered.
    BooksAsk(BooksAsk),
    /// A page of the answer, once for each question; made of the ledger and the evidence when it is sent.
    Books {
        /// Of the domain that asked.
        incarnation: u64,
        /// As in the question.
        after: Option<SharedKey>,
    },
    /// What lies between us and a peer when nothing of a treaty that ends is open any more: until it is answered.
    Closing(Closing),
    /// The answer to that, once for each time it is heard.
    ClosingAnswer(ClosingAnswer),
}

impl OwedMessage {
    /// Which transfer it is about; of a third domain's transfer it is a name made for it.
    #[must_use]
    pub fn transfer(&self) -> TransferId {
        match self {
            OwedMessage::Prepare(prepare) => prepare.transfer,
            OwedMessage::Vote(vote) => vote.transfer,
            OwedMessage::Decision(decision) => decision.transfer,
            OwedMessage::Query { transfer, .. } => *transfer,
            OwedMessage::Acknowledge(acknowledge) => acknowledge.transfer,
            OwedMessage::Refusal(refusal) => refusal.transfer,
            OwedMessage::Backing(backing) => backing_id(&backing.origin, &backing.transfer),
            OwedMessage::BackingAnswer(answer) => backing_id(&answer.origin, &answer.transfer),
            OwedMessage::BooksAsk(BooksAsk { after }) | OwedMessage::Books { after, .. } => {
                after.map_or(TransferId([0; 16]), |(origin, transfer)| backing_id(&origin, &transfer))
            }
            OwedMessage::Closing(closing) => TransferId(closing.treaty.first_16()),
            OwedMessage::ClosingAnswer(answer) => TransferId(answer.statement.first_16()),
        }
    }

    /// Tells the kinds apart: one transfer is said once of each kind per batch.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            OwedMessage::Prepare(_) => 0,
            OwedMessage::Vote(_) => 1,
            OwedMessage::Decision(_) => 2,
            OwedMessage::Query { .. } => 3,
            OwedMessage::Acknowledge(_) => 4,
            OwedMessage::Refusal(_) => 5,
            OwedMessage::Backing(_) => 6,
            OwedMessage::BackingAnswer(_) => 7,
            OwedMessage::BooksAsk(_) => 8,
            OwedMessage::Books { .. } => 9,
            OwedMessage::Closing(_) => 10,
            OwedMessage::ClosingAnswer(_) => 11,
        }
    }

    /// Whether a restored ledger and its peer compare their books by it: a fenced ledger hears and says nothing else.
    #[must_use]
    pub const fn is_about_books(&self) -> bool {
        matches!(self, OwedMessage::BooksAsk(_) | OwedMessage::Books { .. })
    }

    /// The digest of the signed batch that a message needs beside itself, if it does.
    #[must_use]
    pub const fn evidence(&self) -> Option<Hash> {
        match self {
            OwedMessage::Query { evidence, .. } => Some(*evidence),
            _ => None,
        }
    }

    /// As it travels. `None` for a page of shared transfers, which is made of the ledger and the event store, and for a
    /// query whose evidence is not here (yet): the vote is repeated meanwhile.
    #[must_use]
    pub fn said(self, evidence: Option<Bytes>) -> Option<SettlementMessage> {
        Some(match self {
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
            OwedMessage::Books { .. } => return None,
            OwedMessage::Query { transfer, .. } => {
                // After a restore the evidence of a promise is a whole page, which is no prepare: the vote is enough.
                let prepare = evidence.filter(|bytes| bytes.len() <= PREPARE_BATCH_BYTES_MAX)?;
                SettlementMessage::Query(Query { transfer, prepare })
            }
        })
    }
}

/// Groups messages into batches for one signature each, order kept per peer. Queries go apart, so that every batch that
/// carries a prepare stays small enough to be embedded in a query itself; a page of shared transfers fills a batch, and so may a
/// statement.
#[must_use]
pub fn batches(owed: impl IntoIterator<Item = Owed>) -> Vec<(DomainId, Vec<OwedMessage>)> {
    let mut queues: BTreeMap<(DomainId, usize), Vec<OwedMessage>> = BTreeMap::new();
    let mut said = BTreeSet::new();
    for Owed { peer, message } in owed {
        if said.insert((peer, message.transfer(), message.kind())) {
            let size = match message {
                OwedMessage::Query { .. } => QUERIES_PER_BATCH_MAX,
                OwedMessage::Books { .. } | OwedMessage::Closing(_) => 1,
                _ => SETTLEMENT_BATCH_MAX,
            };
            queues.entry((peer, size)).or_default().push(message);
        }
    }
    let mut batches = Vec::new();
    for ((peer, size), queue) in queues.into_iter().rev() {
        batches.extend(queue.chunks(size).map(|chunk| (peer, chunk.to_vec())));
    }
    batches
}

/// A transfer that is not finished here, for `comity transfer list --in-doubt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InDoubt {
    /// Which transfer.
    pub transfer: TransferId,
    /// The other domain.
    pub peer: DomainId,
    /// Whether this domain is the origin.
    pub ours: bool,
    /// What moves.
    pub asset: AssetId,
    /// Minor units.
    pub amount: u64,
    /// Since the begin or the vote, in ledger milliseconds.
    pub age_ms: u64,
    /// What would move it on.
    pub waits_for: WaitsFor,
    /// The last refusal of the other side (an outcome code), if it sent one.
    pub refusal: Option<u16>,
}

/// What an unfinished transfer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// The participant's vote; without it the transfer aborts at this stamp.
    Vote {
        /// Ledger milliseconds.
        until_ms: u64,
    },
    /// The participant's acknowledgement of a decision that is already final.
    Acknowledge {
        /// The decision.
        commit: bool,
    },
    /// The origin's decision.
    Decision,
    /// The issuer's word that reserve stands behind us; the origin has committed.
    Backing,
    /// The recipient's domain's word that it has minted what our reserve stands behind.
    Minting,
}

/// The decision that an origin owes a participant for one of its records, if it has decided.
pub(crate) fn decision_of(record: &Outgoing, peer: &DomainId) -> Option<Decision> {
    let (commit, vote_evidence) = match record.state {
        OutgoingState::Undecided => return None,
        OutgoingState::Decided { commit, vote_evidence, .. } | OutgoingState::Closed { commit, vote_evidence, .. } => {
            (commit, vote_evidence)
        }
    };
    let Prepare { transfer, decide_by_ms, .. } = record.prepare;
    let yes = record.said(peer).and_then(|said| said.yes).filter(|_| commit);
    let vote_evidence = yes.map(|(_, evidence)| evidence).or(vote_evidence);
    Some(Decision { transfer, content: record.content, commit, vote_evidence, decide_by_ms })
}

impl Settlement {
    /// Everything unanswered. A participant's yes vote owes both the vote and, if that stays unanswered, the query.
    #[must_use]
    pub fn owed_all(&self) -> Vec<Owed> {
        let mut owed = Vec::new();
        for (peer, state) in &self.peers {
            let ours = state.queues.outgoing_open.iter().filter_map(|(_, id)| self.outgoing.get(id));
            for record in ours {
                let said = record.said(peer);
                let message = match decision_of(record, peer) {
                    Some(_) if said.is_some_and(|said| said.done) => continue,
                    Some(decision) => OwedMessage::Decision(decision),
                    None if said.is_some_and(|said| said.yes.is_some()) => continue,
                    None => OwedMessage::Prepare(record.prepare.clone()),
                };
                owed.push(Owed { peer: *peer, message });
            }
            let backing = state.queues.backing_open.iter();
            let backing = backing.filter_map(|(_, key)| backing_of(key, self.incoming.get(key)?));
            owed.extend(backing.map(|backing| Owed { peer: *peer, message: OwedMessage::Backing(backing) }));
            for (_, id) in state.queues.incoming_open.iter() {
                let Some(record) = self.incoming.get(&(*peer, *id)) else { continue };
                let IncomingState::Voted { fee } = record.state else { continue };
                let vote = Vote { transfer: *id, content: record.content, verdict: Ok(fee) };
                owed.push(Owed { peer: *peer, message: OwedMessage::Vote(vote) });
                let query = OwedMessage::Query { transfer: *id, evidence: record.evidence };
                owed.push(Owed { peer: *peer, message: query });
            }
        }
        owed
    }

    /// Every transfer that is not finished here, with its age at `stamp_ms`.
    #[must_use]
    pub fn in_doubt(&self, stamp_ms: u64) -> Vec<InDoubt> {
        let mut list = Vec::new();
        self.each_in_doubt(stamp_ms, |transfer| list.push(transfer));
        list
    }

    /// Shows each of them, one after the other, without a list.
    pub fn each_in_doubt(&self, stamp_ms: u64, mut see: impl FnMut(InDoubt)) {
        for (peer, state) in &self.peers {
            let ours = state.queues.outgoing_open.iter().filter_map(|(_, id)| self.outgoing.get(id));
            for record in ours {
                let said = record.said(peer);
                let waits_for = match record.state {
                    OutgoingState::Decided { .. } if said.is_some_and(|said| said.done) => continue,
                    OutgoingState::Undecided if said.is_some_and(|said| said.yes.is_some()) => continue,
                    OutgoingState::Decided { commit, .. } => WaitsFor::Acknowledge { commit },
                    _ => WaitsFor::Vote { until_ms: record.prepare.decide_by_ms },
                };
                let age_ms = stamp_ms.saturating_sub(record.begun_ms);
                see(entry(*peer, true, &record.prepare, age_ms, waits_for, record.refusal));
            }
            for (_, id) in state.queues.incoming_open.iter() {
                let Some(record) = self.incoming.get(&(*peer, *id)) else { continue };
                let Some(prepare) = &record.prepare else { continue };
                let age_ms = stamp_ms.saturating_sub(record.heard_ms);
                let (whom, waits_for) = match record.state {
                    IncomingState::Unbacked { .. } => (prepare.asset.issuer, WaitsFor::Backing),
                    IncomingState::Backing => (prepare.recipient.domain, WaitsFor::Minting),
                    _ => (*peer, WaitsFor::Decision),
                };
                see(entry(whom, false, prepare, age_ms, waits_for, record.refusal));
            }
        }
    }
}

const fn entry(
    peer: DomainId,
    ours: bool,
    prepare: &Prepare,
    age_ms: u64,
    waits_for: WaitsFor,
    refusal: Option<u16>,
) -> InDoubt {
    let Prepare { transfer, asset, amount, .. } = *prepare;
    InDoubt { transfer, peer, ours, asset, amount, age_ms, waits_for, refusal }
}
