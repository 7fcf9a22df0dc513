//! What a neighbour is to us. Decided by its certificate and our pinned keys, never by what it calls itself.

use comity_proto::ids::DomainId;

/// A neighbour's place in our eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its hello has not been judged yet.
    Unjudged,
    /// No certificate, or none that we can check against a pinned key. It may carry public gossip, nothing else.
    Stranger {
        /// The domain that it says it is of; never proof.
        claims: Option<DomainId>,
        /// Why its certificate was refused, if it sent one.
        refused: Option<super::certificate::Refused>,
    },
    /// Certified by a domain whose key we have pinned, without a treaty.
    Known {
        /// Its domain.
        domain: DomainId,
    },
    /// Certified by a domain that we have a treaty with.
    Peer {
        /// Its domain.
        domain: DomainId,
    },
    /// Certified by our own domain.
    Own {
        /// Our domain.
        domain: DomainId,
    },
}

impl Standing {
    /// A node of our own domain.
    pub fn is_own(&self) -> bool {
        matches!(self, Standing::Own { .. })
    }

    /// A node of a domain whose key we have pinned, our own included.
    pub fn is_known(&self) -> bool {
        matches!(self, Standing::Own { .. } | Standing::Peer { .. } | Standing::Known { .. })
    }

    /// Whether a hello has been judged, whatever the verdict.
    pub fn is_judged(&self) -> bool {
        !matches!(self, Standing::Unjudged)
    }

    /// The proved domain; `None` for strangers.
    pub fn domain(&self) -> Option<DomainId> {
        match self {
            Standing::Own { domain } | Standing::Peer { domain } | Standing::Known { domain } => Some(*domain),
            Standing::Unjudged | Standing::Stranger { .. } => None,
        }
    }

    /// Score that gossip gives the neighbour beyond what it earns by its messages.
    pub(crate) fn gossip_score(&self) -> f64 {
        match self {
            Standing::Own { .. } | Standing::Peer { .. } | Standing::Known { .. } => 20.0,
            Standing::Stranger { refused: Some(refused), .. } if refused.is_forgery() => -90.0,
            Standing::Stranger { .. } | Standing::Unjudged => 0.0,
        }
    }

    /// One word for tables.
    pub fn name(&self) -> &'static str {
        match self {
            Standing::Unjudged => "unjudged",
            Standing::Stranger { .. } => "stranger",
            Standing::Known { .. } => "known",
            Standing::Peer { .. } => "peer",
            Standing::Own { .. } => "own",
        }
    }
}
