//! Why something does not pass a bridge.

/// Each changes nothing, and is counted by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BridgeRefused {
    /// It cannot be read.
    Malformed,
    /// The operator of this node lets nothing pass between these two domains.
    NoRule,
    /// A frame in the name of another domain than the one that brings it.
    NotYours,
    /// This pair has used up what it may in a second.
    OverQuota,
    /// As many frames of this pair are under way as may be.
    Busy,
    /// No node of the domain that it is for is connected.
    FarSideAway,
    /// Brought by a domain with which this one has no treaty.
    NotAPeer,
    /// The certificate of whoever brings it makes it no gateway.
    NotAGateway,
    /// The operator of this node has not chosen its domain as a gateway.
    NotChosen,
    /// For another domain, or from this one itself.
    NotForUs,
    /// From a domain that is not known here.
    Stranger,
    /// The passage is not what its signer, its gateway's certificate, the card or the connection say.
    ForgedPassage,
    /// The words are not those of the domain that is said to say them.
    ForgedWords,
}

impl BridgeRefused {
    /// Stable name, for counters and answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            BridgeRefused::Malformed => "bridge_malformed",
            BridgeRefused::NoRule => "bridge_no_rule",
            BridgeRefused::NotYours => "bridge_not_yours",
            BridgeRefused::OverQuota => "bridge_over_quota",
            BridgeRefused::Busy => "bridge_busy",
            BridgeRefused::FarSideAway => "bridge_far_side_away",
            BridgeRefused::NotAPeer => "bridge_not_a_peer",
            BridgeRefused::NotAGateway => "bridge_not_a_gateway",
            BridgeRefused::NotChosen => "bridge_not_chosen",
            BridgeRefused::NotForUs => "bridge_not_for_us",
            BridgeRefused::Stranger => "bridge_stranger",
            BridgeRefused::ForgedPassage => "bridge_forged_passage",
            BridgeRefused::ForgedWords => "bridge_forged_words",
        }
    }
}
