//! What a ledger remembers of transfers to and from other domains.
//!
//! Stored: the two maps of records, what is owed by escrows, and one state per peer. Everything else (queues, pending
//! exposure) is derived from them and rebuilt after a snapshot.

use crate::{
    account::AssetIndex,
    cow::{CowMap, ShardKey, prefix_of_bytes},
    cow_queue::CowQueue,
};
use alloc::{collections::BTreeMap, vec::Vec};
use comity_proto::{
    command::Party,
    ids::{DomainId, EscrowId, Hash, PublicKey, TransferId},
    limits::{DAY_MS, DECIDE_WITHIN_MAX_MS, ENDED_KEPT_MS},
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
/// First pause before an escrow's payout is tried again; doubles with each attempt.
pub const PAYOUT_RETRY_FIRST_MS: u64 = 1_000;
/// Longest such pause.
pub const PAYOUT_RETRY_MAX_MS: u64 = 600_000;
/// From the first share that waits for a referrer of another domain to the sweep, and from a sweep that failed to the
/// next. A time and no least amount: a minor unit is worth something else in each asset, and small sums must not wait for
/// ever. A day, because this income is for ever and nobody waits for it: however many fees a referrer earns from, it costs
/// two signed messages each way per asset and day.
pub const SWEEP_EVERY_MS: u64 = DAY_MS;

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
    /// Stamp of the first word about it.
    pub heard_ms: u64,
    /// The record counts as this old for forgetting; in the **origin's** ledger time.
    pub decide_by_ms: u64,
    /// How far it has come.
    pub state: IncomingState,
    /// The last refusal that the origin sent (an outcome code); shown to people, decides nothing.
    pub refusal: Option<u16>,
}

/// States of a transfer at a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncomingState {
    /// Voted yes. Only the origin's decision ends this.
    Voted {
        /// Fixed now, taken at commit.
        fee: u64,
    },
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

/// Names one share that an escrow owes to an agent of another domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PayoutKey {
    /// Which escrow.
    pub escrow: EscrowId,
    /// Which milestone (0 when there are none).
    pub milestone: u16,
    /// Index of the payee in the terms.
    pub payee: u16,
}

impl ShardKey for PayoutKey {
    fn prefix(&self) -> u64 {
        prefix_of_bytes(self.escrow.as_bytes())
    }
}

/// An escrow's debt to an agent of another domain: it stays until one attempt commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Who is to be credited.
    pub recipient: Party,
    /// In this ledger.
    pub asset: AssetIndex,
    /// Minor units, before the receiver's fee.
    pub amount: u64,
    /// Counts up each time an attempt aborts.
    pub attempt: u32,
    /// `None` while an attempt is in flight, else the stamp from which the next one may begin.
    pub retry_at_ms: Option<u64>,
}

/// Names what one referrer of another domain earns in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccrualId(pub [u8; 16]);

impl AccrualId {
    /// Of a referrer and an asset.
    pub fn of(referrer: &Party, asset: AssetIndex) -> AccrualId {
        let parts: [&[u8]; 3] = [referrer.domain.as_bytes(), referrer.agent.as_bytes(), &asset.0.to_be_bytes()];
        AccrualId(Hash::of_parts("comity/v1/id/accrual", &parts).first_16())
    }
}

impl ShardKey for AccrualId {
    fn prefix(&self) -> u64 {
        prefix_of_bytes(&self.0)
    }
}

/// What a referrer of another domain has earned in one asset and has not got; gone once it has everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accrual {
    /// Who.
    pub referrer: Party,
    /// In this ledger.
    pub asset: AssetIndex,
    /// Minor units in `referral/<agent>`.
    pub waiting: u64,
    /// The transfer that carries what waited before, while it is undecided.
    pub sweep: Option<TransferId>,
    /// Stamp from which what waits may be swept; `None` while a sweep is undecided.
    pub sweep_at_ms: Option<u64>,
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
    /// Our own finished transfers to this peer with `decide_by` at or below this may be forgotten. Never falls.
    pub outgoing_watermark_ms: u64,
    /// The same for transfers from this peer, in **its** ledger time. Never falls.
    pub incoming_watermark_ms: u64,
    /// Highest `decide_by` of a prepare that was voted yes on.
    pub incoming_highest_ms: u64,
    /// First proof that this peer contradicted itself. New prepares are refused while it stands.
    pub equivocation: Option<Equivocation>,
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
    /// Theirs, voted yes and undecided.
    pub incoming_open: CowQueue<TransferId>,
    /// Theirs, refused or finished.
    pub incoming_done: CowQueue<TransferId>,
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
    /// Sum of yes votes not yet decided, per origin and asset. Derived.
    pub pending: BTreeMap<(DomainId, AssetIndex), u128>,
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
        let queues = &mut self.peers.entry(record.prepare.recipient.domain).or_default().queues;
        match record.state {
            OutgoingState::Closed { .. } => queues.outgoing_done.insert(by, id),
            _ => queues.outgoing_open.insert(by, id),
        };
    }

    fn unindex_outgoing(&mut self, record: &Outgoing) {
        let (id, by) = (record.prepare.transfer, record.queued_ms());
        self.timers.remove(by, &Timer::DecideBy(id));
        let queues = &mut self.peers.entry(record.prepare.recipient.domain).or_default().queues;
        queues.outgoing_open.remove(by, &id);
        queues.outgoing_done.remove(by, &id);
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
        let open = matches!(record.state, IncomingState::Voted { .. });
        if let (true, Some(asset), Some(prepare)) = (open, record.asset, &record.prepare) {
            let sum = self.pending.entry((origin, asset)).or_default();
            *sum = sum.saturating_add(u128::from(prepare.amount));
        }
        let queues = &mut self.peers.entry(origin).or_default().queues;
        let queue = if open { &mut queues.incoming_open } else { &mut queues.incoming_done };
        queue.insert(record.decide_by_ms, id);
    }

    fn unindex_incoming(&mut self, key: &IncomingKey, record: &Incoming) {
        let (origin, id) = *key;
        let open = matches!(record.state, IncomingState::Voted { .. });
        if let (true, Some(asset), Some(prepare)) = (open, record.asset, &record.prepare) {
            let sum = self.pending.entry((origin, asset)).or_default();
            *sum = sum.saturating_sub(u128::from(prepare.amount));
            if *sum == 0 {
                self.pending.remove(&(origin, asset));
            }
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
    pub(crate) fn remove_payout(&mut self, key: &PayoutKey) {
        if let Some(at) = self.payouts.remove(key).and_then(|payout| payout.retry_at_ms) {
            self.timers.remove(at, &Timer::Payout(*key));
        }
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

    /// Yes votes for one origin and asset that are not decided: they count against the exposure cap.
    #[must_use]
    pub fn pending(&self, origin: DomainId, asset: AssetIndex) -> u128 {
        self.pending.get(&(origin, asset)).copied().unwrap_or(0)
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
        for _ in 0..max {
            let ours = state.queues.outgoing_done.pop_due(state.outgoing_watermark_ms);
            let theirs = state.queues.incoming_done.pop_due(state.incoming_watermark_ms);
            if let Some((_, id)) = &ours {
                self.outgoing.remove(id);
            }
            if let Some((_, id)) = &theirs {
                self.incoming.remove(&(*peer, *id));
            }
            if ours.is_none() && theirs.is_none() {
                break;
            }
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
