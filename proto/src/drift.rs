//! What a domain notes in its own log about a peer: that both disagree about each other, or agree again.

use crate::ids::DomainId;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What two treaty partners may disagree about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriftPart {
    /// Which document is in force.
    Treaty,
    /// What each does under it.
    Standing,
    /// A policy is not the one that was signed for.
    Policy,
    /// Reserve, wrapped units and named transfers do not add up.
    Supply,
    /// One does not see cards that the other one shows it.
    Cards,
}

impl DriftPart {
    /// All of them, in the order of their bits on the wire.
    pub const ALL: [DriftPart; 5] =
        [DriftPart::Treaty, DriftPart::Standing, DriftPart::Policy, DriftPart::Supply, DriftPart::Cards];
}

/// One note. Context [`crate::envelope::Context::DriftNote`]; signed by a voter of the domain that notes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftNote {
    /// Whose log.
    pub domain: DomainId,
    /// About whom.
    pub peer: DomainId,
    /// Counts up from 1 with each note about this peer.
    pub serial: u64,
    /// In what both disagree, ascending, each once; nothing: they agree again.
    pub parts: Vec<DriftPart>,
    /// By the operator's rule no transfer to that peer begins meanwhile.
    pub quarantines: bool,
}
