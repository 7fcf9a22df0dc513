//! Two participants: an agent of B pays an agent of C in money that A issues.
//!
//! ```text
//! B, origin                   A, issuer                          C, recipient's domain
//! begin  -- Prepare --------> vote   peer/B -> held
//!        -- Prepare --------------------------------------------> vote   pending credit, exposure to A
//!        <- Vote ----------------------------------------------- (of both)
//! commit    in_flight -> issuance (burned)
//!        -- Decision -------> finish held -> peer/C
//!        -- Decision --------------------------------------------> waits: unbacked
//!                                    -- Backing -----------------> finish issuance -> recipient, treasury
//!        <- Acknowledge ----- (at once)                          -- Acknowledge, BackingAnswer -->
//! close
//! ```
//! C mints against two words: B's commit and A's backing. So an origin that lies to one of them strands its own unit at A
//! and nothing else, whatever it says: `consensus/ledger/tests/model/across_model.py` walks through every order of it.

use super::{
    Effects,
    check::CheckedBatch,
    owed::OwedMessage,
    record::{Incoming, IncomingKey, IncomingState, Outgoing},
};
use crate::{outcome::Outcome, state::Ledger};
use comity_proto::{
    ids::{DomainId, Hash, TransferId},
    settlement::{Backing, BackingAnswer, Prepare, Source},
};
use serde::{Deserialize, Serialize};

/// What the two participants of one transfer have said to its origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Across {
    /// The issuer, which moves reserve.
    pub issuer: Said,
    /// The recipient's domain, which mints.
    pub recipient: Said,
    /// Why one of them voted no, as an outcome code.
    pub no: Option<u16>,
}

/// What one of two participants has said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// A yes: its fee, and the digest of the signed batch that carried it.
    pub yes: Option<(u64, Hash)>,
    /// It has voted no or has posted the decision: nothing is owed to it.
    pub done: bool,
    /// The record lies behind the watermark of this participant.
    pub forgotten: bool,
}

impl Across {
    /// What one of the two has said.
    #[must_use]
    pub const fn of(&self, issuer: bool) -> &Said {
        if issuer { &self.issuer } else { &self.recipient }
    }

    pub(crate) const fn of_mut(&mut self, issuer: bool) -> &mut Said {
        if issuer { &mut self.issuer } else { &mut self.recipient }
    }

    /// Whether this is so of both.
    #[must_use]
    pub fn both(&self, is: impl Fn(&Said) -> bool) -> bool {
        is(&self.issuer) && is(&self.recipient)
    }
}

impl Outgoing {
    /// What a participant has said, if there are two of them.
    #[must_use]
    pub fn said(&self, peer: &DomainId) -> Option<&Said> {
        self.across.as_ref().map(|across| across.of(*peer == self.prepare.asset.issuer))
    }

    /// The participants to which something is owed, or from which a vote is awaited.
    pub fn unanswered(&self) -> impl Iterator<Item = DomainId> {
        self.prepare.participants().filter(|peer| self.said(peer).is_none_or(|said| !said.done))
    }
}

/// Names one transfer among those of all origins, where only an id of a transfer fits.
#[must_use]
pub fn backing_id(origin: &DomainId, transfer: &TransferId) -> TransferId {
    TransferId(Hash::of_parts("comity/v1/id/backing", &[origin.as_bytes(), transfer.as_bytes()]).first_16())
}

/// What the issuer owes to the recipient's domain of a record, while it owes it.
pub(super) fn backing_of(key: &IncomingKey, record: &Incoming) -> Option<Backing> {
    let amount = record.prepare.as_ref().filter(|_| record.state == IncomingState::Backing)?.amount;
    let (origin, transfer) = *key;
    Some(Backing { origin, transfer, content: record.content, amount, decide_by_ms: record.decide_by_ms })
}

impl Ledger {
    /// Whether this domain mints for a transfer only once its issuer has said that reserve stands behind it.
    pub(super) fn waits_for_backing(&self, prepare: &Prepare) -> bool {
        prepare.is_across() && !self.is_home(&prepare.asset.issuer)
    }

    /// Of a transfer across, the third domain: neither this one nor the origin.
    pub(super) fn third_of(&self, prepare: &Prepare) -> Option<DomainId> {
        let other = if self.is_home(&prepare.asset.issuer) { prepare.recipient.domain } else { prepare.asset.issuer };
        prepare.is_across().then_some(other)
    }

    /// A new transfer across needs a treaty between each two of the three: this is ours with the third.
    pub(super) fn may_transfer_with_third(&self, third: &DomainId, source: &Source, back: bool) -> Result<(), Outcome> {
        self.may_transfer(third, source, back).map_err(|refusal| match refusal {
            Outcome::PeerNotTrusted => Outcome::NoTreatyPath,
            other => other,
        })
    }

    /// The issuer says that reserve has moved behind us. It counts once the origin's commit is here too.
    pub(super) fn on_backing(&mut self, batch: &CheckedBatch, backing: &Backing, effects: &mut Effects) -> Outcome {
        let (issuer, key) = (batch.get().from, (backing.origin, backing.transfer));
        let Some(record) = self.settlement.incoming.get(&key).cloned() else {
            let watermark = self.settlement.peers.get(&key.0).map_or(0, |state| state.incoming_watermark_ms);
            let old = backing.decide_by_ms <= watermark;
            return answer(&key, issuer, if old { Outcome::TooOld } else { Outcome::UnknownTransfer }, effects);
        };
        let Some(prepare) = record.prepare.as_ref() else {
            effects.keep(batch);
            return answer(&key, issuer, Outcome::WrongState, effects);
        };
        if prepare.asset.issuer != issuer || !self.waits_for_backing(prepare) {
            return answer(&key, issuer, Outcome::NotAuthorised, effects);
        }
        if record.content != backing.content || prepare.amount != backing.amount {
            effects.keep(batch);
            return answer(&key, issuer, Outcome::ExistsWithDifferentContent, effects);
        }
        match record.state {
            IncomingState::Voted { .. } if record.backing.is_some() => Outcome::Exists,
            // No answer yet: the issuer goes on saying it until we have minted.
            IncomingState::Voted { .. } => {
                effects.keep(batch);
                self.settlement.put_incoming(key, Incoming { backing: Some(batch.digest()), ..record });
                Outcome::Applied
            }
            IncomingState::Unbacked { fee } => {
                effects.keep(batch);
                let record = Incoming { backing: Some(batch.digest()), ..record };
                self.finish(&key, record, fee, true, effects);
                Outcome::Applied
            }
            IncomingState::Finished { commit: true, .. } => {
                effects.owe(issuer, minted(&key, None));
                Outcome::Exists
            }
            // Its origin told us another end than the issuer: what it burned stays with the issuer, for people to see.
            IncomingState::Finished { .. } | IncomingState::Refused { .. } | IncomingState::Backing => {
                effects.keep(batch);
                answer(&key, issuer, Outcome::WrongState, effects)
            }
        }
    }

    /// The recipient's domain has minted, or says why it has not. Where it has forgotten the transfer it has posted it.
    pub(super) fn on_backing_answer(&mut self, batch: &CheckedBatch, said: &BackingAnswer) -> Outcome {
        let (from, key) = (batch.get().from, (said.origin, said.transfer));
        let Some(record) = self.settlement.incoming.get(&key).cloned() else { return Outcome::UnknownTransfer };
        let recipient = record.prepare.as_ref().map(|prepare| prepare.recipient.domain);
        if recipient != Some(from) {
            return Outcome::NotAuthorised;
        }
        match (record.state, said.refusal) {
            (IncomingState::Backing, Some(reason)) if reason != Outcome::TooOld.code() => {
                self.settlement.put_incoming(key, Incoming { refusal: Some(reason), ..record });
                Outcome::Applied
            }
            (IncomingState::Backing, _) => {
                let state = IncomingState::Finished { commit: true, fee: 0 };
                self.settlement.put_incoming(key, Incoming { state, ..record });
                Outcome::Applied
            }
            (IncomingState::Finished { commit: true, .. }, _) => Outcome::Exists,
            _ => Outcome::WrongState,
        }
    }
}

/// What the recipient's domain says to the issuer.
pub(super) const fn minted(key: &IncomingKey, refusal: Option<u16>) -> OwedMessage {
    OwedMessage::BackingAnswer(BackingAnswer { origin: key.0, transfer: key.1, refusal })
}

fn answer(key: &IncomingKey, issuer: DomainId, reason: Outcome, effects: &mut Effects) -> Outcome {
    effects.owe(issuer, minted(key, Some(reason.code())));
    reason
}
