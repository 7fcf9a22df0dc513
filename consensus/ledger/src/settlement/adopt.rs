//! What a restored ledger takes over from a peer's page, one transfer at a time, and only what is proved.
//!
//! Of a transfer that this domain began the proof is its own signed decision or prepare; of one that it voted on, its own
//! signed vote. What the peer alone decides (its own abort, its own refusal) it says by signing the page.

use super::{
    Effects,
    check::CheckedBatch,
    content_of,
    dues::{AccrualId, Payout, PayoutKey},
    reconcile::Difference,
    record::{Incoming, IncomingKey, IncomingState, Outgoing, OutgoingState},
};
use crate::{
    account::AssetIndex,
    escrow::paid_before,
    event::EventKind,
    outcome::Outcome,
    state::{Asset, Ledger},
};
use comity_proto::{
    books::{SharedState, SharedTransfer},
    ids::{DomainId, Hash, TransferId},
    planted::{Plant, planted},
    settlement::{Decision, Prepare, SettlementMessage, Source},
};

/// Whether anything was moved, or why the transfer could not be taken over.
pub(super) type Adopted = Result<bool, Difference>;

/// The decision about this prepare among our own words.
fn decision<'a>(batch: &'a CheckedBatch, shared: &SharedTransfer, wanted: bool) -> Result<&'a Decision, Difference> {
    let (transfer, content) = (shared.prepare.transfer, content_of(&shared.prepare));
    let words = shared.evidence.as_ref().map_or(&[][..], |digest| batch.own_words(digest));
    let found = words.iter().find_map(|word| match word {
        SettlementMessage::Decision(said)
            if said.transfer == transfer && said.content == content && said.commit == wanted =>
        {
            Some(said)
        }
        _ => None,
    });
    found.ok_or(Difference::Unproved)
}

/// The fee of our yes to this prepare, among our own words.
fn yes(batch: &CheckedBatch, shared: &SharedTransfer) -> Result<u64, Difference> {
    let (transfer, content) = (shared.prepare.transfer, content_of(&shared.prepare));
    let words = shared.evidence.as_ref().map_or(&[][..], |digest| batch.own_words(digest));
    let found = words.iter().find_map(|word| match word {
        SettlementMessage::Vote(said) if said.transfer == transfer && said.content == content => said.verdict.ok(),
        _ => None,
    });
    found.filter(|fee| *fee <= shared.prepare.amount).ok_or(Difference::Unproved)
}

fn asked(batch: &CheckedBatch, shared: &SharedTransfer) -> bool {
    let words = shared.evidence.as_ref().map_or(&[][..], |digest| batch.own_words(digest));
    words.iter().any(|word| matches!(word, SettlementMessage::Prepare(prepare) if *prepare == shared.prepare))
}

impl Ledger {
    /// Takes over what one line of a page proves.
    pub(super) fn adopt(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        shared: &SharedTransfer,
        effects: &mut Effects,
    ) -> Adopted {
        let (prepare, peer) = (&shared.prepare, batch.get().from);
        let home = batch.get().to;
        let ours = prepare.origin == home;
        let concerns_us = ours || prepare.participants().any(|participant| participant == home);
        let concerns_them = prepare.origin == peer || prepare.participants().any(|participant| participant == peer);
        if !concerns_us || !concerns_them || prepare.amount == 0 {
            return Err(Difference::Misplaced);
        }
        if ours {
            let known = self.settlement.outgoing.get(&prepare.transfer).cloned();
            if known.as_ref().is_some_and(|known| known.content != content_of(prepare)) {
                return Err(Difference::Contradicted);
            }
            if known.is_none() && prepare.participants().all(|of| self.has_forgotten(&of, prepare)) {
                return Ok(false);
            }
            return self.adopt_ours(now_ms, batch, shared, known, effects);
        }
        let known = self.settlement.incoming.get(&shared.key()).cloned();
        if known.as_ref().is_some_and(|known| known.content != content_of(prepare)) {
            return Err(Difference::Contradicted);
        }
        if known.is_none() && self.has_forgotten(&prepare.origin, prepare) {
            return Ok(false);
        }
        if prepare.origin == peer {
            self.adopt_theirs(now_ms, batch, shared, known, effects)
        } else {
            self.adopt_of_third(batch, shared, known, effects)
        }
    }

    /// Rule 5: what lies behind a watermark was finished here before the backup, whoever remembers it longer.
    fn has_forgotten(&self, peer: &DomainId, prepare: &Prepare) -> bool {
        let ours = self.is_home(&prepare.origin);
        self.settlement.peers.get(peer).is_some_and(|state| {
            prepare.decide_by_ms <= if ours { state.outgoing_watermark_ms } else { state.incoming_watermark_ms }
        })
    }

    /// A transfer that this domain began.
    fn adopt_ours(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        shared: &SharedTransfer,
        known: Option<Outgoing>,
        effects: &mut Effects,
    ) -> Adopted {
        let (prepare, peer) = (&shared.prepare, batch.get().from);
        let id = &prepare.transfer;
        match (shared.state, known.as_ref().map(|known| known.state)) {
            // What cannot be opened again was never decided, and stays closed.
            (SharedState::Promised, None) => {
                Ok(asked(batch, shared) && self.begin_again(now_ms, prepare, false, effects).is_ok())
            }
            (SharedState::Promised, Some(_)) | (SharedState::Refused { .. } | SharedState::Aborted, None) => Ok(false),
            (SharedState::Committed | SharedState::Posted { .. }, None | Some(OutgoingState::Undecided)) => {
                let vote_evidence = decision(batch, shared, true)?.vote_evidence;
                let record = match known {
                    Some(record) => record,
                    None => self.begin_again(now_ms, prepare, true, effects)?,
                };
                let fee = if let SharedState::Posted { fee } = shared.state { fee } else { 0 };
                self.commit(now_ms, &record, fee, vote_evidence, effects);
                if matches!(shared.state, SharedState::Posted { .. }) {
                    self.acknowledged(id, peer, true, effects);
                }
                Ok(true)
            }
            (SharedState::Refused { reason }, Some(OutgoingState::Undecided)) => {
                let record = known.ok_or(Outcome::UnknownTransfer)?;
                self.abort(now_ms, &record, Some((reason, batch)), effects);
                Ok(true)
            }
            (SharedState::Aborted, Some(OutgoingState::Undecided)) => {
                decision(batch, shared, false)?;
                let record = known.ok_or(Outcome::UnknownTransfer)?;
                self.abort(now_ms, &record, None, effects);
                self.acknowledged(id, peer, false, effects);
                Ok(true)
            }
            (state, Some(OutgoingState::Decided { commit, .. } | OutgoingState::Closed { commit, .. })) => {
                self.decided_already(id, batch, state, commit, effects)
            }
            (SharedState::Backed, _) => Err(Difference::Misplaced),
        }
    }

    /// This ledger knows its decision; the peer must say the same.
    fn decided_already(
        &mut self,
        id: &TransferId,
        batch: &CheckedBatch,
        state: SharedState,
        commit: bool,
        effects: &mut Effects,
    ) -> Adopted {
        let posted = match state {
            SharedState::Committed if commit => return Ok(false),
            SharedState::Posted { .. } => true,
            SharedState::Refused { .. } | SharedState::Aborted => false,
            SharedState::Backed => return Err(Difference::Misplaced),
            SharedState::Promised | SharedState::Committed => return Err(Difference::Contradicted),
        };
        if posted != commit {
            return Err(Difference::Contradicted);
        }
        self.acknowledged(id, batch.get().from, posted, effects);
        Ok(false)
    }

    /// Puts the amount in flight as the lost log had it: open, undecided.
    fn begin_again(
        &mut self,
        now_ms: u64,
        prepare: &Prepare,
        is_committed: bool,
        effects: &mut Effects,
    ) -> Result<Outgoing, Outcome> {
        let asset = self.asset_index(&prepare.asset).ok_or(Outcome::AssetUnknown)?;
        self.owed_again(now_ms, (prepare, asset), is_committed, effects)?;
        self.put_in_flight(now_ms, prepare, asset, effects)?;
        self.left_again(prepare, asset);
        self.settlement.outgoing.get(&prepare.transfer).cloned().ok_or(Outcome::UnknownTransfer)
    }

    /// What an escrow or a referrer is paid from must be owed here as it was.
    fn owed_again(
        &mut self,
        now_ms: u64,
        (prepare, asset): (&Prepare, AssetIndex),
        is_committed: bool,
        effects: &mut Effects,
    ) -> Result<(), Outcome> {
        let owed = match prepare.source {
            Source::Agent(_) => true,
            Source::Escrow { escrow, milestone, payee, attempt } => {
                let key = PayoutKey { escrow, milestone, payee };
                match self.settlement.payouts.get(&key).map(|payout| payout.attempt) {
                    // One attempt alone is ever committed, and each but the first follows the abort of another one.
                    Some(known) if is_committed || attempt > known => self.end_other_attempt(now_ms, &key, effects),
                    Some(known) if attempt < known => return Err(Outcome::WrongState),
                    Some(_) => {}
                    None if planted(Plant::PaidAgain) => {}
                    None => paid_before(self, effects, &key, &prepare.recipient, (asset, prepare.amount))?,
                }
                self.settlement.payouts.get(&key).is_some_and(|payout| {
                    let Payout { recipient, asset: of, amount, retry_at_ms, .. } = payout;
                    (*recipient, *of, *amount) == (prepare.recipient, asset, prepare.amount) && retry_at_ms.is_some()
                })
            }
            Source::Referral { .. } => {
                let accrual = self.settlement.accruals.get(&AccrualId::of(&prepare.recipient, asset));
                accrual.is_some_and(|accrual| accrual.sweep.is_none() && accrual.waiting >= prepare.amount)
            }
        };
        if owed { Ok(()) } else { Err(Outcome::WrongState) }
    }

    /// The attempt at a share that is in flight here was aborted by the lost log.
    pub(super) fn end_other_attempt(&mut self, now_ms: u64, key: &PayoutKey, effects: &mut Effects) {
        if let Some(record) = self.attempt_in_flight(key) {
            self.abort(now_ms, &record, None, effects);
        }
    }

    fn attempt_in_flight(&self, key: &PayoutKey) -> Option<Outgoing> {
        let payout = self.settlement.payouts.get(key).filter(|payout| payout.retry_at_ms.is_none())?;
        let PayoutKey { escrow, milestone, payee } = *key;
        let source = Source::Escrow { escrow, milestone, payee, attempt: payout.attempt };
        let open = &self.settlement.peers.get(&payout.recipient.domain)?.queues.outgoing_open;
        let mut open = open.iter().filter_map(|(_, id)| self.settlement.outgoing.get(id));
        open.find(|record| record.state == OutgoingState::Undecided && record.prepare.source == source).cloned()
    }

    fn left_again(&mut self, prepare: &Prepare, asset: AssetIndex) {
        match prepare.source {
            Source::Agent(_) => {}
            Source::Escrow { escrow, milestone, payee, attempt } => {
                let key = PayoutKey { escrow, milestone, payee };
                if let Some(mut payout) = self.settlement.payouts.get(&key).cloned() {
                    (payout.attempt, payout.retry_at_ms) = (attempt, None);
                    self.settlement.put_payout(key, payout);
                }
            }
            Source::Referral { .. } => {
                let id = AccrualId::of(&prepare.recipient, asset);
                if let Some(mut accrual) = self.settlement.accruals.get(&id).cloned() {
                    accrual.waiting = accrual.waiting.saturating_sub(prepare.amount);
                    (accrual.sweep, accrual.sweep_at_ms) = (Some(prepare.transfer), None);
                    self.settlement.put_accrual(id, accrual);
                }
            }
        }
    }

    /// A transfer that the peer began: this domain voted yes, or nothing lies between the two.
    fn adopt_theirs(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        shared: &SharedTransfer,
        known: Option<Incoming>,
        effects: &mut Effects,
    ) -> Adopted {
        let key = shared.key();
        let state = known.as_ref().map(|known| known.state);
        match (shared.state, state) {
            (SharedState::Promised, None) => {
                let fee = yes(batch, shared)?;
                self.promise_again(now_ms, batch, &shared.prepare, fee, effects)?;
                Ok(true)
            }
            (SharedState::Committed, None) => {
                let fee = yes(batch, shared)?;
                let record = self.promise_again(now_ms, batch, &shared.prepare, fee, effects)?;
                self.commit_theirs(&key, record, fee, batch, effects);
                Ok(true)
            }
            (SharedState::Committed, Some(IncomingState::Voted { fee })) => {
                self.commit_theirs(&key, known.ok_or(Outcome::UnknownTransfer)?, fee, batch, effects);
                Ok(true)
            }
            (SharedState::Aborted, Some(IncomingState::Voted { fee })) => {
                let record = known.ok_or(Outcome::UnknownTransfer)?;
                let record = Incoming { decision_evidence: Some(batch.digest()), ..record };
                self.finish(&key, record, fee, false, effects);
                Ok(true)
            }
            (SharedState::Promised, Some(IncomingState::Voted { .. }))
            | (
                SharedState::Committed,
                Some(
                    IncomingState::Unbacked { .. }
                    | IncomingState::Backing
                    | IncomingState::Finished { commit: true, .. },
                ),
            )
            | (
                SharedState::Aborted,
                None | Some(IncomingState::Refused { .. } | IncomingState::Finished { commit: false, .. }),
            ) => Ok(false),
            (SharedState::Promised | SharedState::Committed | SharedState::Aborted, Some(_)) => {
                Err(Difference::Contradicted)
            }
            (SharedState::Posted { .. } | SharedState::Refused { .. } | SharedState::Backed, _) => {
                Err(Difference::Misplaced)
            }
        }
    }

    fn commit_theirs(
        &mut self,
        key: &IncomingKey,
        record: Incoming,
        fee: u64,
        batch: &CheckedBatch,
        effects: &mut Effects,
    ) {
        let record = Incoming { decision_evidence: Some(batch.digest()), ..record };
        let waits = record.prepare.as_ref().is_some_and(|prepare| self.waits_for_backing(prepare));
        if waits && record.backing.is_none() {
            self.settlement.put_incoming(*key, Incoming { state: IncomingState::Unbacked { fee }, ..record });
        } else {
            self.finish(key, record, fee, true, effects);
        }
    }

    /// The yes that was lost stands again: reserve is held for it, exposure counts it.
    fn promise_again(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        prepare: &Prepare,
        fee: u64,
        effects: &mut Effects,
    ) -> Result<Incoming, Outcome> {
        if self.is_home(&prepare.recipient.domain) && !self.agents.contains_key(&prepare.recipient.agent) {
            return Err(Outcome::UnknownAgent);
        }
        let asset = if self.is_home(&prepare.asset.issuer) {
            self.check_reserve(prepare)?
        } else if let Some(known) = self.asset_index(&prepare.asset) {
            known
        } else {
            self.head.assets.push(Asset { id: prepare.asset, scale: None, supply_cap: None });
            let index = self.asset_index(&prepare.asset).ok_or(Outcome::AssetUnknown)?;
            let kind = EventKind::AssetKnown { index, asset: prepare.asset, scale: None, supply_cap: None };
            effects.event(kind, &[]);
            index
        };
        self.record_vote(now_ms, batch, prepare, (Some(asset), Ok(fee)), effects);
        self.settlement.incoming.get(&(prepare.origin, prepare.transfer)).cloned().ok_or(Outcome::UnknownTransfer)
    }

    /// A third domain's payment, of which the peer is the other participant.
    fn adopt_of_third(
        &mut self,
        batch: &CheckedBatch,
        shared: &SharedTransfer,
        known: Option<Incoming>,
        effects: &mut Effects,
    ) -> Adopted {
        let (prepare, key, peer) = (&shared.prepare, shared.key(), batch.get().from);
        let we_mint = prepare.asset.issuer == peer && self.is_home(&prepare.recipient.domain);
        let they_mint = self.is_home(&prepare.asset.issuer) && prepare.recipient.domain == peer;
        match shared.state {
            SharedState::Backed if we_mint => {}
            SharedState::Posted { .. } if they_mint => {}
            _ => return Err(Difference::Misplaced),
        }
        // Its origin has not told us yet.
        let record = known.ok_or(Difference::NotYet)?;
        let backing: Option<Hash> = Some(batch.digest());
        match record.state {
            IncomingState::Finished { commit: true, .. } => Ok(false),
            IncomingState::Voted { .. } if we_mint && record.backing.is_some() => Ok(false),
            IncomingState::Voted { .. } if we_mint => {
                self.settlement.put_incoming(key, Incoming { backing, ..record });
                Ok(true)
            }
            IncomingState::Unbacked { fee } if we_mint => {
                self.finish(&key, Incoming { backing, ..record }, fee, true, effects);
                Ok(true)
            }
            IncomingState::Backing if they_mint => {
                let state = IncomingState::Finished { commit: true, fee: 0 };
                self.settlement.put_incoming(key, Incoming { state, ..record });
                Ok(true)
            }
            IncomingState::Voted { .. } => Err(Difference::NotYet),
            _ => Err(Difference::Contradicted),
        }
    }
}
