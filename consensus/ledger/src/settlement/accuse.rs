//! Two decisions of one domain about one transfer, brought as a proof: by a participant that was told otherwise than the
//! other one, or by a domain that has nothing to do with the transfer and keeps the proof.
//!
//! Rule 7: whoever signed both is suspended by the proof, wherever it is. A word counts whichever roster its signer stands in,
//! as long as a root key of that domain signed it, retired or not: whoever changes its keys has still said what it said. So a
//! stolen key of a former voter can suspend, until operators resume. No transfer is changed by it: what was posted stands.

use super::{
    check::open_roster,
    record::{Equivocation, IncomingKey, IncomingState},
};
use crate::{
    apply::{Answer, Out},
    event::EventKind,
    outcome::Outcome,
    state::Ledger,
};
use alloc::vec::Vec;
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::Roster,
    ids::{DomainId, Hash, TransferId},
    reject::Reject,
    settlement::{Decision, SettlementBatch, SettlementMessage, two_batches},
};

/// A proof whose signatures and rosters were checked. Private inside: [`CheckedContradiction::open`] is its only source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedContradiction {
    transfer: TransferId,
    words: [(Verified<SettlementBatch>, Verified<Roster>); 2],
}

impl CheckedContradiction {
    /// Opens a document of two batches that contradict each other.
    pub fn open(document: &Bytes) -> Result<CheckedContradiction, Reject> {
        let [first, second] = two_batches(document)?;
        let (one, other) = (word(&first)?, word(&second)?);
        if one.0.get().from != other.0.get().from {
            return Err(Reject::WrongSigner);
        }
        let against = |said: &&Decision| {
            let same = |other: &Decision| other.transfer == said.transfer && other.content == said.content;
            decisions(other.0.get()).any(|other| same(other) && other.commit != said.commit)
        };
        let transfer = decisions(one.0.get()).find(against).map(|said| said.transfer);
        let transfer = transfer.ok_or(Reject::OutOfRange { field: "decisions" })?;
        Ok(CheckedContradiction { transfer, words: [one, other] })
    }
}

/// A batch by a voter of the roster in it, which a root key of its domain signed.
fn word(envelope: &Bytes) -> Result<(Verified<SettlementBatch>, Verified<Roster>), Reject> {
    let batch = SettlementBatch::open(envelope)?;
    let roster = open_roster(&batch.get().roster, &batch.get().from).ok_or(Reject::WrongSigner)?;
    if roster.get().voters.contains(batch.key()) { Ok((batch, roster)) } else { Err(Reject::WrongSigner) }
}

fn decisions(batch: &SettlementBatch) -> impl Iterator<Item = &Decision> {
    batch.messages.iter().filter_map(|message| match message {
        SettlementMessage::Decision(decision) => Some(decision),
        _ => None,
    })
}

impl Ledger {
    /// Keeps the proof and suspends whoever it is against. Once for each transfer: an operator who resumes the treaty has
    /// seen it.
    pub(crate) fn accuse(&mut self, proof: &CheckedContradiction, out: &mut Out) -> Answer {
        let [(first, _), (second, _)] = &proof.words;
        let (peer, transfer) = (first.get().from, proof.transfer);
        if self.domain_id().ok_or(Outcome::NotInitialized)? == peer {
            return Err(Outcome::WrongDomain);
        }
        if self.head.treaties.get(&peer).is_none_or(|treaty| treaty.agreed.is_none()) {
            return Err(Outcome::PeerNotTrusted);
        }
        self.stands_behind(proof)?;
        let state = self.settlement.peers.entry(peer).or_default();
        if state.equivocation.is_some() || state.proved == Some(transfer) {
            return Ok(Outcome::Exists);
        }
        let proof = Equivocation { transfer, first: first.digest(), second: second.digest() };
        (state.equivocation, state.proved) = (Some(proof), Some(transfer));
        for word in [first, second] {
            out.evidence.push((word.digest(), word.envelope_bytes().clone()));
        }
        let kind = EventKind::PeerEquivocated { peer, transfer, first: proof.first, second: proof.second };
        self.emit(out, kind, Vec::new());
        Ok(Outcome::Applied)
    }

    /// Whether root keys of one domain that is known here stand behind both words of this document.
    pub fn is_said_by_one(&self, document: &Bytes) -> bool {
        CheckedContradiction::open(document).is_ok_and(|proof| self.stands_behind(&proof).is_ok())
    }

    fn stands_behind(&self, proof: &CheckedContradiction) -> Result<(), Outcome> {
        proof.words.iter().try_for_each(|(_, roster)| self.said_by(&roster.get().domain, roster.signer()))
    }

    /// The evidence here that contradicts what another participant of a transfer across was told by its origin.
    pub fn told_otherwise(&self, batch: &SettlementBatch) -> Option<Hash> {
        decisions(batch).find_map(|said| {
            let record = self.settlement.incoming.get(&(batch.from, said.transfer))?;
            let known = match record.state {
                IncomingState::Finished { commit, .. } => commit,
                IncomingState::Unbacked { .. } | IncomingState::Backing => true,
                IncomingState::Voted { .. } | IncomingState::Refused { .. } => return None,
            };
            (record.content == said.content && known != said.commit).then_some(record.decision_evidence)?
        })
    }

    /// Transfers across that do not go on because the two participants may have been told different ends: whom to ask, and
    /// the evidence of the end that was told here. The recipient's domain misses the issuer's word, or has refused it.
    pub fn ends_to_compare(&self) -> Vec<(DomainId, IncomingKey, Hash)> {
        let mut all = Vec::new();
        for (origin, state) in &self.settlement.peers {
            for (_, id) in state.queues.incoming_open.iter() {
                let key = (*origin, *id);
                let Some(record) = self.settlement.incoming.get(&key) else { continue };
                let (Some(prepare), Some(evidence)) = (record.prepare.as_ref(), record.decision_evidence) else {
                    continue;
                };
                let whom = match record.state {
                    IncomingState::Unbacked { .. } => prepare.asset.issuer,
                    IncomingState::Backing if record.refusal == Some(Outcome::WrongState.code()) => {
                        prepare.recipient.domain
                    }
                    _ => continue,
                };
                all.push((whom, key, evidence));
            }
        }
        all
    }
}
