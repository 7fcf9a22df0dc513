//! What a ledger remembers of transfers to and from other domains.
//!
//! Stored: the two maps of records, what is owed by escrows, and one state per peer. Everything else (queues, pending
//! exposure) is derived from them and rebuilt after a snapshot.

use super::{
    across::Across,
    dues::{Accrual, AccrualId, Payout, PayoutKey},
};
use crate::{account::AssetIndex, cow::CowMap, cow_queue::CowQueue, projection::Projected};
use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};
use comity_proto::{
    ids::{DomainId, Hash, PublicKey, TransferId},
    limits::{DECIDE_WITHIN_MAX_MS, ENDED_KEPT_MS},
    settlement::Prepare,
};
use serde::{Deserialize, Serialize};

/// Finished records are kept this long behind the newest `decide_by` of their peer, so that late duplicates are
/// answered rather than refused as `too_old`, and a client that asks again is told the end.
pub const FINISHED_KEPT_MS: u64 = ENDED_KEPT_MS;
/// Finished records kept per peer and direction: beyond it the oldest are forgotten sooner, so a peer that only asks to
/// be refused cannot fill our memory. The watermark rises with it.
pub const FINISHED_PER_PEER_MAX: usize = 1 << 18;
/// Records of one direction forgotten per batch, besides two per message of it: forgetting outruns remembering, and a
/// long backlog never makes one entry long.
pub const FORGOTTEN_PER_STEP_MIN: usize = 8;
/// Records of one direction and peer forgotten per pulse: a peer that has fallen silent is forgotten too.
pub const FORGOTTEN_PER_PULSE_MAX: usize = 128;
const _: () = assert!(FINISHED_KEPT_MS > 2 * DECIDE_WITHIN_MAX_MS, "a fresh prepare is never too old");

/// A transfer that this domain began: its log alone decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// What was asked of the participant.
    pub prepare: Prepare,
    /// Digest of `prepare`; binds votes and decisions.
    pub content: Hash,
    /// The asset in this ledger; `None` for a tombstone, which moves nothing.
    pub asset: Option<AssetIndex>,
    /// Stamp of the begin.
    pub begun_ms: u64,
    /// How far it has come.
    pub state: OutgoingState,
    /// The last refusal that the participant sent (an outcome code); shown to people, decides nothing.
    pub refusal: Option<u16>,
    /// What each of two participants has said; `None` with one.
    pub across: Option<Box<Across>>,
}

/// States of a transfer at its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutgoingState {
    /// The amount is in flight; the deadline is queued.
    Undecided,
    /// Final, not yet acknowledged.
    Decided {
        /// Commit or abort.
        commit: bool,
        /// Fee that the participant fixed at its vote; 0 on abort.
        fee: u64,
        /// Digest of the signed batch that carried the vote, if there was one.
        vote_evidence: Option<Hash>,
        /// Stamp of the decision.
        decided_ms: u64,
    },
    /// Nothing is owed any more.
    Closed {
        /// Commit or abort.
        commit: bool,
        /// Fee that the participant fixed at its vote; 0 on abort.
        fee: u64,
        /// Why it was aborted: an outcome code of the participant, or `None` at the deadline.
        reason: Option<u16>,
        /// Digest of the signed batch that carried the vote, if there was one: an abort is told again on request.
        vote_evidence: Option<Hash>,
        /// Stamp of the decision.
        decided_ms: u64,
        /// Stamp of the close: the record is kept for a while after it.
        closed_ms: u64,
    },
}

impl Outgoing {
    /// The participants behind whose watermark it does not lie yet.
    fn remembered_for(&self) -> impl Iterator<Item = DomainId> {
        let issuer = self.prepare.asset.issuer;
        let across = self.across.as_deref();
        self.prepare
            .participants()
            .filter(move |peer| across.is_none_or(|across| !across.of(*peer == issuer).forgotten))
    }

    /// What orders the record among those of its peer: `decide_by`, or a later close, so that whoever waited long for the
    /// end can still read it.
    fn queued_ms(&self) -> u64 {
        match self.state {
            OutgoingState::Closed { closed_ms, .. } => self.prepare.decide_by_ms.max(closed_ms),
            OutgoingState::Undecided | OutgoingState::Decided { .. } => self.prepare.decide_by_ms,
        }
    }
}

/// A transfer is known to a participant by its origin and its id there.
pub type IncomingKey = (DomainId, TransferId);

/// A transfer that another domain began and that this domain voted on, or was told the end of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    /// What was asked; `None` when the abort came before the prepare.
    pub prepare: Option<Prepare>,
    /// Digest of what was asked.
    pub content: Hash,
    /// The asset in this ledger; `None` unless the vote was yes.
    pub asset: Option<AssetIndex>,
    /// Digest of the origin's signed batch that carried the prepare (or, without one, the decision).
    pub evidence: Hash,
    /// Digest of the signed batch that carried the decision that counts.
    pub decision_evidence: Option<Hash>,
    /// Across, at the recipient's domain: digest of the issuer's signed batch that says that reserve has moved.
    pub backing: Option<Hash>,
    /// Stamp of the first word about it.
    pub heard_ms: u64,
    /// The record counts as this old for forgetting; in the **origin's** ledger time.
    pub decide_by_ms: u64,
    /// How far it has come.
    pub state: IncomingState,
    /// The last refusal that the origin sent (an outcome code); shown to people, decides nothing.
    pub refusal: Option<u16>,
}

impl Incoming {
    /// Whether a word of another domain is still to come.
    pub const fn is_open(&self) -> bool {
        match self.state {
            IncomingState::Voted { .. } | IncomingState::Unbacked { .. } | IncomingState::Backing => true,
            IncomingState::Refused { .. } | IncomingState::Finished { .. } => false,
        }
    }

    /// What was promised to a recipient, or out of the reserve, and is not posted.
    fn pending(&self) -> Option<(AssetIndex, u128)> {
        let waits = matches!(self.state, IncomingState::Voted { .. } | IncomingState::Unbacked { .. });
        self.asset.zip(self.prepare.as_ref()).filter(|_| waits).map(|(asset, prepare)| (asset, prepare.amount.into()))
    }

    /// The domain that must still hear that reserve stands behind it.
    fn backs(&self) -> Option<DomainId> {
        let prepare = self.prepare.as_ref().filter(|_| self.state == IncomingState::Backing)?;
        Some(prepare.recipient.domain)
    }
}

/// States of a transfer at a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncomingState {
    /// Voted yes. Only the origin's decision ends this.
    Voted {
        /// Fixed now, taken at commit.
        fee: u64,
    },
    /// Across, at the recipient's domain: the origin has committed and the issuer has not said yet that reserve stands
    /// behind it. Only the issuer's word ends this.
    Unbacked {
        /// Fixed at the vote.
        fee: u64,
    },
    /// Across, at the issuer: the origin's commit is posted, and the recipient's domain has not answered yet.
    Backing,
    /// Voted no, for this reason (an outcome code).
    Refused {
        /// Outcome code.
        reason: u16,
    },
    /// The origin's decision is posted.
    Finished {
        /// Commit or abort.
        commit: bool,
        /// The fee taken; 0 on abort.
        fee: u64,
    },
}

/// Two different decisions of one origin for one transfer: the first stands, the treaty is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Equivocation {
    /// Which transfer.
    pub transfer: TransferId,
    /// Digest of the signed batch that came first.
    pub first: Hash,
    /// Digest of the signed batch that contradicts it.
    pub second: Hash,
}

/// What is known of one peer besides the treaty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerState {
    /// Highest incarnation heard.
    pub incarnation: u64,
    /// Epoch of the highest roster seen.
    pub roster_epoch: u64,
    /// Its voters: only they may sign settlement messages.
    pub voters: Vec<PublicKey>,
    /// Whose each of these keys is, where a voter has more than one.
    pub seats: Vec<u8>,
    /// Our own finished transfers to this peer with `decide_by` at or below this may be forgotten. Never falls.
    pub outgoing_watermark_ms: u64,
    /// The same for transfers from this peer, in **its** ledger time. Never falls.
    pub incoming_watermark_ms: u64,
    /// Highest `decide_by` of a prepare that was voted yes on.
    pub incoming_highest_ms: u64,
    /// First proof that this peer contradicted itself. New prepares are refused while it stands.
    pub equivocation: Option<Equivocation>,
    /// The transfer of the last such proof: once an operator has resumed the treaty, it suspends no more.
    pub proved: Option<TransferId>,
    /// How far its log is projected here.
    pub projected: Projected,
    /// Open and finished records by `decide_by`, for forgetting. Derived.
    #[serde(skip)]
    pub queues: PeerQueues,
}

/// Records of one peer ordered by `decide_by`. Derived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerQueues {
    /// Ours, not closed.
    pub outgoing_open: CowQueue<TransferId>,
    /// Ours, closed; by `decide_by` or the close, whichever is later.
    pub outgoing_done: CowQueue<TransferId>,
    /// Theirs, voted yes and not finished.
    pub incoming_open: CowQueue<TransferId>,
    /// Theirs, refused or finished.
    pub incoming_done: CowQueue<TransferId>,
    /// Of third domains: reserve has moved behind this peer, and it has not answered yet.
    pub backing_open: CowQueue<IncomingKey>,
}

/// What a settlement timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// `decide_by` of an undecided transfer of ours.
    DecideBy(TransferId),
    /// The next attempt of a payout may begin.
    Payout(PayoutKey),
    /// What has accrued for a referrer may be swept.
    Sweep(AccrualId),
}

/// All settlement state of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Transfers that this domain began.
    pub outgoing: CowMap<TransferId, Outgoing>,
    /// Transfers that other domains began.
    pub incoming: CowMap<IncomingKey, Incoming>,
    /// Shares that escrows owe to agents of other domains.
    pub payouts: CowMap<PayoutKey, Payout>,
    /// What referrers of other domains have earned and not got.
    pub accruals: CowMap<AccrualId, Accrual>,
    /// One state per domain that we have, or had, a treaty with.
    pub peers: BTreeMap<DomainId, PeerState>,
    /// Deadlines and retries. Derived.
    pub timers: CowQueue<Timer>,
    /// Sum of yes votes not yet finished, per asset, whoever its origin is. Derived.
    pub pending: BTreeMap<AssetIndex, u128>,
}

impl Settlement {
    /// Puts a new record of ours in and queues its deadline.
    pub(crate) fn add_outgoing(&mut self, record: Outgoing) {
        let id = record.prepare.transfer;
        self.index_outgoing(&record);
        self.outgoing.insert(id, record);
    }

    /// Changes the state of one of our records and keeps the queues in step.
    pub(crate) fn set_outgoing(&mut self, id: &TransferId, state: OutgoingState) {
        let Some(record) = self.outgoing.get(id).cloned() else { return };
        self.unindex_outgoing(&record);
        let record = Outgoing { state, ..record };
        self.index_outgoing(&record);
        self.outgoing.insert(*id, record);
    }

    fn index_outgoing(&mut self, record: &Outgoing) {
        let (id, by) = (record.prepare.transfer, record.queued_ms());
        if record.state == OutgoingState::Undecided {
            self.timers.insert(by, Timer::DecideBy(id));
        }
        for peer in record.remembered_for() {
            let queues = &mut self.peers.entry(peer).or_default().queues;
            match record.state {
                OutgoingState::Closed { .. } => queues.outgoing_done.insert(by, id),
                _ => queues.outgoing_open.insert(by, id),
            };
        }
    }

    fn unindex_outgoing(&mut self, record: &Outgoing) {
        let (id, by) = (record.prepare.transfer, record.queued_ms());
        self.timers.remove(by, &Timer::DecideBy(id));
        for peer in record.remembered_for() {
            let queues = &mut self.peers.entry(peer).or_default().queues;
            queues.outgoing_open.remove(by, &id);
            queues.outgoing_done.remove(by, &id);
        }
    }

    /// Puts a record of another domain's transfer in, in place of an older state of the same.
    pub(crate) fn put_incoming(&mut self, key: IncomingKey, record: Incoming) {
        if let Some(old) = self.incoming.get(&key).cloned() {
            self.unindex_incoming(&key, &old);
        }
        self.index_incoming(&key, &record);
        self.incoming.insert(key, record);
    }

    fn index_incoming(&mut self, key: &IncomingKey, record: &Incoming) {
        let (origin, id) = *key;
        if let Some((asset, amount)) = record.pending() {
            let sum = self.pending.entry(asset).or_default();
            *sum = sum.saturating_add(amount);
        }
        if let Some(recipient) = record.backs() {
            let queues = &mut self.peers.entry(recipient).or_default().queues;
            queues.backing_open.insert(record.decide_by_ms, *key);
        }
        let queues = &mut self.peers.entry(origin).or_default().queues;
        let queue = if record.is_open() { &mut queues.incoming_open } else { &mut queues.incoming_done };
        queue.insert(record.decide_by_ms, id);
    }

    fn unindex_incoming(&mut self, key: &IncomingKey, record: &Incoming) {
        let (origin, id) = *key;
        if let Some((asset, amount)) = record.pending() {
            let sum = self.pending.entry(asset).or_default();
            *sum = sum.saturating_sub(amount);
            if *sum == 0 {
                self.pending.remove(&asset);
            }
        }
        if let Some(recipient) = record.backs() {
            let queues = &mut self.peers.entry(recipient).or_default().queues;
            queues.backing_open.remove(record.decide_by_ms, key);
        }
        let queues = &mut self.peers.entry(origin).or_default().queues;
        queues.incoming_open.remove(record.decide_by_ms, &id);
        queues.incoming_done.remove(record.decide_by_ms, &id);
    }

    /// Puts a payout in, in place of an older state of the same, and queues its next attempt.
    pub(crate) fn put_payout(&mut self, key: PayoutKey, payout: Payout) {
        self.remove_payout(&key);
        if let Some(at) = payout.retry_at_ms {
            self.timers.insert(at, Timer::Payout(key));
        }
        self.payouts.insert(key, payout);
    }

    /// Takes a payout out: its money has left for good.
    pub(crate) fn remove_payout(&mut self, key: &PayoutKey) -> Option<Payout> {
        let payout = self.payouts.remove(key)?;
        if let Some(at) = payout.retry_at_ms {
            self.timers.remove(at, &Timer::Payout(*key));
        }
        Some(payout)
    }

    /// Puts an accrual in, in place of an older state of the same, and queues its sweep; one with nothing to wait for is
    /// taken out.
    pub(crate) fn put_accrual(&mut self, id: AccrualId, accrual: Accrual) {
        if let Some(at) = self.accruals.remove(&id).and_then(|old| old.sweep_at_ms) {
            self.timers.remove(at, &Timer::Sweep(id));
        }
        if let Some(at) = accrual.sweep_at_ms {
            self.timers.insert(at, Timer::Sweep(id));
        }
        if accrual.waiting > 0 || accrual.sweep.is_some() {
            self.accruals.insert(id, accrual);
        }
    }

    /// Stamp at which the earliest timer is due.
    #[must_use]
    pub fn next_due_ms(&self) -> Option<u64> {
        self.timers.first().map(|(at, _)| at)
    }

    /// Yes votes in one asset that are not finished: they count against the exposure cap.
    #[must_use]
    pub fn pending(&self, asset: AssetIndex) -> u128 {
        self.pending.get(&asset).copied().unwrap_or(0)
    }

    /// Forgets of every peer what is due, whether it speaks or not.
    pub(crate) fn forget_all(&mut self, stamp_ms: u64) {
        let peers: Vec<DomainId> = self.peers.keys().copied().collect();
        peers.iter().for_each(|peer| self.forget(peer, stamp_ms, FORGOTTEN_PER_PULSE_MAX));
    }

    /// Raises the watermarks of one peer as far as rule 5 allows and forgets at most `max` finished records of each
    /// direction behind them.
    ///
    /// A watermark never passes an unfinished record, so nothing unfinished is ever refused as too old.
    pub(crate) fn forget(&mut self, peer: &DomainId, stamp_ms: u64, max: usize) {
        self.raise_watermarks(peer, stamp_ms);
        for _ in 0..max {
            let Some(state) = self.peers.get_mut(peer) else { return };
            let ours = state.queues.outgoing_done.pop_due(state.outgoing_watermark_ms);
            let theirs = state.queues.incoming_done.pop_due(state.incoming_watermark_ms);
            if let Some((_, id)) = &ours {
                self.forget_ours(peer, id);
            }
            if let Some((_, id)) = &theirs {
                self.incoming.remove(&(*peer, *id));
            }
            if ours.is_none() && theirs.is_none() {
                break;
            }
        }
    }

    fn raise_watermarks(&mut self, peer: &DomainId, stamp_ms: u64) {
        let Some(state) = self.peers.get_mut(peer) else { return };
        let below = |open: &CowQueue<TransferId>, done: &CowQueue<TransferId>, newest: u64| {
            let limit = open.first().map_or(u64::MAX, |(by, _)| by.saturating_sub(1));
            let crowded = if done.len() > FINISHED_PER_PEER_MAX { done.first().map_or(0, |(by, _)| by) } else { 0 };
            newest.saturating_sub(FINISHED_KEPT_MS).max(crowded).min(limit)
        };
        let queues = &state.queues;
        let outgoing = below(&queues.outgoing_open, &queues.outgoing_done, stamp_ms);
        let incoming = below(&queues.incoming_open, &queues.incoming_done, state.incoming_highest_ms);
        state.outgoing_watermark_ms = state.outgoing_watermark_ms.max(outgoing);
        state.incoming_watermark_ms = state.incoming_watermark_ms.max(incoming);
    }

    /// A record with two participants is forgotten once it lies behind the watermarks of both: a late question of either
    /// must never find an unknown transfer that it posted.
    fn forget_ours(&mut self, peer: &DomainId, id: &TransferId) {
        let stays = self.outgoing.get_mut(id).is_some_and(|record| {
            let issuer = record.prepare.asset.issuer;
            record.across.as_mut().is_some_and(|across| {
                across.of_mut(*peer == issuer).forgotten = true;
                !across.both(|said| said.forgotten)
            })
        });
        if !stays {
            self.outgoing.remove(id);
        }
    }

    /// Rebuilds everything derived from the stored parts.
    pub(crate) fn rebuild(&mut self) {
        self.timers = CowQueue::new();
        self.pending.clear();
        for state in self.peers.values_mut() {
            state.queues = PeerQueues::default();
        }
        for record in self.outgoing.freeze().values() {
            self.index_outgoing(record);
        }
        for (key, record) in self.incoming.freeze().iter() {
            self.index_incoming(key, record);
        }
        for (key, payout) in self.payouts.freeze().iter() {
            if let Some(at) = payout.retry_at_ms {
                self.timers.insert(at, Timer::Payout(*key));
            }
        }
        for (id, accrual) in self.accruals.freeze().iter() {
            if let Some(at) = accrual.sweep_at_ms {
                self.timers.insert(at, Timer::Sweep(*id));
            }
        }
    }
}
