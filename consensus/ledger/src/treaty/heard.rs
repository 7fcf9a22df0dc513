//! What another domain says about a treaty, and its receipts for what was said to it.

use super::{
    record::{Invited, Proposed, Word},
    verbs::{Sides, sides},
};
use crate::{
    apply::{Answer, Out},
    event::EventKind,
    keys::CheckedStep,
    outcome::Outcome,
    state::Ledger,
};
use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::Roster,
    ids::{DomainId, Hash},
    licence::Licence,
    reject::Reject,
    relay::Receipt,
    text::Endpoint,
    treaty::{ExposureCap, Invitation, TreatyDocument, TreatyNotice, TreatyPush, TreatyStanding},
};

/// A push whose signatures were checked. Private inside: [`CheckedPush::open`] is its only source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedPush(pub(super) Said);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Proposal { document: Box<Verified<TreatyDocument>>, invitation: Option<Box<Verified<Invitation>>>, about: About },
    Approval { document: Box<Verified<TreatyDocument>>, countersigned: Box<Verified<TreatyDocument>>, about: About },
    Notice(Verified<TreatyNotice>),
    Licence(Box<Verified<Licence>>),
    Roster(Box<Verified<Roster>>),
    Key(Box<CheckedStep>),
}

/// What a sender tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    roster: Verified<Roster>,
    endpoints: Vec<Endpoint>,
}

impl CheckedPush {
    /// Opens what is signed in a push. Whether the other signer of an approval is this domain is judged with state.
    pub fn open(bytes: &Bytes) -> Result<CheckedPush, Reject> {
        Ok(CheckedPush(match TreatyPush::decode(bytes)? {
            TreatyPush::Proposal { document, invitation, roster, endpoints } => {
                let document = Box::new(TreatyDocument::open(&document)?);
                let invitation =
                    if invitation.is_empty() { None } else { Some(Box::new(Invitation::open(&invitation)?)) };
                let about = About { roster: roster_of(&document, &roster)?, endpoints };
                Said::Proposal { document, invitation, about }
            }
            TreatyPush::Approval { document, countersigned, roster, endpoints } => {
                let document = Box::new(TreatyDocument::open(&document)?);
                let countersigned = Box::new(TreatyDocument::open(&countersigned)?);
                if document.payload_bytes() != countersigned.payload_bytes()
                    || document.first_key() == countersigned.first_key()
                {
                    return Err(Reject::WrongSigner);
                }
                let about = About { roster: roster_of(&document, &roster)?, endpoints };
                Said::Approval { document, countersigned, about }
            }
            TreatyPush::Notice(notice) => Said::Notice(TreatyNotice::open(&notice)?),
            TreatyPush::Licence(licence) => Said::Licence(Box::new(Licence::open(&licence)?)),
            TreatyPush::Roster(roster) => Said::Roster(Box::new(Roster::open(&roster)?)),
            TreatyPush::Key(step) => {
                let step = CheckedStep::open(&step)?;
                // A node's keys are told by the roster, which the root key signs.
                if step.step.get().place.is_some() && !step.step.get().is_of_root() {
                    return Err(Reject::WrongKind { field: "place" });
                }
                Said::Key(Box::new(step))
            }
        }))
    }

    /// Who says it.
    pub fn from(&self) -> DomainId {
        match &self.0 {
            Said::Proposal { document, .. } | Said::Approval { document, .. } => DomainId::of_key(document.first_key()),
            Said::Notice(notice) => notice.get().from,
            Said::Licence(licence) => licence.get().from,
            Said::Roster(roster) => roster.get().domain,
            Said::Key(step) => step.step.get().domain,
        }
    }
}

/// The sender's own roster: of the domain that signed the document.
fn roster_of(document: &Verified<TreatyDocument>, roster: &Bytes) -> Result<Verified<Roster>, Reject> {
    let roster = Roster::open(roster)?;
    if roster.first_key() == document.first_key() { Ok(roster) } else { Err(Reject::WrongSigner) }
}

impl Ledger {
    /// What [`Ledger::apply`] would answer to a push now. For a door that lets no stranger fill the log.
    pub fn judge_push(&self, push: &CheckedPush) -> Outcome {
        let mut copy = self.freeze();
        copy.take_push(push, &mut Out::default())
    }

    /// Takes what another domain says. A refusal changes nothing.
    pub(crate) fn take_push(&mut self, push: &CheckedPush, out: &mut Out) -> Outcome {
        let answer = match &push.0 {
            Said::Proposal { document, invitation, about } => {
                self.take_proposal(document, invitation.as_deref(), about, out)
            }
            Said::Approval { document, countersigned, about } => {
                self.take_approval(document, countersigned, about, out)
            }
            Said::Notice(notice) => self.take_notice(notice, out),
            Said::Licence(licence) => self.take_licence(licence, out),
            Said::Roster(roster) => self.take_roster(roster),
            Said::Key(step) => self.take_key(step, out),
        };
        answer.unwrap_or_else(|refusal| refusal)
    }

    fn take_proposal(
        &mut self,
        document: &Verified<TreatyDocument>,
        invitation: Option<&Verified<Invitation>>,
        about: &About,
        out: &mut Out,
    ) -> Answer {
        let said = document.get();
        let Sides { peer, mine, theirs } = sides(self.own_domain()?, said)?;
        if *document.first_key() != theirs.key {
            return Err(Outcome::BadSignature);
        }
        let (digest, version) = (said.digest(), said.version);
        let known = self.head.treaties.get(&peer);
        let agreed = known.and_then(|treaty| treaty.agreed.as_ref()).is_some_and(|agreed| agreed.digest == digest);
        if agreed || known.and_then(|known| known.proposed.as_ref()).is_some_and(|known| known.digest == digest) {
            return Ok(Outcome::Exists);
        }
        self.judge_root(&peer, document.signer())?;
        match invitation {
            Some(invitation) => {
                let invited = self.invitation(invitation, peer)?;
                let as_said =
                    |cap: &ExposureCap| cap.cap == invited.cap && cap.majority_above == invited.majority_above;
                let as_said = mine.caps.len() == 1 && mine.caps.iter().all(as_said);
                if !as_said {
                    return Err(Outcome::TermsChanged);
                }
            }
            // Without one only a treaty that stands goes on.
            None => {
                let treaty = known.filter(|treaty| treaty.agreed.is_some()).ok_or(Outcome::InvitationUnknown)?;
                match treaty.standing() {
                    TreatyStanding::Revoked => return Err(Outcome::TreatyRevoked),
                    TreatyStanding::Draining => return Err(Outcome::TreatyDraining),
                    TreatyStanding::Active | TreatyStanding::Suspended => {}
                }
            }
        }
        let mut treaty = self.treaty_or_new(peer, theirs)?;
        if !treaty.follows(said) {
            return Err(Outcome::TreatyVersion);
        }
        // Both propose at once: the lower digest goes on, on both sides.
        let ours = treaty.proposed.as_ref().filter(|ours| ours.by_us && ours.answer.is_none_or(Outcome::is_success));
        if ours.is_some_and(|ours| ours.digest < digest) {
            return Err(Outcome::TermsChanged);
        }
        self.adopt_roster(about.roster.get(), Some(about.roster.signer()))?;
        treaty.learn_root(document.signer());
        if let Some(invitation) = invitation
            && let Some(invited) = self.head.invitations.get_mut(&invitation.get().secret_hash())
        {
            invited.used_by = Some((peer, digest));
        }
        treaty.nickname = theirs.nickname.clone();
        treaty.endpoints = about.endpoints.clone();
        let (document, serial) = (document.envelope_bytes().clone(), treaty.theirs.serial);
        let (by_us, invitation, answer) = (false, Bytes::new(), None);
        treaty.proposed = Some(Proposed { version, digest, by_us, serial, document, invitation, answer });
        self.head.treaties.insert(peer, treaty);
        self.emit(out, EventKind::TreatyProposed { peer, version, digest, by_us }, Vec::new());
        Ok(Outcome::Created)
    }

    /// The invitation of ours that a peer brings: known, unused, in time, and for this peer.
    fn invitation(&self, brought: &Verified<Invitation>, peer: DomainId) -> Result<&Invited, Outcome> {
        let known = self.head.invitations.get(&brought.get().secret_hash());
        // Whichever root key signed it: the secret is what was given out.
        let own = self.head.domain.as_ref().map(|own| &own.key);
        let ours = known.filter(|_| own == Some(brought.first_key()));
        let invited = ours.ok_or(Outcome::InvitationUnknown)?;
        if invited.used_by.is_some() {
            return Err(Outcome::InvitationUsed);
        }
        if invited.ends_at_ms < self.head.stamp_ms {
            return Err(Outcome::InvitationExpired);
        }
        if invited.invitee.is_some_and(|invitee| invitee != peer) {
            return Err(Outcome::InvitationForAnother);
        }
        Ok(invited)
    }

    /// The peer has signed what we signed: our own signature is the proof that we wanted it.
    fn take_approval(
        &mut self,
        document: &Verified<TreatyDocument>,
        countersigned: &Verified<TreatyDocument>,
        about: &About,
        out: &mut Out,
    ) -> Answer {
        let said = document.get();
        let domain = self.own_domain()?;
        let Sides { peer, theirs, .. } = sides(domain, said)?;
        if *document.first_key() != theirs.key || *countersigned.first_key() != domain.key {
            return Err(Outcome::BadSignature);
        }
        let (by_root, ours_by_root) =
            (self.judge_root(&peer, document.signer()), self.judge_root(&domain.id, countersigned.signer()));
        let treaty = self.head.treaties.get(&peer).ok_or(Outcome::UnknownTreaty)?;
        if treaty.before() == Some((said.digest(), said.version)) {
            return Ok(Outcome::Exists);
        }
        if !treaty.follows(said) {
            return Err(Outcome::TreatyVersion);
        }
        by_root?;
        // What is still asked for here stands, though another root key acts by now.
        let asked = |proposed: &Proposed| proposed.by_us && proposed.document == *countersigned.envelope_bytes();
        if !treaty.proposed.as_ref().is_some_and(asked) {
            ours_by_root?;
        }
        self.adopt_roster(about.roster.get(), Some(about.roster.signer()))?;
        let treaty = self.head.treaties.get_mut(&peer).ok_or(Outcome::UnknownTreaty)?;
        treaty.learn_root(document.signer());
        treaty.endpoints = about.endpoints.clone();
        treaty.theirs.renew(Some(treaty.theirs.serial));
        let signed = treaty.proposed.as_ref().filter(|proposed| proposed.by_us && proposed.digest == said.digest());
        treaty.ours.renew(signed.map(|proposed| proposed.serial));
        let both = (countersigned.envelope_bytes().clone(), document.envelope_bytes().clone());
        self.agree(peer, said, both, false, out);
        Ok(Outcome::Applied)
    }

    /// Only forward in serial; after a drain nothing but the end, after the end nothing but a new document.
    fn take_notice(&mut self, notice: &Verified<TreatyNotice>, out: &mut Out) -> Answer {
        let said = notice.get().clone();
        if said.to != self.own_domain()?.id {
            return Err(Outcome::WrongDomain);
        }
        let peer = said.from;
        let by_root = self.judge_root(&peer, notice.signer());
        let treaty = self.head.treaties.get_mut(&peer).ok_or(Outcome::UnknownTreaty)?;
        if said.serial <= treaty.theirs.serial {
            let same = *notice.envelope_bytes() == treaty.theirs.notice;
            return if same { Ok(Outcome::Exists) } else { Err(Outcome::TreatyVersion) };
        }
        by_root?;
        let back = match treaty.theirs.standing {
            TreatyStanding::Active | TreatyStanding::Suspended => false,
            TreatyStanding::Draining | TreatyStanding::Revoked => said.standing < treaty.theirs.standing,
        };
        if back {
            return Err(Outcome::WrongState);
        }
        // As on its own side: it takes back what it proposed, and denies what it names.
        let gone = |proposed: &Proposed| match proposed.by_us {
            true => said.denies == Some(proposed.digest),
            false => said.standing == TreatyStanding::Revoked,
        };
        treaty.proposed = treaty.proposed.take().filter(|proposed| !gone(proposed));
        let TreatyNotice { serial, standing, denies, reason, .. } = said.clone();
        let (notice, untold) = (notice.envelope_bytes().clone(), false);
        treaty.theirs = Word { serial, standing, denies, reason: Some(reason), notice, untold };
        self.told_of_change(false, peer, said, out);
        Ok(Outcome::Applied)
    }

    /// The peer's nodes sign with these keys from here on.
    fn take_roster(&mut self, signed: &Verified<Roster>) -> Answer {
        let roster = signed.get();
        if self.head.treaties.get(&roster.domain).is_none_or(|treaty| treaty.agreed.is_none()) {
            return Err(Outcome::UnknownTreaty);
        }
        match self.settlement.peers.get(&roster.domain) {
            Some(peer) if roster.epoch < peer.roster_epoch => return Err(Outcome::TooOld),
            Some(peer) if roster.epoch == peer.roster_epoch => {
                let same = (&roster.voters, &roster.seats) == (&peer.voters, &peer.seats);
                return if same { Ok(Outcome::Exists) } else { Err(Outcome::ExistsWithDifferentContent) };
            }
            _ => {}
        }
        self.adopt_roster(roster, Some(signed.signer()))?;
        Ok(Outcome::Applied)
    }

    /// The peer's ledger has answered what we said: it is not owed any more. A refusal that may heal leaves it owed.
    pub(crate) fn take_receipt(&mut self, receipt: &Verified<Receipt>, out: &mut Out) -> Answer {
        let said = receipt.get();
        let (peer, subject) = (said.domain, said.batch);
        let roster = Roster::open(&said.roster).map_err(|_| Outcome::BadSignature)?;
        if !self.speaks_for(said.incarnation, &roster, receipt.key()) {
            return Err(Outcome::NotAVoter);
        }
        let answer = said.outcomes.first().and_then(|code| Outcome::from_code(*code)).ok_or(Outcome::Malformed)?;
        if answer.retry_can_succeed() {
            return Err(Outcome::TooEarly);
        }
        let treaty = self.head.treaties.get_mut(&peer).ok_or(Outcome::UnknownTreaty)?;
        let mut news = false;
        if let Some(proposed) = treaty.proposed.as_mut().filter(|proposed| proposed.by_us && proposed.answer.is_none())
            && Hash::of(&proposed.document) == subject
        {
            (proposed.answer, news) = (Some(answer), true);
        }
        if let Some(agreed) = treaty.agreed.as_mut().filter(|agreed| agreed.untold)
            && Hash::of(&agreed.ours) == subject
        {
            (agreed.untold, news) = (false, true);
        }
        if treaty.ours.untold && Hash::of(&treaty.ours.notice) == subject {
            (treaty.ours.untold, news) = (false, true);
        }
        if let Some(granted) = treaty.granted.as_mut().filter(|granted| granted.untold)
            && Hash::of(&granted.envelope) == subject
        {
            (granted.untold, news) = (false, true);
        }
        if let Some(own) = &self.head.domain {
            if treaty.roster_told < own.roster_epoch && Hash::of(&own.roster) == subject {
                (treaty.roster_told, news) = (own.roster_epoch, true);
            }
            if treaty.key_told < own.operator.serial && Hash::of(&own.operator.word) == subject {
                (treaty.key_told, news) = (own.operator.serial, true);
            }
            if let Some(serial) =
                own.root_owed_to(treaty).find(|word| Hash::of(&word.word) == subject).map(|word| word.serial)
            {
                (treaty.root_told, news) = (serial, true);
            }
        }
        if !news {
            return Ok(Outcome::Exists);
        }
        self.emit(out, EventKind::TreatyTold { peer, subject, outcome: answer.code() }, Vec::new());
        Ok(Outcome::Applied)
    }
}
