//! The origin's part: begin, decide, close. Its log is the only place where a transfer is decided.

use super::{
    Effects,
    check::CheckedBatch,
    content_of,
    owed::{OwedMessage, decision_of},
    record::{Outgoing, OutgoingState, Timer},
};
use crate::{
    account::{AccountKey, AssetIndex, Leg},
    event::EventKind,
    outcome::Outcome,
    posting::post,
    state::Ledger,
};
use alloc::boxed::Box;
use comity_proto::{
    amount::AssetId,
    command::Party,
    ids::{DomainId, Hash, TransferId},
    limits::{DECIDE_WITHIN_MAX_MS, DECIDE_WITHIN_MIN_MS, OPEN_TRANSFERS_PER_PEER_MAX},
    planted::{Plant, planted},
    settlement::{Acknowledge, Prepare, Query, SettlementRefusal, Source, Vote},
};

/// A payment to an agent of another domain, as the ledger is asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    /// Chosen by the client, or derived from a payout.
    pub(crate) transfer: TransferId,
    /// The account that pays.
    pub(crate) source: Source,
    /// Who is to be credited; never of this domain.
    pub(crate) recipient: Party,
    /// Issued by this domain, by the recipient's, or by a third that both have a treaty with.
    pub(crate) asset: AssetId,
    /// Minor units, before the receiver's fee.
    pub(crate) amount: u64,
}

impl Ledger {
    /// Moves the amount into flight and owes the prepare. [`Outcome::Begun`], [`Outcome::Exists`] for the same again, or
    /// a refusal that moved nothing.
    pub(crate) fn begin_transfer(&mut self, now_ms: u64, begin: &Begin, effects: &mut Effects) -> Outcome {
        if let Some(known) = self.settlement.outgoing.get(&begin.transfer).filter(|_| !planted(Plant::DoubleBegin)) {
            let prepare = &known.prepare;
            // A tombstone moved nothing and never will, whatever it was about.
            let same = known.asset.is_some()
                && prepare.source == begin.source
                && prepare.recipient == begin.recipient
                && prepare.asset == begin.asset
                && prepare.amount == begin.amount;
            return if same { Outcome::Exists } else { Outcome::ExistsWithDifferentTransfer };
        }
        match self.begin_new(now_ms, begin, effects) {
            Ok(()) => Outcome::Begun,
            Err(refusal) => refusal,
        }
    }

    fn begin_new(&mut self, now_ms: u64, begin: &Begin, effects: &mut Effects) -> Result<(), Outcome> {
        let domain = self.head.domain.as_ref().ok_or(Outcome::NotInitialized)?;
        let (home, peer) = (domain.id, begin.recipient.domain);
        if domain.fenced {
            return Err(Outcome::Fenced);
        }
        let asset = self.asset_index(&begin.asset).ok_or(Outcome::AssetUnknown)?;
        if begin.amount == 0 {
            return Err(Outcome::AmountZero);
        }
        if peer == home {
            return Err(Outcome::WrongDomain);
        }
        self.may_transfer(&peer, &begin.source, begin.asset.issuer == peer)?;
        self.unquarantined(&peer)?;
        let prepare = Prepare {
            transfer: begin.transfer,
            origin: home,
            source: begin.source,
            recipient: begin.recipient,
            asset: begin.asset,
            amount: begin.amount,
            decide_by_ms: now_ms.saturating_add(self.decide_within_ms()),
        };
        if prepare.is_across() {
            self.may_transfer_with_third(&begin.asset.issuer, &begin.source, true)?;
            self.unquarantined(&begin.asset.issuer)?;
        }
        let open = |peer| self.settlement.peers.get(&peer).map_or(0, |state| state.queues.outgoing_open.len());
        if prepare.participants().any(|peer| open(peer) >= OPEN_TRANSFERS_PER_PEER_MAX) {
            return Err(Outcome::LimitExceededTransfers);
        }
        self.put_in_flight(now_ms, &prepare, asset, effects)?;
        prepare.participants().for_each(|peer| effects.owe(peer, OwedMessage::Prepare(prepare.clone())));
        Ok(())
    }

    /// Takes the amount from its account and keeps the record; moves nothing if the account has less.
    pub(super) fn put_in_flight(
        &mut self,
        now_ms: u64,
        prepare: &Prepare,
        asset: AssetIndex,
        effects: &mut Effects,
    ) -> Result<(), Outcome> {
        let from = source_account(&prepare.source, asset);
        let in_flight = AccountKey::in_flight(prepare.transfer, asset);
        if self.accounts.contains_key(&in_flight) {
            // Reserve held for a peer's transfer happens to be kept under this id (see `participant`).
            return Err(Outcome::ExistsWithDifferentTransfer);
        }
        let legs = [Leg::debit(from, prepare.amount), Leg::credit(in_flight, prepare.amount)];
        post(&mut self.accounts, &legs)?;
        let Prepare { transfer, source, recipient, asset: id, amount, decide_by_ms, .. } = prepare.clone();
        let kind = EventKind::TransferBegun { transfer, source, recipient, asset: id, amount, decide_by_ms };
        effects.event(kind, &legs);
        self.settlement.add_outgoing(Outgoing {
            content: content_of(prepare),
            across: prepare.is_across().then(Box::default),
            prepare: prepare.clone(),
            asset: Some(asset),
            begun_ms: now_ms,
            state: OutgoingState::Undecided,
            refusal: None,
        });
        Ok(())
    }

    /// A participant's vote. The first decision stands; a repeated vote is told it again.
    pub(super) fn on_vote(&mut self, now_ms: u64, batch: &CheckedBatch, vote: &Vote, effects: &mut Effects) -> Outcome {
        let peer = batch.get().from;
        self.abort_if_due(now_ms, &vote.transfer, effects);
        let Some(record) = self.settlement.outgoing.get(&vote.transfer).cloned() else {
            return Outcome::UnknownTransfer;
        };
        if record.prepare.participants().all(|participant| participant != peer) {
            return Outcome::NotAuthorised;
        }
        if record.content != vote.content {
            return Outcome::ExistsWithDifferentContent;
        }
        if let Some(decision) = decision_of(&record, &peer) {
            effects.owe(peer, OwedMessage::Decision(decision));
            return Outcome::Exists;
        }
        match vote.verdict {
            Ok(fee) if fee > record.prepare.amount => return Outcome::Malformed,
            Ok(fee) if record.across.is_some() => return self.one_yes_of_two(now_ms, record, fee, batch, effects),
            Ok(fee) => self.commit(now_ms, &record, fee, Some(batch.digest()), effects),
            Err(_) if planted(Plant::NoIsYes) => self.commit(now_ms, &record, 0, Some(batch.digest()), effects),
            Err(reason) => self.abort(now_ms, &record, Some((reason, batch)), effects),
        }
        effects.keep(batch);
        Outcome::Applied
    }

    /// Across, a yes commits when it is the second one.
    fn one_yes_of_two(
        &mut self,
        now_ms: u64,
        mut record: Outgoing,
        fee: u64,
        batch: &CheckedBatch,
        effects: &mut Effects,
    ) -> Outcome {
        let issuer = batch.get().from == record.prepare.asset.issuer;
        let Some(across) = record.across.as_mut() else { return Outcome::WrongState };
        let said = across.of_mut(issuer);
        if said.yes.is_some() {
            return Outcome::Exists;
        }
        said.yes = Some((fee, batch.digest()));
        let enough = across.both(|said| said.yes.is_some()) || planted(Plant::OneYesOfTwo);
        let fee = enough.then(|| across.recipient.yes.map_or(0, |(fee, _)| fee));
        effects.keep(batch);
        self.settlement.outgoing.insert(record.prepare.transfer, record.clone());
        if let Some(fee) = fee {
            self.commit(now_ms, &record, fee, Some(batch.digest()), effects);
        }
        Outcome::Applied
    }

    /// In flight goes to the reserve (our own asset) or is burned (another's).
    pub(super) fn commit(
        &mut self,
        now_ms: u64,
        record: &Outgoing,
        fee: u64,
        vote_evidence: Option<Hash>,
        effects: &mut Effects,
    ) {
        let prepare = &record.prepare;
        let Some(asset) = record.asset else { return };
        let to = if prepare.asset.issuer == prepare.origin {
            AccountKey::peer(prepare.recipient.domain, asset)
        } else {
            AccountKey::issuance(asset)
        };
        let in_flight = AccountKey::in_flight(prepare.transfer, asset);
        let legs = [Leg::debit(in_flight, prepare.amount), Leg::credit(to, prepare.amount)];
        self.post_certain(&legs);
        let state = OutgoingState::Decided { commit: true, fee, vote_evidence, decided_ms: now_ms };
        self.decided(record, state, effects);
        let transfer = prepare.transfer;
        let participants = prepare.participants().collect();
        let kind = EventKind::TransferDecided { transfer, commit: true, reason: None, vote_evidence, participants };
        effects.event(kind, &legs);
        self.source_told(now_ms, prepare, true, None, effects);
    }

    /// In flight goes back to the account it came from. A participant that voted no holds nothing, so nothing more is
    /// owed to it; one that was silent, or the other one of two, may have voted yes and is told.
    pub(super) fn abort(
        &mut self,
        now_ms: u64,
        record: &Outgoing,
        no: Option<(u16, &CheckedBatch)>,
        effects: &mut Effects,
    ) {
        let prepare = &record.prepare;
        let legs = record.asset.map(|asset| {
            let in_flight = AccountKey::in_flight(prepare.transfer, asset);
            let back = source_account(&prepare.source, asset);
            [Leg::debit(in_flight, prepare.amount), Leg::credit(back, prepare.amount)]
        });
        let legs = legs.as_ref().map_or(&[][..], |legs| legs);
        self.post_certain(legs);
        let reason = no.map(|(reason, _)| reason);
        let (transfer, vote_evidence) = (prepare.transfer, no.map(|(_, batch)| batch.digest()));
        if let Some(across) = self.settlement.outgoing.get_mut(&transfer).and_then(|record| record.across.as_mut()) {
            across.no = reason;
        }
        let ended = no.is_some_and(|(_, batch)| self.nothing_owed_after(&transfer, &batch.get().from));
        let state = match no {
            _ if ended => OutgoingState::Closed {
                commit: false,
                fee: 0,
                reason,
                vote_evidence,
                decided_ms: now_ms,
                closed_ms: now_ms,
            },
            _ => OutgoingState::Decided { commit: false, fee: 0, vote_evidence, decided_ms: now_ms },
        };
        self.decided(record, state, effects);
        let participants = prepare.participants().collect();
        let kind = EventKind::TransferDecided { transfer, commit: false, reason, vote_evidence, participants };
        effects.event(kind, legs);
        self.source_told(now_ms, prepare, false, reason, effects);
    }

    /// Whoever owed this transfer hears what became of it.
    fn source_told(
        &mut self,
        now_ms: u64,
        prepare: &Prepare,
        commit: bool,
        reason: Option<u16>,
        effects: &mut Effects,
    ) {
        match prepare.source {
            Source::Agent(_) => {}
            Source::Escrow { .. } => self.payout_ended(now_ms, &prepare.source, commit, effects),
            Source::Referral { .. } => self.sweep_ended(now_ms, prepare, commit, reason, effects),
        }
    }

    fn decided(&mut self, record: &Outgoing, state: OutgoingState, effects: &mut Effects) {
        let transfer = record.prepare.transfer;
        self.settlement.set_outgoing(&transfer, state);
        let Some(record) = self.settlement.outgoing.get(&transfer) else { return };
        if !matches!(state, OutgoingState::Decided { .. }) {
            return;
        }
        for peer in record.unanswered() {
            if let Some(decision) = decision_of(record, &peer) {
                effects.owe(peer, OwedMessage::Decision(decision));
            }
        }
    }

    /// A participant holds nothing of this transfer any more. Says whether that is so of all of them.
    fn nothing_owed_after(&mut self, transfer: &TransferId, peer: &DomainId) -> bool {
        let Some(record) = self.settlement.outgoing.get_mut(transfer) else { return false };
        let issuer = *peer == record.prepare.asset.issuer;
        record.across.as_mut().is_none_or(|across| {
            across.of_mut(issuer).done = true;
            across.both(|said| said.done)
        })
    }

    /// Rule 1: the only time-out of the protocol, and only before the decision. A fenced ledger decides nothing: what it
    /// lost may have been a commit.
    fn abort_if_due(&mut self, now_ms: u64, transfer: &TransferId, effects: &mut Effects) {
        let fenced = self.head.domain.as_ref().is_none_or(|domain| domain.fenced) || planted(Plant::CommitLate);
        let Some(record) = self.settlement.outgoing.get(transfer).filter(|_| !fenced) else { return };
        if record.state == OutgoingState::Undecided && now_ms >= record.prepare.decide_by_ms {
            let record = record.clone();
            self.abort(now_ms, &record, None, effects);
        }
    }

    /// The participant has posted our decision.
    pub(super) fn on_acknowledge(
        &mut self,
        batch: &CheckedBatch,
        acknowledge: &Acknowledge,
        effects: &mut Effects,
    ) -> Outcome {
        let answer = self.acknowledged(&acknowledge.transfer, batch.get().from, acknowledge.commit, effects);
        // The peer says that it posted the opposite: stays open, for people to see.
        if answer == Outcome::WrongState {
            effects.keep(batch);
        }
        answer
    }

    pub(super) fn acknowledged(
        &mut self,
        transfer: &TransferId,
        peer: DomainId,
        posted: bool,
        effects: &mut Effects,
    ) -> Outcome {
        let closed_ms = self.head.stamp_ms;
        let Some(record) = self.settlement.outgoing.get(transfer) else {
            return Outcome::UnknownTransfer;
        };
        if record.prepare.participants().all(|participant| participant != peer) {
            return Outcome::NotAuthorised;
        }
        let again = record.said(&peer).is_some_and(|said| said.done);
        match record.state {
            OutgoingState::Undecided => Outcome::TooEarly,
            OutgoingState::Decided { commit, .. } if again && commit == posted => Outcome::Exists,
            OutgoingState::Decided { commit, fee, vote_evidence, decided_ms } if commit == posted => {
                let reason = record.across.as_ref().and_then(|across| across.no);
                if !self.nothing_owed_after(transfer, &peer) {
                    return Outcome::Applied;
                }
                let state = OutgoingState::Closed { commit, fee, reason, vote_evidence, decided_ms, closed_ms };
                self.settlement.set_outgoing(transfer, state);
                effects.event(EventKind::TransferClosed { transfer: *transfer, commit }, &[]);
                Outcome::Applied
            }
            OutgoingState::Closed { commit, .. } if commit == posted => Outcome::Exists,
            OutgoingState::Decided { .. } | OutgoingState::Closed { .. } => Outcome::WrongState,
        }
    }

    /// Rule 3. Without our own signed prepare nothing is written. A prepare that this log does not know is buried first,
    /// so that no late copy of it can revive it, and only then answered with an abort.
    pub(super) fn on_query(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        query: &Query,
        effects: &mut Effects,
    ) -> Outcome {
        let (home, peer) = (batch.get().to, batch.get().from);
        let asked = batch.queried(&query.transfer);
        let for_peer = |asked: &&Prepare| asked.origin == home && asked.participants().any(|of| of == peer);
        let Some(prepare) = asked.filter(for_peer) else {
            return effects.refuse(peer, query.transfer, Outcome::UnknownTransfer);
        };
        self.abort_if_due(now_ms, &query.transfer, effects);
        let content = content_of(prepare);
        if let Some(record) = self.settlement.outgoing.get(&query.transfer) {
            if record.content != content {
                return effects.refuse(peer, query.transfer, Outcome::ExistsWithDifferentContent);
            }
            if let Some(decision) = decision_of(record, &peer) {
                effects.owe(peer, OwedMessage::Decision(decision));
            }
            return Outcome::Exists;
        }
        let watermark = self.settlement.peers.get(&peer).map_or(0, |state| state.outgoing_watermark_ms);
        if prepare.decide_by_ms <= watermark {
            return effects.refuse(peer, query.transfer, Outcome::TooOld);
        }
        self.bury(now_ms, prepare, effects);
        Outcome::Applied
    }

    fn bury(&mut self, now_ms: u64, prepare: &Prepare, effects: &mut Effects) {
        let record = Outgoing {
            content: content_of(prepare),
            prepare: prepare.clone(),
            asset: None,
            begun_ms: now_ms,
            state: OutgoingState::Undecided,
            refusal: None,
            across: prepare.is_across().then(Box::default),
        };
        self.settlement.add_outgoing(record.clone());
        let state = OutgoingState::Decided { commit: false, fee: 0, vote_evidence: None, decided_ms: now_ms };
        self.decided(&record, state, effects);
        let reason = Some(Outcome::UnknownTransfer.code());
        let (transfer, participants) = (prepare.transfer, prepare.participants().collect());
        let kind = EventKind::TransferDecided { transfer, commit: false, reason, vote_evidence: None, participants };
        effects.event(kind, &[]);
    }

    /// A peer has no decision, or no vote, to give. Recorded for people; ends nothing but a decision that it need not be
    /// told any more: behind its watermark it holds nothing unfinished, so what it voted yes on is posted there.
    pub(super) fn on_refusal(
        &mut self,
        batch: &CheckedBatch,
        refusal: &SettlementRefusal,
        effects: &mut Effects,
    ) -> Outcome {
        let (peer, transfer, closed_ms) = (batch.get().from, refusal.transfer, self.head.stamp_ms);
        if let Some(record) = self.settlement.outgoing.get_mut(&transfer)
            && record.prepare.participants().any(|participant| participant == peer)
        {
            record.refusal = Some(refusal.reason);
            if let OutgoingState::Decided { commit, fee, vote_evidence, decided_ms } = record.state
                && refusal.reason == Outcome::TooOld.code()
                && self.nothing_owed_after(&transfer, &peer)
            {
                let reason = (!commit).then_some(refusal.reason);
                let state = OutgoingState::Closed { commit, fee, reason, vote_evidence, decided_ms, closed_ms };
                self.settlement.set_outgoing(&transfer, state);
                effects.event(EventKind::TransferClosed { transfer, commit }, &[]);
            }
            return Outcome::Applied;
        }
        if let Some(record) = self.settlement.incoming.get_mut(&(peer, transfer)) {
            record.refusal = Some(refusal.reason);
            return Outcome::Applied;
        }
        Outcome::UnknownTransfer
    }

    /// A posting that the state before it makes possible: what was put in is taken out. Anything else is our own bug.
    pub(super) fn post_certain(&mut self, legs: &[Leg]) {
        let posted = post(&mut self.accounts, legs);
        assert!(posted.is_ok(), "settlement: a posting that cannot fail was refused");
    }

    /// Time from begin to abort, by the policy in force.
    fn decide_within_ms(&self) -> u64 {
        let within = self.policy_in_force().map_or(0, |policy| policy.decide_within_ms);
        within.clamp(DECIDE_WITHIN_MIN_MS, DECIDE_WITHIN_MAX_MS)
    }

    /// Handles at most `max` due timers in (time, timer) order; says how many it handled.
    pub(crate) fn settlement_due(&mut self, now_ms: u64, max: usize, effects: &mut Effects) -> usize {
        for handled in 0..max {
            match self.settlement.timers.first() {
                Some((at, timer)) if at <= now_ms => match *timer {
                    Timer::DecideBy(transfer) => self.abort_if_due(now_ms, &transfer, effects),
                    Timer::Payout(key) => self.attempt_payout(now_ms, &key, effects),
                    Timer::Sweep(id) => self.sweep_accrual(now_ms, &id, effects),
                },
                _ => return handled,
            }
        }
        max
    }
}

/// The account that pays, and that an abort pays back.
fn source_account(source: &Source, asset: AssetIndex) -> AccountKey {
    match *source {
        Source::Agent(agent) => AccountKey::agent(agent, asset),
        Source::Escrow { escrow, .. } => AccountKey::escrow(escrow, asset),
        Source::Referral { agent, .. } => AccountKey::referral(agent, asset),
    }
}
