//! What this domain owes its peers about their treaties, derived from state: a new leader owes the same.

use super::record::Treaty;
use crate::state::{Domain, Ledger};
use alloc::vec::Vec;
use comity_proto::{ids::DomainId, text::Endpoint, treaty::TreatyPush};

/// Before it, a peer knows of no treaty.
const FIRST_VERSION: u64 = 1;

impl Ledger {
    /// What is not acknowledged yet: for each peer the first of it, because a later word may rest on an earlier one.
    /// `endpoints`: where this domain listens.
    pub fn treaties_owed(&self, endpoints: &[Endpoint]) -> Vec<(DomainId, TreatyPush)> {
        let Some(domain) = &self.head.domain else { return Vec::new() };
        let first = |treaty: &Treaty| Some((treaty.peer, push(treaty, domain, endpoints)?));
        self.head.treaties.values().filter_map(first).collect()
    }
}

fn push(treaty: &Treaty, domain: &Domain, endpoints: &[Endpoint]) -> Option<TreatyPush> {
    let (roster, endpoints) = (domain.roster.clone(), endpoints.to_vec());
    let root = || domain.root_owed_to(treaty).next().map(|first| TreatyPush::Key(first.word.clone()));
    // First, as soon as the peer knows of a treaty.
    let is_known = treaty.agreed.as_ref().is_some_and(|agreed| !agreed.untold || agreed.version > FIRST_VERSION);
    if is_known && treaty.is_bound() && domain.root_presses(treaty) {
        return root();
    }
    // In the order in which they were signed: the peer tells by it which of them stands.
    if let Some(agreed) = treaty.agreed.as_ref().filter(|agreed| agreed.untold) {
        let (document, countersigned) = (agreed.ours.clone(), agreed.theirs.clone());
        return Some(TreatyPush::Approval { document, countersigned, roster, endpoints });
    }
    let notice = || TreatyPush::Notice(treaty.ours.notice.clone());
    if let Some(proposed) = treaty.proposed.as_ref().filter(|proposed| proposed.by_us && proposed.answer.is_none()) {
        if treaty.ours.untold && treaty.ours.serial <= proposed.serial {
            return Some(notice());
        }
        let (document, invitation) = (proposed.document.clone(), proposed.invitation.clone());
        return Some(TreatyPush::Proposal { document, invitation, roster, endpoints });
    }
    if treaty.ours.untold {
        return Some(notice());
    }
    if let Some(granted) = treaty.granted.as_ref().filter(|granted| granted.untold) {
        return Some(TreatyPush::Licence(granted.envelope.clone()));
    }
    if !treaty.is_bound() {
        return None;
    }
    if treaty.roster_told < domain.roster_epoch {
        return Some(TreatyPush::Roster(roster));
    }
    if treaty.key_told < domain.operator.serial {
        return Some(TreatyPush::Key(domain.operator.word.clone()));
    }
    // Last: whatever an earlier root key has signed is heard while that one counts.
    root()
}
