//! A ledger that was restored from a backup: fenced until it agrees with every peer about what lies between them.
//!
//! ```text
//! restored ledger                                   peer
//!   fence, next incarnation
//!   -- BooksAsk (after) ---------------------------->  hears no older incarnation any more
//!   <- Books: transfers, this domain's own signed words about them, figures ---
//!   adopt   commit -> posted, abort -> returned, promise -> open again
//!   ...until the last page; then the figures of both must be equal, to the unit
//! fence lifted once every peer agrees
//! ```
//! A difference that no evidence settles keeps the fence up and is shown; it is never answered with an abort. Peers are
//! asked again and again, so what one of them explains settles what another one says.

use super::{
    Effects,
    check::CheckedBatch,
    content_of,
    dues::{Fronted, PayoutKey},
    owed::{Owed, OwedMessage},
    record::{IncomingState, OutgoingState},
};
use crate::{
    account::AccountKey,
    apply::Out,
    event::EventKind,
    outcome::Outcome,
    state::Ledger,
    statement::{committed, promised},
    treaty::Closing,
};
use alloc::{collections::BTreeMap, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    amount::AssetId,
    books::{Books, BooksAsk, BooksEnd, SharedKey, SharedState, SharedTransfer},
    envelope::Verified,
    identity::Roster,
    ids::{DomainId, Hash, TransferId},
    limits::FRONTED_SHARES_MAX,
    planted::{Plant, planted},
    roots::RootKeys,
    settlement::{Prepare, Source},
};
use serde::{Deserialize, Serialize};

/// How far the books are agreed with one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciling {
    /// The last transfer that the peer has told in this pass.
    pub after: Option<SharedKey>,
    /// Passes that came to their end.
    pub passes: u32,
    /// What this pass could not adopt, and why not.
    pub differences: BTreeMap<SharedKey, Difference>,
    /// Of these, transfers of this domain that the peer says its own agents have got.
    pub arrived: BTreeMap<TransferId, Arrived>,
    /// What each asset comes to at the peer, as of the last pass.
    pub figures: Vec<(AssetId, u64)>,
    /// Nothing differs.
    pub agreed: bool,
    /// The operator has taken upon the treasury what was left.
    pub settled: bool,
}

/// A transfer of this domain that has arrived at a peer, by that peer's word alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// Digest of what was asked: what is in flight here under the same id may be another transfer.
    pub content: Hash,
    /// Who has it, and what.
    pub paid: Fronted,
    /// Of which escrow.
    pub share: Option<PayoutKey>,
}

/// Why a transfer that a peer told could not be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Difference {
    /// The peer says what this domain did, without this domain's own signed word.
    Unproved,
    /// It is open here, and the peer has finished and forgotten it.
    Forgotten,
    /// Both sides know an end, and not the same one.
    Contradicted,
    /// Another peer must tell its part first.
    NotYet,
    /// The page says what its signer cannot say.
    Misplaced,
    /// The ledger as it was saved cannot post it.
    Refused(Outcome),
}

impl Difference {
    /// Stable name in snake_case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Difference::Unproved => "unproved",
            Difference::Forgotten => "forgotten",
            Difference::Contradicted => "contradicted",
            Difference::NotYet => "not_yet",
            Difference::Misplaced => "misplaced",
            Difference::Refused(outcome) => outcome.name(),
        }
    }
}

impl From<Outcome> for Difference {
    fn from(outcome: Outcome) -> Difference {
        Difference::Refused(outcome)
    }
}

/// One asset whose figures differ between a restored ledger and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unbalanced {
    /// Which.
    pub asset: AssetId,
    /// Units that exist at the holder and are not backed at the issuer, or with a minus the other way round: what this
    /// ledger must take from its own, or may give to it.
    pub short: i128,
}

/// What a peer says of its own agent: nobody else can say whether that one was paid, and whoever says it falsely takes it
/// from its own.
fn arrived(home: DomainId, peer: DomainId, shared: &SharedTransfer) -> Option<Arrived> {
    let Prepare { origin, source, recipient, asset, amount, .. } = shared.prepare;
    let is_paid = matches!(shared.state, SharedState::Posted { .. } | SharedState::Committed);
    if !is_paid || origin != home || recipient.domain != peer {
        return None;
    }
    let share = match source {
        Source::Escrow { escrow, milestone, payee, .. } => Some(PayoutKey { escrow, milestone, payee }),
        Source::Agent(_) | Source::Referral { .. } => None,
    };
    Some(Arrived { content: content_of(&shared.prepare), paid: Fronted { recipient, asset, amount }, share })
}

impl Ledger {
    /// Whether it was restored and does not agree with every peer yet.
    pub fn is_fenced(&self) -> bool {
        self.head.domain.as_ref().is_some_and(|domain| domain.fenced)
    }

    /// A ledger of a backup under a higher incarnation, with the roster of those who run it now. Fenced.
    ///
    /// # Errors
    /// `old_incarnation`, `too_old` for a roster that is not higher, `bad_signature` for one of another key.
    pub fn restored(mut self, incarnation: u64, roster: &Verified<Roster>) -> Result<Ledger, Outcome> {
        let by_root = self.judge_root(&roster.get().domain, roster.signer());
        let domain = self.head.domain.as_mut().ok_or(Outcome::NotInitialized)?;
        if roster.get().domain != domain.id {
            return Err(Outcome::BadSignature);
        }
        by_root?;
        if incarnation <= domain.incarnation {
            return Err(Outcome::OldIncarnation);
        }
        if roster.get().epoch <= domain.roster_epoch {
            return Err(Outcome::TooOld);
        }
        domain.incarnation = incarnation;
        domain.fenced = !planted(Plant::NoFence);
        domain.roster = Bytes::clone(roster.envelope_bytes());
        domain.roster_epoch = roster.get().epoch;
        domain.voters.clone_from(&roster.get().voters);
        domain.seats.clone_from(&roster.get().seats);
        // The backup may be older than this root key. Its steps go on above whatever peers have heard.
        if roster.signer().number() > domain.root.number() {
            domain.root = RootKeys::of(roster.signer());
        }
        domain.root.serial = domain.root.serial.max(roster.get().epoch);
        // Its only voter begins with the key that it has now.
        domain.nodes.clear();
        self.head.reconcile = BTreeMap::new();
        // What was stated may not be so any more: both sides state anew.
        for treaty in self.head.treaties.values_mut() {
            (treaty.closing, treaty.drained_ms) = (Closing::default(), None);
        }
        Ok(self)
    }

    /// Peers that must agree: all with a treaty that neither side has left.
    fn counterparts(&self) -> impl Iterator<Item = DomainId> {
        self.head.treaties.values().filter(|treaty| treaty.is_bound()).map(|treaty| treaty.peer)
    }

    /// How far the books are agreed, by peer; empty without a fence.
    pub fn reconciliation(&self) -> Vec<(DomainId, Reconciling)> {
        let known = |peer| self.head.reconcile.get(&peer).cloned().unwrap_or_default();
        if self.is_fenced() { self.counterparts().map(|peer| (peer, known(peer))).collect() } else { Vec::new() }
    }

    /// Whether nobody is waited for any more.
    pub(crate) fn all_agree(&self) -> bool {
        self.counterparts().all(|peer| self.head.reconcile.get(&peer).is_some_and(|state| state.agreed))
    }

    /// What a fenced ledger says: it asks those that do not agree yet.
    pub(super) fn books_asked(&self) -> Vec<Owed> {
        let open = self.reconciliation().into_iter().filter(|(_, state)| !state.agreed);
        open.map(|(peer, state)| Owed { peer, message: OwedMessage::BooksAsk(BooksAsk { after: state.after }) })
            .collect()
    }

    /// A fenced ledger says nothing else.
    pub(crate) fn may_say(&self, owed: &Owed) -> bool {
        owed.message.is_about_books() || !self.is_fenced()
    }

    /// The last step of every entry of a fenced ledger.
    pub(crate) fn lift_fence(&mut self, out: &mut Out) {
        if !self.all_agree() {
            return;
        }
        let Some(domain) = self.head.domain.as_mut() else { return };
        domain.fenced = false;
        let incarnation = domain.incarnation;
        self.head.reconcile = BTreeMap::new();
        self.emit(out, EventKind::FenceLifted { incarnation }, Vec::new());
    }

    /// One page of a peer. Adopts what is proved on it; asks on.
    pub(super) fn on_books(
        &mut self,
        now_ms: u64,
        batch: &CheckedBatch,
        books: &Books,
        effects: &mut Effects,
    ) -> Outcome {
        let peer = batch.get().from;
        let Some(domain) = self.head.domain.as_ref().filter(|domain| domain.fenced) else { return Outcome::Exists };
        let home = domain.id;
        if books.incarnation != domain.incarnation {
            return Outcome::OldIncarnation;
        }
        let mut state = self.head.reconcile.get(&peer).cloned().unwrap_or_default();
        if state.agreed || state.after != books.after {
            return Outcome::Exists;
        }
        if state.after.is_none() {
            state.differences.clear();
            state.arrived.clear();
        }
        let mut others_hear = false;
        for shared in &books.transfers {
            state.after = Some(shared.key());
            match self.adopt(now_ms, batch, shared, effects) {
                Ok(moved) => others_hear |= moved && shared.prepare.is_across(),
                Err(why) => {
                    state.differences.insert(shared.key(), why);
                    if let Some(arrived) =
                        arrived(home, peer, shared).filter(|_| state.arrived.len() < FRONTED_SHARES_MAX)
                    {
                        state.arrived.insert(shared.prepare.transfer, arrived);
                    }
                }
            }
        }
        if others_hear {
            // A third domain has its own view of what was just adopted.
            self.head.reconcile.values_mut().for_each(|other| other.agreed = other.settled);
        }
        match &books.end {
            Some(end) => self.end_pass(&peer, &mut state, end, effects),
            None => effects.owe(peer, OwedMessage::BooksAsk(BooksAsk { after: state.after })),
        }
        effects.keep(batch);
        self.head.reconcile.insert(peer, state);
        Outcome::Applied
    }

    /// The peer has told everything: what is open here and forgotten there, and do the figures agree?
    fn end_pass(&mut self, peer: &DomainId, state: &mut Reconciling, end: &BooksEnd, effects: &mut Effects) {
        let Some(home) = self.domain_id() else { return };
        for id in self.open_ours(peer, end.yours_forgotten_ms) {
            match self.settlement.outgoing.get(&id).map(|record| record.state) {
                // Nothing unfinished is ever forgotten, so the peer has posted what was decided.
                Some(OutgoingState::Decided { commit, .. }) => {
                    self.acknowledged(&id, *peer, commit, effects);
                }
                Some(OutgoingState::Undecided) => drop(state.differences.insert((home, id), Difference::Forgotten)),
                _ => {}
            }
        }
        for key in self.open_theirs(peer, end.ours_forgotten_ms) {
            state.differences.insert(key, Difference::Forgotten);
        }
        if let Some(known) = self.settlement.peers.get_mut(peer) {
            let open = known.queues.incoming_open.first().map_or(u64::MAX, |(by, _)| by.saturating_sub(1));
            known.incoming_watermark_ms = known.incoming_watermark_ms.max(end.ours_forgotten_ms.min(open));
        }
        state.figures.clone_from(&end.figures);
        state.agreed = state.differences.is_empty() && self.unbalanced(peer, &end.figures).is_empty();
        (state.after, state.passes) = (None, state.passes.saturating_add(1));
    }

    fn open_ours(&self, peer: &DomainId, until_ms: u64) -> Vec<TransferId> {
        let queue = self.settlement.peers.get(peer).map(|known| &known.queues.outgoing_open);
        let due = queue.into_iter().flat_map(|queue| queue.iter()).filter(|(by, _)| *by <= until_ms);
        due.map(|(_, id)| *id).collect()
    }

    fn open_theirs(&self, peer: &DomainId, until_ms: u64) -> Vec<SharedKey> {
        let queue = self.settlement.peers.get(peer).map(|known| &known.queues.incoming_open);
        let due = queue.into_iter().flat_map(|queue| queue.iter()).filter(|(by, _)| *by <= until_ms);
        let waits = |key: &SharedKey| {
            self.settlement.incoming.get(key).is_some_and(|record| matches!(record.state, IncomingState::Voted { .. }))
        };
        due.map(|(_, id)| (*peer, *id)).filter(waits).collect()
    }

    /// Assets between us and a peer whose figures are not equal. What we committed and the peer has not posted is ours to
    /// say, and is counted.
    pub fn unbalanced(&self, peer: &DomainId, figures: &[(AssetId, u64)]) -> Vec<Unbalanced> {
        let mut shorts: BTreeMap<AssetId, i128> = BTreeMap::new();
        for (index, asset) in self.assets() {
            let sum =
                |list: Vec<(_, u64)>| list.iter().fold(0_i128, |sum, (_, each)| sum.saturating_add((*each).into()));
            let balance = |key| i128::from(self.balance_of(&key));
            let under_way = sum(committed(&self.settlement, *peer, &asset.id));
            let short = if self.is_home(&asset.id.issuer) {
                let held = sum(promised(&self.settlement, *peer, &asset.id));
                under_way.saturating_sub(held).saturating_sub(balance(AccountKey::peer(*peer, index)))
            } else if asset.id.issuer == *peer {
                under_way.saturating_add(balance(AccountKey::issuance(index)))
            } else {
                continue;
            };
            shorts.insert(asset.id, short);
        }
        for (asset, amount) in figures {
            let short = shorts.entry(*asset).or_default();
            let amount = i128::from(*amount);
            *short =
                if self.is_home(&asset.issuer) { short.saturating_add(amount) } else { short.saturating_sub(amount) };
        }
        let differs = shorts.into_iter().filter(|(_, short)| *short != 0);
        differs.map(|(asset, short)| Unbalanced { asset, short }).collect()
    }
}
