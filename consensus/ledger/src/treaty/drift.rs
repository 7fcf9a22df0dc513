//! What this domain has noted about a peer with which it disagrees, and what follows: no transfer to it begins.
//!
//! The comparing is the nodes'. Here their word is an event, and the same on every replica whoever leads; what is under way
//! is finished, for both logs go on from what was promised.

use crate::{
    apply::{Answer, Out},
    event::EventKind,
    outcome::Outcome,
    state::Ledger,
};
use alloc::vec::Vec;
use comity_proto::{
    drift::{DriftNote, DriftPart},
    envelope::Verified,
    ids::DomainId,
    planted::{Plant, planted},
};
use serde::{Deserialize, Serialize};

/// The newest note about a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Of the note; 0 before the first.
    pub serial: u64,
    /// In what both disagree.
    pub parts: Vec<DriftPart>,
    /// No transfer to it begins.
    pub quarantined: bool,
}

impl Noted {
    pub(super) const fn nothing() -> Noted {
        Noted { serial: 0, parts: Vec::new(), quarantined: false }
    }
}

impl Ledger {
    /// A voter of this domain notes what it found. Only forward: each of several nodes says it once, and one counts.
    pub(crate) fn note_drift(&mut self, note: &Verified<DriftNote>, out: &mut Out) -> Answer {
        let said = note.get();
        let domain = self.own_domain()?;
        if said.domain != domain.id {
            return Err(Outcome::WrongDomain);
        }
        if !domain.voters.contains(note.key()) {
            return Err(Outcome::NotAVoter);
        }
        let treaty = self.head.treaties.get_mut(&said.peer).filter(|treaty| treaty.agreed.is_some());
        let treaty = treaty.ok_or(Outcome::UnknownTreaty)?;
        let quarantined = said.quarantines && !said.parts.is_empty();
        let noted = Noted { serial: said.serial, parts: said.parts.clone(), quarantined };
        if treaty.drift == noted {
            return Ok(Outcome::Exists);
        }
        if treaty.drift.serial.checked_add(1) != Some(said.serial) {
            return Err(Outcome::TreatyVersion);
        }
        treaty.drift = noted;
        let kind = EventKind::DriftNoted { peer: said.peer, parts: said.parts.clone(), quarantined };
        self.emit(out, kind, Vec::new());
        Ok(Outcome::Applied)
    }

    /// Whether a new transfer to this domain may begin as far as drift goes. Payouts of escrows wait for agreement, too.
    pub(crate) fn unquarantined(&self, peer: &DomainId) -> Result<(), Outcome> {
        let quarantined = self.head.treaties.get(peer).is_some_and(|treaty| treaty.drift.quarantined);
        if quarantined && !planted(Plant::DriftOpen) { Err(Outcome::PeerInDrift) } else { Ok(()) }
    }
}
