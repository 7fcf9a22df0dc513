//! Two-phase commit between domains, as this ledger plays both parts.
//!
//! ```text
//! origin                                         participant
//! begin    source -> in_flight/<transfer>
//!            -- Prepare ---------------------->  vote     yes: pending credit (an issuer: peer/<origin> -> held)
//!            <- Vote --------------------------
//! decide   commit: -> peer/<P> or burned
//!          abort:  -> where it came from
//!            -- Decision --------------------->  finish   commit: credit less fee; abort: drop, give back
//!            <- Acknowledge -------------------
//! close
//! ```
//! Each step is an entry of its own log before the message that announces it. Rules that this module keeps:
//! only the origin's log decides, and a time-out aborts only there and only before the decision; after a yes vote a
//! participant waits for the origin's word, whatever happens; the first recorded decision stands; nothing unfinished is
//! ever forgotten, and what is behind the watermark of a peer is answered `too_old`, never with a decision.
//!
//! | file | holds |
//! |---|---|
//! | [`check`] | what is judged from the bytes alone |
//! | [`record`], [`dues`] | what is remembered |
//! | `origin`, `participant` | the two parts |
//! | `accuse` | two signed ends of one transfer, brought as a proof |
//! | `majority` | decisions above an amount, signed by most voters of their origin |
//! | [`across`] | two participants: what passes between issuer and recipient's domain |
//! | `resolve` | an operator ends a transfer by the other side's signed word |
//! | `payout` | shares that an escrow owes to agents of other domains |
//! | `sweep` | what referrers of other domains have earned |
//! | [`shared`] | what lies between us and a peer that was restored, for its books |
//! | [`reconcile`], `adopt`, `settle` | a ledger that was restored: what it asks, what it adopts, what is left to its operator |
//! | [`owed`] | what must be said, derived from the records |
//!
//! Absent on purpose: sending, retry timing, and any comparison of two domains' clocks.

mod accuse;
pub mod across;
mod adopt;
pub mod check;
pub mod dues;
mod majority;
mod origin;
pub mod owed;
mod participant;
mod payout;
mod reads;
pub mod reconcile;
pub mod record;
mod resolve;
mod settle;
pub mod shared;
mod sweep;

use crate::{
    account::{AssetIndex, Leg},
    event::EventKind,
    outcome::Outcome,
    state::Ledger,
};
pub use accuse::CheckedContradiction;
use alloc::{vec, vec::Vec};
use bytes::Bytes;
pub use check::CheckedBatch;
use comity_proto::{
    command::Party,
    identity::Roster,
    ids::{DomainId, Hash, TransferId},
    planted::{Plant, planted},
    roots::Signer,
    settlement::{Prepare, SettlementMessage, SettlementRefusal},
};
pub use dues::{Accrual, AccrualId, Fronted, Payout, PayoutKey};
pub(crate) use origin::Begin;
pub use owed::{InDoubt, Owed, OwedMessage, WaitsFor, batches};
pub use payout::payout_transfer;
pub use reconcile::{Difference, Reconciling, Unbalanced};
use record::FORGOTTEN_PER_STEP_MIN;
pub use record::{Incoming, IncomingState, Outgoing, OutgoingState, PeerState, Settlement};
pub use sweep::sweep_transfer;

/// Digest that binds votes and decisions to one prepare.
#[must_use]
pub fn content_of(prepare: &Prepare) -> Hash {
    // Postcard of plain fields into memory cannot fail; an empty digest would match no peer's.
    let bytes = postcard::to_allocvec(prepare).unwrap_or_default();
    Hash::of_parts("comity/v1/prepare", &[&bytes])
}

/// What a step leaves behind besides state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// To be said to peers.
    pub owed: Vec<Owed>,
    /// Signed batches to keep, by digest.
    pub evidence: Vec<(Hash, Bytes)>,
    /// For the event log, each with the postings that belong to it.
    pub events: Vec<(EventKind, Vec<Leg>)>,
    /// Shares of escrows that have arrived in another domain.
    pub payouts_done: Vec<PayoutKey>,
}

impl Effects {
    pub(crate) fn event(&mut self, kind: EventKind, legs: &[Leg]) {
        self.events.push((kind, legs.to_vec()));
    }

    fn owe(&mut self, peer: DomainId, message: OwedMessage) {
        self.owed.push(Owed { peer, message });
    }

    fn refuse(&mut self, peer: DomainId, transfer: TransferId, reason: Outcome) -> Outcome {
        self.owe(peer, OwedMessage::Refusal(SettlementRefusal { transfer, reason: reason.code() }));
        reason
    }

    /// Keeps the signed batch; once however many of its messages count.
    pub(crate) fn keep(&mut self, batch: &CheckedBatch) {
        if self.evidence.last().is_none_or(|(digest, _)| *digest != batch.digest()) {
            self.evidence.push((batch.digest(), batch.envelope().clone()));
        }
    }
}

impl Ledger {
    /// The bug that is planted as `unlock-after-yes`.
    fn give_up_promises(&mut self, now_ms: u64, batch: &CheckedBatch, effects: &mut Effects) {
        let old = |record: &Incoming| {
            let waits = matches!(record.state, IncomingState::Voted { .. });
            waits && record.heard_ms.saturating_add(2_000) < now_ms && record.prepare.is_some()
        };
        let due = self.settlement.incoming.iter().find(|(_, record)| old(record));
        let Some((key, record)) = due.map(|(key, record)| (*key, record.clone())) else { return };
        let record = Incoming { decision_evidence: Some(batch.digest()), ..record };
        self.finish(&key, record, 0, false, effects);
    }

    /// Applies one batch of another domain, message by message. One outcome for the whole batch when it is refused as
    /// such, else one per message.
    pub(crate) fn apply_settlement_batch(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        effects: &mut Effects,
    ) -> Vec<Outcome> {
        if planted(Plant::UnlockAfterYes) {
            self.give_up_promises(now_ms, batch, effects);
        }
        if let Err(refusal) = self.admit(batch) {
            return vec![refusal];
        }
        let mut outcomes = Vec::with_capacity(batch.get().messages.len());
        for message in &batch.get().messages {
            outcomes.push(match message {
                SettlementMessage::Prepare(prepare) => self.on_prepare(now_ms, batch, prepare, effects),
                SettlementMessage::Vote(vote) => self.on_vote(now_ms, batch, vote, effects),
                SettlementMessage::Decision(decision) => self.on_decision(now_ms, batch, decision, effects),
                SettlementMessage::Query(query) => self.on_query(now_ms, batch, query, effects),
                SettlementMessage::Acknowledge(acknowledge) => self.on_acknowledge(batch, acknowledge, effects),
                SettlementMessage::Refusal(refusal) => self.on_refusal(batch, refusal, effects),
                SettlementMessage::Backing(backing) => self.on_backing(batch, backing, effects),
                SettlementMessage::BackingAnswer(answer) => self.on_backing_answer(batch, answer),
                SettlementMessage::BooksAsk(ask) => {
                    let (peer, incarnation) = (batch.get().from, batch.get().incarnation);
                    effects.owe(peer, OwedMessage::Books { incarnation, after: ask.after });
                    Outcome::Applied
                }
                SettlementMessage::Books(books) => self.on_books(now_ms, batch, books, effects),
                SettlementMessage::Closing(closing) => self.on_closing(batch, closing, effects),
                SettlementMessage::ClosingAnswer(answer) => self.on_closing_answer(batch, answer, effects),
                // Counts with the decision that it is about.
                SettlementMessage::Word(_) => Outcome::Exists,
            });
        }
        let max = outcomes.len().saturating_mul(2).saturating_add(FORGOTTEN_PER_STEP_MIN);
        // What a restored ledger still knows is not forgotten before it is compared.
        if !self.is_fenced() {
            self.settlement.forget(&batch.get().from, now_ms, max);
        }
        outcomes
    }

    /// Rules 7 and 8: from a domain with which a treaty was ever made, of no older incarnation, signed by a voter of its
    /// highest roster seen. The state of the treaty does not matter here (rule 6).
    fn admit(&mut self, batch: &CheckedBatch) -> Result<(), Outcome> {
        let said = batch.get();
        let domain = self.head.domain.as_ref().ok_or(Outcome::NotInitialized)?;
        if said.to != domain.id || said.from == domain.id {
            return Err(Outcome::WrongDomain);
        }
        let about_books = |message: &SettlementMessage| {
            matches!(message, SettlementMessage::BooksAsk(_) | SettlementMessage::Books(_))
        };
        if domain.fenced && !said.messages.iter().all(about_books) {
            return Err(Outcome::Fenced);
        }
        if self.head.treaties.get(&said.from).is_none_or(|treaty| treaty.agreed.is_none()) {
            return Err(Outcome::PeerNotTrusted);
        }
        self.adopt_roster(batch.roster(), batch.roster_by())?;
        let peer = self.settlement.peers.entry(said.from).or_default();
        if !peer.voters.contains(batch.key()) {
            return Err(Outcome::NotAVoter);
        }
        if said.incarnation < peer.incarnation {
            return Err(Outcome::OldIncarnation);
        }
        peer.incarnation = said.incarnation;
        Ok(())
    }

    /// Records a peer's roster if it is higher than what was seen and a root key of that peer that counts now signed it. An
    /// older one changes nothing, whoever signed it.
    pub(crate) fn adopt_roster(&mut self, roster: &Roster, by: Option<&Signer>) -> Result<(), Outcome> {
        let known = self.settlement.peers.get(&roster.domain).filter(|peer| !peer.voters.is_empty());
        if known.is_some_and(|peer| roster.epoch <= peer.roster_epoch) {
            return Ok(());
        }
        by.map_or(Ok(()), |by| self.judge_root(&roster.domain, by))?;
        let peer = self.settlement.peers.entry(roster.domain).or_default();
        peer.roster_epoch = roster.epoch;
        (peer.voters, peer.seats) = (roster.voters.clone(), roster.seats.clone());
        Ok(())
    }

    /// Everything owed to peers and unanswered: what a new leader, or a retry, has to say. A fenced ledger only asks.
    pub fn owed_all(&self) -> Vec<Owed> {
        if self.is_fenced() {
            return self.books_asked();
        }
        let mut owed = self.settlement.owed_all();
        owed.extend(self.closings_owed());
        owed
    }

    /// Every transfer that is not finished here, with its age and what it waits for.
    pub fn in_doubt(&self) -> Vec<InDoubt> {
        self.settlement.in_doubt(self.head.stamp_ms)
    }

    /// Shows each of them, one after the other, without a list.
    pub fn each_in_doubt(&self, see: impl FnMut(InDoubt)) {
        self.settlement.each_in_doubt(self.head.stamp_ms, see);
    }

    /// A transfer that this domain began, while its record lives.
    pub fn outgoing_transfer(&self, id: &TransferId) -> Option<&Outgoing> {
        self.settlement.outgoing.get(id)
    }

    /// A transfer that another domain began and that was heard of here, while its record lives.
    pub fn incoming_transfer(&self, origin: DomainId, id: TransferId) -> Option<&Incoming> {
        self.settlement.incoming.get(&(origin, id))
    }

    /// A share that an escrow still owes to an agent of another domain.
    pub fn payout(&self, key: &PayoutKey) -> Option<&Payout> {
        self.settlement.payouts.get(key)
    }

    /// What accrues for a referrer of another domain in one asset, while anything waits or is in flight.
    pub fn accrual(&self, referrer: &Party, asset: AssetIndex) -> Option<&Accrual> {
        self.settlement.accruals.get(&AccrualId::of(referrer, asset))
    }

    /// Roster, incarnation, watermarks and suspension of a peer.
    pub fn peer_state(&self, peer: &DomainId) -> Option<&PeerState> {
        self.settlement.peers.get(peer)
    }
}

#[cfg(test)]
mod tests;
