//! What no evidence settles after a restore, the operator takes upon the domain's treasury: one word per peer.
//!
//! What the peer says that its own agents have got is not paid again: a transfer that is still in flight here is committed,
//! and what an escrow owes for a share that it has not paid is the treasury's.
//!
//! Afterwards the figures of both sides are equal, so whatever the operator believes no unit is made or lost between the
//! two domains; what it decides is only who in its own domain bears the difference.

use super::{
    Effects,
    reconcile::{Arrived, Difference, Reconciling},
    record::{Incoming, IncomingState, Outgoing, OutgoingState},
};
use crate::{
    account::{AccountKey, Leg},
    apply::{Answer, Out},
    event::EventKind,
    outcome::Outcome,
    posting::post,
    state::Ledger,
};
use alloc::{collections::BTreeMap, vec::Vec};
use comity_proto::{
    amount::AssetId,
    books::SharedKey,
    ids::{DomainId, Hash, TransferId},
    text::Reason,
};

impl Ledger {
    /// Ends what the peer has forgotten as its figures leave room for, and balances the rest with the treasury.
    pub(crate) fn settle_books(&mut self, peer: DomainId, reason: Reason, out: &mut Out) -> Answer {
        if !self.is_fenced() {
            return Err(Outcome::WrongState);
        }
        let is_whole = |state: &&Reconciling| state.passes > 0 && state.after.is_none();
        let mut state = self.head.reconcile.get(&peer).filter(is_whole).ok_or(Outcome::TooEarly)?.clone();
        if state.agreed {
            return Ok(Outcome::Exists);
        }
        // A refusal changes nothing, so everything is done on a copy first.
        let (mut copy, mut effects) = (self.freeze(), Effects::default());
        let arrived = core::mem::take(&mut state.arrived);
        for (id, arrived) in &arrived {
            copy.end_arrived(&peer, id, arrived, &mut effects);
        }
        let forgotten = state.differences.iter().filter(|(_, why)| **why == Difference::Forgotten).map(|(key, _)| *key);
        for key in forgotten.collect::<Vec<_>>() {
            copy.end_forgotten(&peer, &key, (&state.figures, &arrived), &mut effects);
        }
        let legs = copy.balancing(&peer, &state.figures)?;
        post(&mut copy.accounts, &legs)?;
        effects.event(EventKind::BooksSettled { peer, reason }, &legs);
        state.differences.clear();
        (state.agreed, state.settled) = (true, true);
        copy.head.reconcile.insert(peer, state);
        *self = copy;
        self.settle(out, |_, left| *left = effects);
        Ok(Outcome::Applied)
    }

    /// With two participants the other one's word is needed, and its yes: such a transfer stays as it is.
    fn end_arrived(&mut self, peer: &DomainId, id: &TransferId, arrived: &Arrived, effects: &mut Effects) {
        let now_ms = self.head.stamp_ms;
        let same = |record: &&Outgoing| record.content == arrived.content;
        let known = self.settlement.outgoing.get(id).filter(same).cloned();
        if let Some(record) = known.filter(|record| record.state == OutgoingState::Undecided) {
            if !record.prepare.is_across() {
                self.commit(now_ms, &record, 0, None, effects);
                self.acknowledged(id, *peer, true, effects);
            }
        } else if let Some(key) = arrived.share {
            self.front_payout(now_ms, key, arrived.paid, effects);
        }
    }

    /// What has arrived of an asset and is in no record here: the treasury bears it.
    fn borne(&self, arrived: &BTreeMap<TransferId, Arrived>, asset: &AssetId) -> i128 {
        let unknown = arrived.iter().filter(|(id, _)| self.settlement.outgoing.get(id).is_none());
        let amounts =
            unknown.filter(|(_, arrived)| arrived.paid.asset == *asset).map(|(_, arrived)| arrived.paid.amount);
        amounts.fold(0, |sum, amount| i128::from(amount).saturating_add(sum))
    }

    fn short(&self, peer: &DomainId, figures: &[(AssetId, u64)], asset: &AssetId) -> i128 {
        let differs = self.unbalanced(peer, figures);
        differs.into_iter().find(|line| line.asset == *asset).map_or(0, |line| line.short)
    }

    /// Of a transfer whose end the peer has forgotten, the figures tell the sum: it was committed if they leave room for
    /// it, else it goes back.
    fn end_forgotten(
        &mut self,
        peer: &DomainId,
        key: &SharedKey,
        (figures, arrived): (&[(AssetId, u64)], &BTreeMap<TransferId, Arrived>),
        effects: &mut Effects,
    ) {
        let (now_ms, id) = (self.head.stamp_ms, key.1);
        if self.is_home(&key.0) {
            let Some(record) = self.settlement.outgoing.get(&id).cloned() else { return };
            if record.state != OutgoingState::Undecided {
                return;
            }
            let asset = &record.prepare.asset;
            let room = self.short(peer, figures, asset).saturating_sub(self.borne(arrived, asset));
            let commit = room >= i128::from(record.prepare.amount);
            if commit {
                self.commit(now_ms, &record, 0, None, effects);
            } else {
                self.abort(now_ms, &record, None, effects);
            }
            self.acknowledged(&id, *peer, commit, effects);
            return;
        }
        let Some(record) = self.settlement.incoming.get(key).cloned() else { return };
        let (IncomingState::Voted { fee }, Some(prepare)) = (record.state, record.prepare.clone()) else { return };
        let room = self.short(peer, figures, &prepare.asset).saturating_neg();
        let commit = room >= i128::from(prepare.amount) && !prepare.is_across();
        let evidence = Hash::of_parts("comity/v1/settled", &[key.0.as_bytes(), id.as_bytes()]);
        self.finish(key, Incoming { decision_evidence: Some(evidence), ..record }, fee, commit, effects);
    }

    /// Legs after which the figures are equal.
    fn balancing(&self, peer: &DomainId, figures: &[(AssetId, u64)]) -> Result<Vec<Leg>, Outcome> {
        let mut legs = Vec::new();
        for line in self.unbalanced(peer, figures) {
            let asset = self.asset_index(&line.asset).ok_or(Outcome::AssetUnknown)?;
            let amount = u64::try_from(line.short.unsigned_abs()).map_err(|_| Outcome::AmountOverflow)?;
            let own = self.is_home(&line.asset.issuer);
            let between = if own { AccountKey::peer(*peer, asset) } else { AccountKey::issuance(asset) };
            let treasury = AccountKey::treasury(asset);
            let (from, to) = if line.short > 0 { (treasury, between) } else { (between, treasury) };
            legs.extend([Leg::debit(from, amount), Leg::credit(to, amount)]);
        }
        Ok(legs)
    }
}
