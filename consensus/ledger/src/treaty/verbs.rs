//! What the operator asks about treaties.

use super::closing::Closing;
use super::record::{Agreed, Invited, Proposed, Treaty, Word};
use crate::{
    apply::{Answer, Out},
    event::EventKind,
    outcome::Outcome,
    settlement::check::open_roster,
    state::{Domain, Ledger},
};
use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed, Verified},
    ids::{DomainId, Hash},
    limits as l,
    reject::Reject,
    treaty::{Invitation, TreatyDocument, TreatyNotice, TreatyParty, TreatyStanding},
};

/// A document of ours: who the peer is, and both parts.
pub(super) struct Sides<'a> {
    pub(super) peer: DomainId,
    pub(super) mine: &'a TreatyParty,
    pub(super) theirs: &'a TreatyParty,
}

/// Opens what must be a signed document of its kind.
pub(super) fn open<T: Signed>(envelope: &Bytes) -> Result<Verified<T>, Outcome> {
    T::open(envelope).map_err(|reject| match reject {
        Reject::BadSignature | Reject::WrongSigner => Outcome::BadSignature,
        _ => Outcome::Malformed,
    })
}

/// The two parts of a document, of which this domain must be one.
pub(super) fn sides<'a>(domain: &Domain, document: &'a TreatyDocument) -> Result<Sides<'a>, Outcome> {
    let (mine, theirs) = document.sides(&domain.id).ok_or(Outcome::WrongDomain)?;
    Ok(Sides { peer: theirs.domain(), mine, theirs })
}

impl Ledger {
    pub(super) fn own_domain(&self) -> Result<&Domain, Outcome> {
        self.head.domain.as_ref().ok_or(Outcome::NotInitialized)
    }

    /// One domain may propose a treaty with the secret of this invitation, once.
    pub(crate) fn invite_peer(&mut self, secret: Hash, invited: Invited, out: &mut Out) -> Answer {
        let now_ms = self.head.stamp_ms;
        if invited.invitee.is_some_and(|invitee| self.is_home(&invitee)) {
            return Err(Outcome::SelfDealing);
        }
        if invited.ends_at_ms <= now_ms {
            return Err(Outcome::DeadlineInPast);
        }
        if let Some(known) = self.head.invitations.get(&secret) {
            let same = Invited { used_by: None, ..known.clone() } == invited;
            return if same { Ok(Outcome::Exists) } else { Err(Outcome::ExistsWithDifferentContent) };
        }
        self.head.invitations.retain(|_, known| known.ends_at_ms.saturating_add(l::INVITATION_KEPT_MS) >= now_ms);
        let too_far = invited.ends_at_ms > now_ms.saturating_add(l::INVITATION_VALID_MAX_MS);
        if too_far || self.head.invitations.len() >= l::INVITATIONS_MAX {
            return Err(Outcome::LimitExceededTreaties);
        }
        let ends_at_ms = invited.ends_at_ms;
        self.head.invitations.insert(secret, invited);
        self.emit(out, EventKind::PeerInvited { secret, ends_at_ms }, Vec::new());
        Ok(Outcome::Created)
    }

    /// This domain signs first: with an invitation, or the next version of a treaty that stands.
    pub(crate) fn propose_treaty(&mut self, envelope: Bytes, invitation: Bytes, out: &mut Out) -> Answer {
        let document = open::<TreatyDocument>(&envelope)?;
        let domain = self.own_domain()?;
        self.judge_root(&domain.id, document.signer())?;
        let Sides { peer, mine, theirs } = sides(domain, document.get())?;
        let mut treaty = self.treaty_or_new(peer, theirs)?;
        let digest = document.get().digest();
        // What the peer refused is proposed anew, with the same invitation or with another.
        let same = |known: &Proposed| known.by_us && known.digest == digest && known.invitation == invitation;
        if treaty.proposed.as_ref().is_some_and(|known| same(known) && known.answer.is_none_or(Outcome::is_success)) {
            return Ok(Outcome::Exists);
        }
        // First an answer to what the peer proposed.
        if treaty.proposed.as_ref().is_some_and(|known| !known.by_us) {
            return Err(Outcome::WrongState);
        }
        if invitation.is_empty() {
            treaty.agreed.as_ref().ok_or(Outcome::UnknownTreaty)?;
            if treaty.standing() != TreatyStanding::Active {
                return Err(Outcome::WrongState);
            }
        } else {
            let invited = open::<Invitation>(&invitation)?;
            check_invitation(&invited, domain, theirs)?;
            treaty.endpoints = invited.get().doors.iter().map(|door| door.address.clone()).collect();
        }
        if !treaty.follows(document.get()) {
            return Err(Outcome::TreatyVersion);
        }
        self.check_policy(mine)?;
        self.check_charter(document.get(), &peer, mine)?;
        let version = document.get().version;
        treaty.nickname = theirs.nickname.clone();
        let (serial, document) = (treaty.ours.serial, envelope);
        treaty.proposed = Some(Proposed { version, digest, by_us: true, serial, document, invitation, answer: None });
        self.head.treaties.insert(peer, treaty);
        self.emit(out, EventKind::TreatyProposed { peer, version, digest, by_us: true }, Vec::new());
        Ok(Outcome::Created)
    }

    /// This domain signs what the peer has signed. What was proposed is approved as it was proposed, or not at all.
    pub(crate) fn approve_treaty(&mut self, ours: Bytes, theirs: Bytes, roster: &Bytes, out: &mut Out) -> Answer {
        let (mine, countersigned) = (open::<TreatyDocument>(&ours)?, open::<TreatyDocument>(&theirs)?);
        let domain = self.own_domain()?;
        let document = mine.get();
        let parts = sides(domain, document)?;
        if *countersigned.first_key() != parts.theirs.key {
            return Err(Outcome::BadSignature);
        }
        self.judge_root(&domain.id, mine.signer())?;
        let (peer, digest) = (parts.peer, document.digest());
        let mut treaty = self.treaty_or_new(peer, parts.theirs)?;
        if treaty.before().is_some_and(|(known, _)| known == digest) {
            return Ok(Outcome::Exists);
        }
        let asked = treaty.proposed.as_ref().filter(|proposed| !proposed.by_us);
        let other = asked.is_some_and(|proposed| proposed.digest != digest);
        if other || mine.payload_bytes() != countersigned.payload_bytes() {
            return Err(Outcome::TermsChanged);
        }
        if !treaty.follows(document) {
            return Err(Outcome::TreatyVersion);
        }
        self.check_policy(parts.mine)?;
        // What was proposed here was judged when it came.
        if asked.is_none_or(|proposed| proposed.document != theirs) {
            self.judge_root(&peer, countersigned.signer())?;
        }
        self.check_charter(document, &peer, parts.mine)?;
        let (untold, their_serial) = (asked.is_some(), asked.map(|proposed| proposed.serial));
        if !(untold && roster.is_empty()) {
            let roster = open_roster(roster, &peer).ok_or(Outcome::BadSignature)?;
            self.adopt_roster(roster.get(), Some(roster.signer()))?;
        }
        treaty.learn_root(countersigned.signer());
        self.head.treaties.insert(peer, treaty);
        self.agree(peer, document, (ours, theirs), untold, out);
        if let Some(treaty) = self.head.treaties.get_mut(&peer) {
            treaty.ours.renew(Some(treaty.ours.serial));
            treaty.theirs.renew(their_serial);
        }
        Ok(Outcome::Applied)
    }

    /// Both have signed: from here on this document is in force.
    pub(super) fn agree(
        &mut self,
        peer: DomainId,
        document: &TreatyDocument,
        (ours, theirs): (Bytes, Bytes),
        untold: bool,
        out: &mut Out,
    ) {
        let (version, digest) = (document.version, document.digest());
        let Some(own) = &self.head.domain else { return };
        let (home, heard) = (own.id, own.root_heard_with_document());
        let (Some((mine, other)), Some(treaty)) = (document.sides(&home), self.head.treaties.get_mut(&peer)) else {
            return;
        };
        treaty.nickname = other.nickname.clone();
        if treaty.agreed.is_none() {
            treaty.root_told = treaty.root_told.max(heard);
        }
        let majorities = [mine, other].into_iter().flat_map(|part| &part.caps);
        let majorities = majorities.filter_map(|cap| Some((cap.asset, cap.majority_above?))).collect();
        let (caps, charter) = (mine.caps.clone(), document.charter.clone());
        treaty.agreed = Some(Agreed { version, digest, caps, majorities, charter, ours, theirs, untold });
        treaty.proposed = treaty.proposed.take().filter(|proposed| proposed.version > version);
        (treaty.drained_ms, treaty.closing) = (None, Closing::default());
        self.emit(out, EventKind::TreatyAgreed { peer, version, digest }, Vec::new());
    }

    /// Denies, suspends, resumes, drains or revokes.
    pub(crate) fn change_treaty(&mut self, envelope: Bytes, out: &mut Out) -> Answer {
        let notice = open::<TreatyNotice>(&envelope)?;
        let domain = self.own_domain()?;
        self.judge_root(&domain.id, notice.signer())?;
        let said = notice.get().clone();
        let contradicted = self.settlement.peers.get(&said.to).is_some_and(|state| state.equivocation.is_some());
        let treaty = self.head.treaties.get_mut(&said.to).ok_or(Outcome::UnknownTreaty)?;
        if said.serial <= treaty.ours.serial {
            return Err(Outcome::TreatyVersion);
        }
        let asked = treaty.proposed.as_ref().filter(|proposed| !proposed.by_us);
        match (said.denies, asked) {
            (Some(digest), Some(asked)) if asked.digest != digest => return Err(Outcome::TermsChanged),
            (denies, None) if denies != treaty.ours.untold_denial() => return Err(Outcome::WrongState),
            _ => {}
        }
        let goes_on = asked.is_some() && said.denies.is_some() && said.standing == treaty.ours.standing;
        if !goes_on && !may_follow(treaty, said.standing, contradicted) {
            return Err(Outcome::WrongState);
        }
        // Whoever leaves takes back what it proposed; what the peer proposed is denied by name, or still waits.
        let gone = |proposed: &Proposed| match proposed.by_us {
            true => said.standing == TreatyStanding::Revoked,
            false => said.denies.is_some(),
        };
        treaty.proposed = treaty.proposed.take().filter(|proposed| !gone(proposed));
        let TreatyNotice { serial, standing, denies, reason, .. } = said.clone();
        treaty.ours = Word { serial, standing, denies, reason: Some(reason), notice: envelope, untold: true };
        if standing == TreatyStanding::Active
            && said.denies.is_none()
            && let Some(state) = self.settlement.peers.get_mut(&said.to)
        {
            state.equivocation = None;
        }
        self.told_of_change(true, said.to, said, out);
        Ok(Outcome::Applied)
    }

    pub(super) fn told_of_change(&mut self, by_us: bool, peer: DomainId, said: TreatyNotice, out: &mut Out) {
        let TreatyNotice { serial, standing, denies, reason, .. } = said;
        let kind = EventKind::TreatyChanged { peer, by_us, serial, standing, denies: denies.map(Box::new), reason };
        self.emit(out, kind, Vec::new());
    }

    /// The record with a domain, or one that could be added now.
    pub(super) fn treaty_or_new(&self, peer: DomainId, party: &TreatyParty) -> Result<Treaty, Outcome> {
        match self.head.treaties.get(&peer) {
            Some(known) => Ok(known.clone()),
            None if self.head.treaties.len() >= l::TREATIES_MAX => Err(Outcome::LimitExceededTreaties),
            None => {
                let epoch = self.head.domain.as_ref().map_or(0, |domain| domain.roster_epoch);
                Ok(Treaty::unsigned(peer, party.key, party.nickname.clone(), epoch))
            }
        }
    }

    /// Our part names a policy of ours that is in force or announced.
    fn check_policy(&self, mine: &TreatyParty) -> Result<(), Outcome> {
        let known = self.head.policies.iter().any(|(_, policy)| policy.digest() == mine.policy);
        if known { Ok(()) } else { Err(Outcome::PolicyChanged) }
    }
}

/// What our operator may do next: a drain only ends in a revocation, a revocation only by a new document.
fn may_follow(treaty: &Treaty, next: TreatyStanding, contradicted: bool) -> bool {
    use TreatyStanding::{Active, Draining, Revoked, Suspended};
    match (treaty.ours.standing, next) {
        (_, Active | Suspended | Draining) if treaty.agreed.is_none() => false,
        (Active, Active) => contradicted,
        (Suspended, Active) | (Active, Suspended) | (Active | Suspended, Draining) => true,
        (Active | Suspended | Draining, Revoked) => true,
        _ => false,
    }
}

/// The document says of the inviting domain what its invitation says, and this domain is the one that may use it.
fn check_invitation(invited: &Verified<Invitation>, domain: &Domain, theirs: &TreatyParty) -> Result<(), Outcome> {
    let said = invited.get();
    let for_us = said.invitee.is_none_or(|invitee| invitee == domain.id);
    if *invited.first_key() != theirs.key || !for_us {
        return Err(Outcome::InvitationForAnother);
    }
    let same = theirs.nickname == said.nickname
        && theirs.policy == said.policy
        && theirs.caps.len() == 1
        && theirs.caps.iter().all(|cap| cap.cap == said.cap && cap.majority_above == said.majority_above);
    if same { Ok(()) } else { Err(Outcome::TermsChanged) }
}
