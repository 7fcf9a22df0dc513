//! What is remembered of a treaty, and the state that follows from it.

use super::closing::Closing;
use super::drift::Noted;
use crate::{outcome::Outcome, settlement::record::Equivocation, state::Ledger};
use alloc::vec::Vec;
use bytes::Bytes;
use comity_proto::{
    amount::AssetId,
    ids::{DomainId, Hash, PublicKey},
    licence::Licence,
    limits::REDEMPTION_MS,
    planted::{Plant, planted},
    roots::{RootKeys, Signer},
    settlement::Source,
    text::{Endpoint, Nickname, Reason},
    treaty::{Charter, ExposureCap, TreatyDocument, TreatyStanding},
};
use serde::{Deserialize, Serialize};

/// Everything known about the treaty with one domain. Never forgotten: transfers begun under it must find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treaty {
    /// The other domain.
    pub peer: DomainId,
    /// Its first root key, pinned.
    pub peer_key: PublicKey,
    /// Its root keys, as far as it has told.
    pub root: RootKeys,
    /// What it calls itself in the newest document heard.
    pub nickname: Nickname,
    /// Where it said it listens: hints.
    pub endpoints: Vec<Endpoint>,
    /// The document in force.
    pub agreed: Option<Agreed>,
    /// The next version, signed by one side.
    pub proposed: Option<Proposed>,
    /// What this domain does under it.
    pub ours: Word,
    /// What the other domain says that it does.
    pub theirs: Word,
    /// The licence that this domain grants the other one.
    pub granted: Option<Licensed>,
    /// The licence that the other domain grants this one.
    pub held: Option<Licensed>,
    /// Ledger time at which nothing was open any more and the closing statements of both sides fitted, ms.
    pub drained_ms: Option<u64>,
    /// What both sides state at the end.
    pub closing: Closing,
    /// Epoch of this domain's newest roster that the peer is known to have heard.
    pub roster_told: u64,
    /// Serial of the newest step of this domain's operator key that it has.
    pub key_told: u64,
    /// The same of its root key.
    pub root_told: u64,
    /// Serial and digest of the newest step of the peer's operator key.
    pub their_operator: Option<(u64, Hash)>,
    /// In what this domain has noted that both disagree.
    pub drift: Noted,
}

/// A document that both have signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub digest: Hash,
    /// How much of the peer's paper this domain accepts.
    pub caps: Vec<ExposureCap>,
    /// Above how much of an asset of either side a decision needs a majority of its origin's voters.
    pub majorities: Vec<(AssetId, u64)>,
    /// Whether one of the two stands under the other one, and within which limits.
    pub charter: Option<Charter>,
    /// Envelope of it by this domain.
    pub ours: Bytes,
    /// Envelope of it by the peer.
    pub theirs: Bytes,
    /// The peer proposed it and has not yet acknowledged our signature.
    pub untold: bool,
}

/// A document that one side has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// Its version.
    pub version: u64,
    /// Its digest.
    pub digest: Hash,
    /// Whether this domain signed it.
    pub by_us: bool,
    /// Of the newest notice of whoever signed, then: what it said before ends with the new version, what it says after
    /// stands.
    pub serial: u64,
    /// Envelope of it by whoever signed.
    pub document: Bytes,
    /// Envelope of the peer's invitation, if this domain uses one.
    pub invitation: Bytes,
    /// Of ours: what the peer's ledger answered; `None` while that is owed.
    pub answer: Option<Outcome>,
}

/// What one side does under a treaty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Of its newest notice; 0 before the first.
    pub serial: u64,
    /// What it does.
    pub standing: TreatyStanding,
    /// The proposed document that the notice denies.
    pub denies: Option<Hash>,
    /// Why.
    pub reason: Option<Reason>,
    /// Envelope of the newest notice.
    pub notice: Bytes,
    /// Ours: the peer has not acknowledged it yet.
    pub untold: bool,
}

impl Word {
    pub(super) const fn first() -> Word {
        let standing = TreatyStanding::Active;
        Word { serial: 0, standing, denies: None, reason: None, notice: Bytes::new(), untold: false }
    }

    /// A denial that the peer has not acknowledged: the next notice repeats it, so that it is never lost.
    pub fn untold_denial(&self) -> Option<Hash> {
        self.denies.filter(|_| self.untold)
    }

    /// A new version begins for whoever has said nothing since it signed.
    pub(super) fn renew(&mut self, signed_at: Option<u64>) {
        if signed_at == Some(self.serial) {
            *self = Word { serial: self.serial, ..Word::first() };
        }
    }
}

/// The newest word about a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licensed {
    /// What it says.
    pub licence: Licence,
    /// As it was signed.
    pub envelope: Bytes,
    /// Ours: the peer has not acknowledged it yet.
    pub untold: bool,
}

/// An invitation that this domain gave out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// How much of the invited domain's own first asset is accepted, minor units.
    pub cap: u64,
    /// Until then; ledger time, ms.
    pub ends_at_ms: u64,
    /// Nobody but this domain, if named.
    pub invitee: Option<DomainId>,
    /// Above how much of that asset a decision needs a majority.
    pub majority_above: Option<u64>,
    /// Who used it, for which document.
    pub used_by: Option<(DomainId, Hash)>,
}

/// The state of a treaty as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TreatyState {
    /// The peer has signed; our operator has not.
    Pending,
    /// We have signed; the peer has not.
    OneWay,
    /// Both have signed and take part.
    Mutual,
    /// One side has suspended it, or the peer contradicted itself.
    Suspended,
    /// One side drains it; transfers are open, or the closing statements are not compared yet, or differ.
    Draining,
    /// Drained: paper only goes back to its issuer.
    RedeemOnly,
    /// The time for that is over.
    Closed,
    /// One side is out, or nothing was ever agreed on.
    Revoked,
}

impl TreatyState {
    /// Every state.
    pub const ALL: [TreatyState; 8] = [
        TreatyState::Pending,
        TreatyState::OneWay,
        TreatyState::Mutual,
        TreatyState::Suspended,
        TreatyState::Draining,
        TreatyState::RedeemOnly,
        TreatyState::Closed,
        TreatyState::Revoked,
    ];

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            TreatyState::Pending => "pending",
            TreatyState::OneWay => "one-way",
            TreatyState::Mutual => "mutual",
            TreatyState::Suspended => "suspended",
            TreatyState::Draining => "draining",
            TreatyState::RedeemOnly => "redeem-only",
            TreatyState::Closed => "closed",
            TreatyState::Revoked => "revoked",
        }
    }
}

impl Treaty {
    /// Nothing is signed yet.
    pub(crate) fn unsigned(peer: DomainId, peer_key: PublicKey, nickname: Nickname, roster_told: u64) -> Treaty {
        Treaty {
            peer,
            peer_key,
            root: RootKeys::first(peer_key),
            nickname,
            endpoints: Vec::new(),
            agreed: None,
            proposed: None,
            ours: Word::first(),
            theirs: Word::first(),
            granted: None,
            held: None,
            drained_ms: None,
            closing: Closing { ours: None, theirs: None, fits: None, is_over: false },
            // Whatever is signed with the peer later carries this roster or a newer one.
            roster_told,
            key_told: 0,
            root_told: 0,
            their_operator: None,
            drift: Noted::nothing(),
        }
    }

    /// Before anything is agreed on, what is signed with the newest root key shows which ones counted before it.
    pub(super) fn learn_root(&mut self, signer: &Signer) {
        if self.agreed.is_none() && signer.number() > self.root.number() {
            self.root = RootKeys::of(signer);
        }
    }

    /// Whether both sides have signed it, and neither has ended it.
    pub fn is_bound(&self) -> bool {
        self.agreed.is_some() && self.standing() != TreatyStanding::Revoked
    }

    /// Digest and version of the document in force.
    pub fn before(&self) -> Option<(Hash, u64)> {
        self.agreed.as_ref().map(|agreed| (agreed.digest, agreed.version))
    }

    /// How much of the peer's paper this domain accepts.
    pub fn caps(&self) -> &[ExposureCap] {
        self.agreed.as_ref().map_or(&[], |agreed| &agreed.caps)
    }

    /// Whether anything was agreed on, is proposed, or must still be said: else the other domain is a stranger again.
    pub const fn concerns(&self) -> bool {
        self.agreed.is_some() || self.proposed.is_some() || self.ours.untold
    }

    /// What both sides together do: the stricter of the two.
    pub fn standing(&self) -> TreatyStanding {
        self.ours.standing.max(self.theirs.standing)
    }

    /// Whether this is the next version of what is in force.
    pub(super) fn follows(&self, document: &TreatyDocument) -> bool {
        match self.before() {
            None => document.version == 1,
            Some((digest, version)) => document.previous == digest && version.checked_add(1) == Some(document.version),
        }
    }

    fn redeems(&self, now_ms: u64) -> bool {
        self.drained_ms.is_some_and(|at| now_ms <= at.saturating_add(REDEMPTION_MS))
    }
}

impl Ledger {
    /// The state of the treaty with a domain; `None` without any.
    pub fn treaty_state(&self, peer: &DomainId) -> Option<TreatyState> {
        let treaty = self.head.treaties.get(peer)?;
        let revoked = treaty.standing() == TreatyStanding::Revoked;
        // What the peer's ledger refused asks nobody any more.
        let asks = |proposed: &&Proposed| proposed.answer.is_none_or(Outcome::is_success);
        if let Some(proposed) = treaty.proposed.as_ref().filter(asks).filter(|_| revoked || treaty.agreed.is_none()) {
            return Some(if proposed.by_us { TreatyState::OneWay } else { TreatyState::Pending });
        }
        if treaty.agreed.is_none() {
            return Some(TreatyState::Revoked);
        }
        Some(match treaty.standing() {
            TreatyStanding::Active if self.contradicted(peer) => TreatyState::Suspended,
            TreatyStanding::Active => TreatyState::Mutual,
            TreatyStanding::Suspended => TreatyState::Suspended,
            TreatyStanding::Draining if treaty.redeems(self.head.stamp_ms) => TreatyState::RedeemOnly,
            TreatyStanding::Draining if treaty.drained_ms.is_some() => TreatyState::Closed,
            TreatyStanding::Draining => TreatyState::Draining,
            TreatyStanding::Revoked => TreatyState::Revoked,
        })
    }

    /// Whether a new transfer between us and this domain may begin, or be voted yes on. `back`: it brings paper to its
    /// issuer, which goes on after a drain.
    pub fn may_trade(&self, peer: &DomainId, back: bool) -> Result<(), Outcome> {
        // A card may have come from anywhere; money goes only where a treaty of our own leads.
        let treaty = self.head.treaties.get(peer).ok_or(Outcome::NoTreatyPath)?;
        let treaty = Some(treaty).filter(|treaty| treaty.agreed.is_some()).ok_or(Outcome::PeerNotTrusted)?;
        let suspended = [&treaty.ours, &treaty.theirs].iter().any(|word| word.standing == TreatyStanding::Suspended);
        if planted(Plant::PeerUnheeded) && treaty.ours.standing == TreatyStanding::Active {
            return Ok(());
        }
        match treaty.standing() {
            TreatyStanding::Revoked => Err(Outcome::TreatyRevoked),
            _ if suspended || self.contradicted(peer) => Err(Outcome::TreatySuspended),
            TreatyStanding::Draining if !(back && treaty.redeems(self.head.stamp_ms)) => Err(Outcome::TreatyDraining),
            _ => Ok(()),
        }
    }

    /// The same for a transfer: what an escrow or a referrer was promised before a drain is still paid during it and
    /// after it, or an escrow would keep for ever what its payee has earned; only while both sides compare their closing
    /// statements it waits, too.
    pub(crate) fn may_transfer(&self, peer: &DomainId, source: &Source, back: bool) -> Result<(), Outcome> {
        match self.may_trade(peer, back) {
            Err(Outcome::TreatyDraining) if source.is_owed() && !self.is_closing(peer) => Ok(()),
            answer => answer,
        }
    }

    /// Rule 7 of settlement: whoever signed two decisions for one transfer is suspended by that proof.
    fn contradicted(&self, peer: &DomainId) -> bool {
        self.settlement.peers.get(peer).is_some_and(|state| state.equivocation.is_some())
    }

    /// The two signed batches in which a peer contradicted itself, while that suspends its treaty.
    pub fn equivocation(&self, peer: &DomainId) -> Option<Equivocation> {
        self.settlement.peers.get(peer)?.equivocation
    }

    /// One treaty, as this side sees it.
    pub fn treaty(&self, peer: &DomainId) -> Option<&Treaty> {
        self.head.treaties.get(peer)
    }

    /// All treaties, by peer.
    pub fn treaties(&self) -> impl Iterator<Item = &Treaty> {
        self.head.treaties.values()
    }

    /// Invitations that are remembered, by the digest of their secret.
    pub fn invitations(&self) -> impl Iterator<Item = (&Hash, &Invited)> {
        self.head.invitations.iter()
    }
}
