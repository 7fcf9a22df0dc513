//! Rule 7 above an amount: one stolen voter key cannot say how a large transfer ended.
//!
//! The treaty names the amount for each asset. A decision above it counts with words of a majority of the origin's voters,
//! each signed under the highest roster seen, for exactly this end and this participant. A decision with fewer changes
//! nothing and is owed on: whoever said it says it again with more of them.

use super::check::CheckedBatch;
use crate::{outcome::Outcome, state::Ledger};
use alloc::{collections::BTreeSet, vec::Vec};
use comity_proto::{
    identity::keys_by_seat,
    ids::{DomainId, PublicKey},
    planted::{Plant, planted},
    settlement::{Decision, DecisionWord, Prepare},
};

impl Ledger {
    /// Whether the treaty with this domain asks for more than one voter to sign how such a transfer ends.
    pub fn needs_majority(&self, peer: &DomainId, prepare: &Prepare) -> bool {
        let agreed = self.head.treaties.get(peer).and_then(|treaty| treaty.agreed.as_ref());
        let mut named = agreed.iter().flat_map(|agreed| &agreed.majorities);
        named.any(|(asset, above)| *asset == prepare.asset && prepare.amount > *above) && !planted(Plant::OneWord)
    }

    /// Whether enough voters of its origin have signed this decision, if the treaty with it asks for that.
    pub(super) fn check_majority(
        &self,
        batch: &CheckedBatch,
        decision: &Decision,
        prepare: &Prepare,
    ) -> Result<(), Outcome> {
        let said = batch.get();
        if !self.needs_majority(&said.from, prepare) {
            return Ok(());
        }
        let Some(peer) = self.settlement.peers.get(&said.from) else { return Err(Outcome::MajorityMissing) };
        let about = |(_, word): &&(PublicKey, DecisionWord)| {
            word.origin == said.from
                && word.to == said.to
                && word.incarnation == said.incarnation
                && word.transfer == decision.transfer
                && word.content == decision.content
                && word.commit == decision.commit
        };
        let words: Vec<_> = batch.words().iter().filter(about).collect();
        let voters = keys_by_seat(&peer.voters, &peer.seats);
        let seat = |signer: &PublicKey| voters.iter().find(|(_, keys)| keys.contains(signer)).map(|(seat, _)| *seat);
        let seats: Option<BTreeSet<_>> = words.iter().map(|(signer, _)| seat(signer)).collect();
        let seats = seats.ok_or(Outcome::NotAVoter)?;
        // Two keys of one voter are one voter.
        if seats.len() < words.len() {
            return Err(Outcome::SignerTwice);
        }
        if words.iter().any(|(_, word)| word.roster_epoch < peer.roster_epoch) {
            return Err(Outcome::OldRoster);
        }
        let enough = seats.len().saturating_mul(2) > voters.len();
        if enough { Ok(()) } else { Err(Outcome::MajorityMissing) }
    }

    /// What a voter of this domain signs about one of its transfers, once this copy of the ledger holds its decision.
    pub fn word_about(&self, to: DomainId, transfer: &comity_proto::ids::TransferId) -> Option<DecisionWord> {
        let domain = self.head.domain.as_ref().filter(|domain| !domain.fenced)?;
        let record = self.settlement.outgoing.get(transfer)?;
        let named = record.prepare.participants().any(|participant| participant == to);
        let decision = super::owed::decision_of(record, &to).filter(|_| named)?;
        Some(DecisionWord {
            origin: domain.id,
            to,
            incarnation: domain.incarnation,
            roster_epoch: domain.roster_epoch,
            transfer: decision.transfer,
            content: decision.content,
            commit: decision.commit,
        })
    }
}
