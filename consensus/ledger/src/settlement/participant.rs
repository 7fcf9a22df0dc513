//! The participant's part: vote, finish. After a yes vote it keeps its promise until the origin's word arrives.

use super::{
    Effects,
    across::{backing_of, minted},
    check::CheckedBatch,
    content_of,
    owed::OwedMessage,
    record::{Equivocation, Incoming, IncomingKey, IncomingState},
};
use crate::{
    account::{AccountKey, AssetIndex, Leg},
    event::EventKind,
    outcome::Outcome,
    state::{Asset, Ledger},
};
use comity_proto::{
    amount::share_of,
    ids::{DomainId, Hash, TransferId},
    limits::OPEN_TRANSFERS_PER_PEER_MAX,
    planted::{Plant, planted},
    settlement::{Acknowledge, Decision, Prepare, Vote},
};

/// Where an issuer keeps the reserve of a yes vote: an in-flight account under an id of its own, because two origins
/// may choose the same transfer id.
pub(crate) fn held_account(origin: &DomainId, transfer: &TransferId, asset: AssetIndex) -> AccountKey {
    let id = Hash::of_parts("comity/v1/id/held", &[origin.as_bytes(), transfer.as_bytes()]).first_16();
    AccountKey::in_flight(TransferId(id), asset)
}

/// What a yes vote fixes.
struct Promise {
    asset: AssetIndex,
    fee: u64,
}

impl Ledger {
    /// Votes. A prepare heard before is answered as before; another content under a known id is refused by name.
    pub(super) fn on_prepare(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        prepare: &Prepare,
        effects: &mut Effects,
    ) -> Outcome {
        let (origin, transfer) = (batch.get().from, prepare.transfer);
        if prepare.origin != origin {
            return Outcome::NotAuthorised;
        }
        let content = content_of(prepare);
        let key = (origin, transfer);
        if let Some(record) = self.settlement.incoming.get(&key).filter(|_| !planted(Plant::VoteTwice)) {
            return heard_again(record, &key, content, effects);
        }
        let watermark = self.settlement.peers.get(&origin).map_or(0, |state| state.incoming_watermark_ms);
        if prepare.decide_by_ms <= watermark {
            return effects.refuse(origin, transfer, Outcome::TooOld);
        }
        let assets_before = self.head.assets.len();
        let promise = self.promise(prepare);
        if self.head.assets.len() > assets_before
            && let Ok(Promise { asset: index, .. }) = promise
        {
            let kind = EventKind::AssetKnown { index, asset: prepare.asset, scale: None, supply_cap: None };
            effects.event(kind, &[]);
        }
        let verdict = promise.as_ref().map(|promise| promise.fee).map_err(|refusal| refusal.code());
        let asset = promise.as_ref().ok().map(|promise| promise.asset);
        self.record_vote(now_ms, batch, prepare, (asset, verdict), effects);
        effects.owe(origin, OwedMessage::Vote(Vote { transfer, content, verdict }));
        promise.map_or_else(|refusal| refusal, |_| Outcome::Applied)
    }

    /// Keeps a vote; a yes of an issuer holds the reserve.
    pub(super) fn record_vote(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        prepare: &Prepare,
        (asset, verdict): (Option<AssetIndex>, Result<u64, u16>),
        effects: &mut Effects,
    ) {
        let (origin, transfer) = (prepare.origin, prepare.transfer);
        let mut legs = None;
        if let Some(asset) = asset.filter(|_| self.is_home(&prepare.asset.issuer)) {
            let held = held_account(&origin, &transfer, asset);
            let reserve = AccountKey::peer(origin, asset);
            let moved = [Leg::debit(reserve, prepare.amount), Leg::credit(held, prepare.amount)];
            self.post_certain(&moved);
            legs = Some(moved);
        }
        let record = Incoming {
            prepare: Some(prepare.clone()),
            content: content_of(prepare),
            asset,
            evidence: batch.digest(),
            decision_evidence: None,
            backing: None,
            heard_ms: now_ms,
            decide_by_ms: prepare.decide_by_ms,
            state: match verdict {
                Ok(fee) => IncomingState::Voted { fee },
                Err(reason) => IncomingState::Refused { reason },
            },
            refusal: None,
        };
        self.settlement.put_incoming((origin, transfer), record);
        if verdict.is_ok()
            && let Some(state) = self.settlement.peers.get_mut(&origin)
        {
            state.incoming_highest_ms = state.incoming_highest_ms.max(prepare.decide_by_ms);
        }
        effects.keep(batch);
        let kind = EventKind::TransferVoted { origin, transfer, verdict, evidence: batch.digest() };
        effects.event(kind, legs.as_ref().map_or(&[], |legs| legs));
    }

    /// May this domain promise to take it? In order of the outcomes' precedence, except that an unknown asset shows only
    /// once the recipient is known.
    fn promise(&mut self, prepare: &Prepare) -> Result<Promise, Outcome> {
        let home = self.head.domain.as_ref().ok_or(Outcome::NotInitialized)?.id;
        let origin = prepare.origin;
        if prepare.participants().all(|participant| participant != home) {
            return Err(Outcome::WrongDomain);
        }
        let credits = prepare.recipient.domain == home;
        if credits {
            let agent = self.agents.get(&prepare.recipient.agent).ok_or(Outcome::UnknownAgent)?;
            if agent.retired {
                return Err(Outcome::AgentRetired);
            }
        }
        if prepare.amount == 0 {
            return Err(Outcome::AmountZero);
        }
        self.may_transfer(&origin, &prepare.source, prepare.asset.issuer == home)?;
        if let Some(third) = self.third_of(prepare) {
            self.may_transfer_with_third(&third, &prepare.source, false)?;
        }
        let open = self.settlement.peers.get(&origin).map_or(0, |state| state.queues.incoming_open.len());
        if open >= OPEN_TRANSFERS_PER_PEER_MAX {
            return Err(Outcome::LimitExceededTransfers);
        }
        let bps = self.policy_in_force().ok_or(Outcome::NotInitialized)?.transfer_fee_bps;
        // Whoever only moves reserve takes nothing.
        let fee = if credits { share_of(prepare.amount, bps).ok_or(Outcome::AmountOverflow)? } else { 0 };
        let asset =
            if prepare.asset.issuer == home { self.check_reserve(prepare)? } else { self.check_exposure(prepare)? };
        Ok(Promise { asset, fee })
    }

    /// Back, or across: the issuer must hold enough for the origin's holders.
    pub(super) fn check_reserve(&self, prepare: &Prepare) -> Result<AssetIndex, Outcome> {
        let asset = self.asset_index(&prepare.asset).ok_or(Outcome::AssetUnknown)?;
        let reserve = self.accounts.get(&AccountKey::peer(prepare.origin, asset)).copied().unwrap_or(0);
        let held = held_account(&prepare.origin, &prepare.transfer, asset);
        if reserve < prepare.amount || self.accounts.contains_key(&held) {
            return Err(Outcome::ReserveInsufficient);
        }
        Ok(asset)
    }

    /// Out, or across: wrapped supply, what is promised, and this amount stay within the cap of the treaty with the
    /// issuer. The first units of an asset make it known here.
    fn check_exposure(&mut self, prepare: &Prepare) -> Result<AssetIndex, Outcome> {
        let treaty = self.head.treaties.get(&prepare.asset.issuer).ok_or(Outcome::PeerNotTrusted)?;
        let cap = treaty.caps().iter().find(|cap| cap.asset == prepare.asset).map_or(0, |cap| cap.cap);
        let cap = self.chartered_cap(&prepare.asset.issuer, cap);
        let known = self.asset_index(&prepare.asset);
        let wrapped = known.and_then(|asset| self.accounts.get(&AccountKey::issuance(asset)).copied()).unwrap_or(0);
        let pending = known.map_or(0, |asset| self.settlement.pending(asset));
        let exposure = u128::from(wrapped).saturating_add(pending).saturating_add(u128::from(prepare.amount));
        if exposure > u128::from(cap) {
            return Err(Outcome::ExposureExceeded);
        }
        match known {
            Some(asset) => Ok(asset),
            None => {
                self.head.assets.push(Asset { id: prepare.asset, scale: None, supply_cap: None });
                self.asset_index(&prepare.asset).ok_or(Outcome::AssetUnknown)
            }
        }
    }

    /// Finishes a transfer by the origin's word. Commit cannot fail: whoever was voted for is credited, retired or not.
    pub(super) fn on_decision(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        decision: &Decision,
        effects: &mut Effects,
    ) -> Outcome {
        let key = (batch.get().from, decision.transfer);
        if decision.commit && decision.vote_evidence.is_none() {
            return Outcome::Malformed;
        }
        let Some(record) = self.settlement.incoming.get(&key).cloned() else {
            return self.decision_on_unheard(now_ms, batch, decision, effects);
        };
        if record.content != decision.content {
            effects.keep(batch);
            return Outcome::ExistsWithDifferentContent;
        }
        match record.state {
            IncomingState::Voted { fee } => {
                if let Some(Err(refusal)) =
                    record.prepare.as_ref().map(|prepare| self.check_majority(batch, decision, prepare))
                {
                    return refusal;
                }
                effects.keep(batch);
                let commit = decision.commit;
                let waits = record.prepare.as_ref().is_some_and(|prepare| self.waits_for_backing(prepare));
                let record = Incoming { decision_evidence: Some(batch.digest()), ..record };
                if commit && waits && record.backing.is_none() && !planted(Plant::MintUnbacked) {
                    self.settlement.put_incoming(key, Incoming { state: IncomingState::Unbacked { fee }, ..record });
                } else {
                    self.finish(&key, record, fee, commit, effects);
                }
                Outcome::Applied
            }
            // It is known, and not posted yet.
            IncomingState::Unbacked { .. } if decision.commit => Outcome::Exists,
            IncomingState::Backing if decision.commit => {
                acknowledge(&key, true, effects);
                Outcome::Exists
            }
            // We never promised: a commit takes nothing from this domain but its trust.
            IncomingState::Refused { .. } if decision.commit => {
                effects.keep(batch);
                Outcome::WrongState
            }
            IncomingState::Refused { .. } => {
                acknowledge(&key, false, effects);
                Outcome::Exists
            }
            IncomingState::Finished { commit: true, fee } if decision.commit && planted(Plant::CreditTwice) => {
                self.finish(&key, record, fee, true, effects);
                Outcome::Exists
            }
            IncomingState::Finished { commit, .. } if commit == decision.commit => {
                acknowledge(&key, commit, effects);
                Outcome::Exists
            }
            IncomingState::Finished { .. } | IncomingState::Unbacked { .. } | IncomingState::Backing => {
                let first = record.decision_evidence.unwrap_or(record.evidence);
                self.equivocated(&key, first, batch, effects);
                Outcome::Equivocation
            }
        }
    }

    /// Posts the end of a promise. The caller has put the evidence of the decision into the record.
    pub(super) fn finish(
        &mut self,
        key: &IncomingKey,
        record: Incoming,
        fee: u64,
        commit: bool,
        effects: &mut Effects,
    ) {
        let (origin, transfer) = *key;
        let (Some(prepare), Some(asset)) = (record.prepare.as_ref(), record.asset) else { return };
        let amount = prepare.amount;
        let wrapped = !self.is_home(&prepare.asset.issuer);
        let backs = commit && !wrapped && prepare.is_across();
        let minted_for = (commit && self.waits_for_backing(prepare)).then_some(prepare.asset.issuer);
        let from = if wrapped { AccountKey::issuance(asset) } else { held_account(&origin, &transfer, asset) };
        let recipient = if backs {
            AccountKey::peer(prepare.recipient.domain, asset)
        } else {
            AccountKey::agent(prepare.recipient.agent, asset)
        };
        let paid = [
            Leg::debit(from, amount),
            Leg::credit(recipient, amount.saturating_sub(fee)),
            Leg::credit(AccountKey::treasury(asset), fee),
        ];
        let returned = [Leg::debit(from, amount), Leg::credit(AccountKey::peer(origin, asset), amount)];
        let legs: &[Leg] = match (commit, wrapped, fee) {
            (true, _, 0) => paid.get(..2).unwrap_or(&paid),
            (true, ..) => &paid,
            (false, true, _) => &[],
            (false, false, _) => &returned,
        };
        self.post_certain(legs);
        let fee = if commit { fee } else { 0 };
        let state = if backs { IncomingState::Backing } else { IncomingState::Finished { commit, fee } };
        let evidence = record.decision_evidence.unwrap_or(record.evidence);
        let record = Incoming { state, ..record };
        if let (Some(backing), Some(peer)) = (backing_of(key, &record), record.prepare.as_ref()) {
            effects.owe(peer.recipient.domain, OwedMessage::Backing(backing));
        }
        self.settlement.put_incoming(*key, record);
        acknowledge(key, commit, effects);
        if let Some(issuer) = minted_for {
            effects.owe(issuer, minted(key, None));
        }
        effects.event(EventKind::TransferFinished { origin, transfer, commit, fee, evidence }, legs);
    }

    /// Behind the watermark nothing is unfinished: what is decided there was finished here and is forgotten. An abort that
    /// overtook its prepare is remembered, so that the prepare comes too late. A commit without a vote of ours is refused:
    /// our yes is what it rests on.
    fn decision_on_unheard(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        decision: &Decision,
        effects: &mut Effects,
    ) -> Outcome {
        let key = (batch.get().from, decision.transfer);
        let watermark = self.settlement.peers.get(&key.0).map_or(0, |state| state.incoming_watermark_ms);
        if decision.decide_by_ms <= watermark {
            return effects.refuse(key.0, key.1, Outcome::TooOld);
        }
        if decision.commit {
            return effects.refuse(key.0, key.1, Outcome::UnknownTransfer);
        }
        let record = Incoming {
            prepare: None,
            content: decision.content,
            asset: None,
            evidence: batch.digest(),
            decision_evidence: Some(batch.digest()),
            backing: None,
            heard_ms: now_ms,
            decide_by_ms: decision.decide_by_ms,
            state: IncomingState::Finished { commit: false, fee: 0 },
            refusal: None,
        };
        self.settlement.put_incoming(key, record);
        acknowledge(&key, false, effects);
        effects.keep(batch);
        Outcome::Applied
    }

    /// Rule 7: the first recorded decision stands, the proof is kept, and the peer is suspended.
    fn equivocated(&mut self, key: &IncomingKey, first: Hash, batch: &CheckedBatch, effects: &mut Effects) {
        let ((peer, transfer), second) = (*key, batch.digest());
        effects.keep(batch);
        let Some(state) = self.settlement.peers.get_mut(&peer) else { return };
        if state.equivocation.is_none() && !planted(Plant::TwoWordsTaken) {
            state.equivocation = Some(Equivocation { transfer, first, second });
            state.proved = Some(transfer);
            effects.event(EventKind::PeerEquivocated { peer, transfer, first, second }, &[]);
        }
    }
}

fn acknowledge(key: &IncomingKey, commit: bool, effects: &mut Effects) {
    effects.owe(key.0, OwedMessage::Acknowledge(Acknowledge { transfer: key.1, commit }));
}

/// A prepare under a known id: the same content owes the same answer again.
fn heard_again(record: &Incoming, key: &IncomingKey, content: Hash, effects: &mut Effects) -> Outcome {
    let (origin, transfer) = *key;
    if record.content != content {
        let verdict = Err(Outcome::ExistsWithDifferentContent.code());
        effects.owe(origin, OwedMessage::Vote(Vote { transfer, content, verdict }));
        return Outcome::ExistsWithDifferentContent;
    }
    let verdict = match record.state {
        IncomingState::Voted { fee } | IncomingState::Unbacked { fee } => Ok(fee),
        IncomingState::Refused { reason } => Err(reason),
        IncomingState::Backing => {
            acknowledge(key, true, effects);
            return Outcome::Exists;
        }
        IncomingState::Finished { commit, .. } => {
            acknowledge(key, commit, effects);
            return Outcome::Exists;
        }
    };
    effects.owe(origin, OwedMessage::Vote(Vote { transfer, content, verdict }));
    Outcome::Exists
}
