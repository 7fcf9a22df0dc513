//! The gossip topics: a closed list. Nothing else can be subscribed to, published or forwarded.

use libp2p::gossipsub::{IdentTopic, TopicHash};

use super::limits::{CARD_MAX_BYTES, DOMAIN_CARD_MAX_BYTES, HEARTBEAT_MAX_BYTES};

/// A topic of the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Heartbeats, leaves and suspicions of nodes.
    Members,
    /// Agent cards.
    Cards,
    /// Domain cards.
    DomainCards,
}

impl Topic {
    /// All topics.
    pub const ALL: [Topic; 3] = [Topic::Members, Topic::Cards, Topic::DomainCards];

    /// Name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Members => "comity/1/members",
            Topic::Cards => "comity/1/cards",
            Topic::DomainCards => "comity/1/domain-cards",
        }
    }

    /// Largest message in bytes, the signed envelope included.
    pub const fn max_bytes(self) -> usize {
        match self {
            Topic::Members => HEARTBEAT_MAX_BYTES,
            Topic::Cards => CARD_MAX_BYTES,
            Topic::DomainCards => DOMAIN_CARD_MAX_BYTES,
        }
    }

    pub(crate) fn ident(self) -> IdentTopic {
        IdentTopic::new(self.name())
    }

    /// The topic with this hash (gossipsub's identity hash: the name itself).
    pub(crate) fn from_hash(hash: &TopicHash) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.name() == hash.as_str())
    }
}
