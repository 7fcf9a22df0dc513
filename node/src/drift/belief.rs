//! What a domain believes about itself and one peer, at one moment of its log.

use super::cards::{CardDigests, CardLists};
use crate::{
    node::Node,
    service::{books::read, error::ServiceError},
};
use bytes::Bytes;
use comity_ledger::{Ledger, statement::SupplyStatement};
use comity_proto::{
    envelope::Signed as _,
    ids::{DomainId, Hash},
    treaty::{TreatyDocument, TreatyStanding},
};
use serde::{Deserialize, Serialize};

/// Says which form of belief this is; another one is refused.
const BELIEF_VERSION: u8 = 2;

/// One side's view. Not signed: the connection proves the domain, and what must be proved to others is in its statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Belief {
    version: u8,
    /// Digest and version of the document in force.
    pub(super) treaty: Option<(Hash, u64)>,
    /// The policy of the speaker when it signed that document, and that of the other side.
    pub(super) policies_signed: Option<(Hash, Hash)>,
    /// The speaker's policy now.
    pub(super) policy: Option<Hash>,
    /// What the speaker does under the treaty, and what it believes that the other side does, with serials.
    pub(super) ours: (u64, TreatyStanding),
    pub(super) theirs: (u64, TreatyStanding),
    /// A word about the treaty is under way or open: what differs may be that.
    pub(super) is_owed: bool,
    /// What lies between the two.
    pub(super) statement: SupplyStatement,
}

impl Belief {
    /// As a ledger holds it; `None` without a treaty that was agreed on.
    pub(super) fn of(ledger: &Ledger, peer: DomainId) -> Option<Belief> {
        let treaty = ledger.treaty(&peer)?;
        let agreed = treaty.agreed.as_ref()?;
        let own = ledger.domain()?.id;
        let document = TreatyDocument::open(&agreed.ours).ok();
        let signed = document.as_ref().and_then(|document| document.get().sides(&own));
        Some(Belief {
            version: BELIEF_VERSION,
            treaty: Some((agreed.digest, agreed.version)),
            policies_signed: signed.map(|(ours, theirs)| (ours.policy, theirs.policy)),
            policy: ledger.policy_in_force().map(comity_proto::policy::Policy::digest),
            ours: (treaty.ours.serial, treaty.ours.standing),
            theirs: (treaty.theirs.serial, treaty.theirs.standing),
            is_owed: treaty.ours.untold || agreed.untold || treaty.proposed.is_some(),
            statement: ledger.supply_statement(peer)?,
        })
    }

    /// Read through a majority: what a follower remembers may be long past.
    pub(super) async fn read(node: &Node, peer: DomainId) -> Result<Option<Belief>, ServiceError> {
        read(node, |ledger| Belief::of(ledger, peer)).await
    }

    /// Whether nothing has changed but the log's length and time.
    pub(super) fn is_still(&self, later: &Belief) -> bool {
        let timeless = |belief: &Belief| {
            let statement = &belief.statement;
            (belief.treaty, belief.policies_signed, belief.policy, belief.ours, belief.theirs, belief.is_owed)
                == (self.treaty, self.policies_signed, self.policy, self.ours, self.theirs, self.is_owed)
                && statement.assets == self.statement.assets
                && statement.incarnation == self.statement.incarnation
        };
        timeless(later)
    }

    /// With what is told of cards, which are no part of the ledger.
    pub(super) fn to_bytes(&self, cards: &CardLists) -> Bytes {
        // Plain fields into memory: cannot fail. Empty bytes would be refused by every reader.
        postcard::to_allocvec(&(self, cards)).unwrap_or_default().into()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<(Belief, CardLists)> {
        let (belief, cards): (Belief, CardLists) = postcard::from_bytes(bytes).ok()?;
        (belief.version == BELIEF_VERSION).then_some((belief, cards))
    }
}

/// What a question tells.
pub(super) fn question(cards: &CardDigests) -> Bytes {
    postcard::to_allocvec(&(BELIEF_VERSION, cards)).unwrap_or_default().into()
}

/// What a question told.
pub(super) fn asked(bytes: &[u8]) -> Option<CardDigests> {
    let (version, cards): (u8, CardDigests) = postcard::from_bytes(bytes).ok()?;
    (version == BELIEF_VERSION).then_some(cards)
}
