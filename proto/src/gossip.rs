//! How nodes of the mesh know each other, and how they repair what gossip missed.

use crate::{
    card::Owner,
    ids::{DomainId, Hash, PublicKey},
    text::{AgentString, Endpoint},
};
use alloc::vec::Vec;
use bytes::Bytes;

/// The version of the hello that this program speaks.
pub const HELLO_VERSION: u32 = 1;

/// A node is alive. Context [`crate::envelope::Context::Heartbeat`]; signed by the node's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The node; equals the signing key.
    pub node: PublicKey,
    /// Its domain, as it says; `certificate` proves it.
    pub domain: DomainId,
    /// Counts up for the life of the key; the highest is the newest.
    pub sequence: u64,
    /// Where it listens: hints.
    pub addresses: Vec<Endpoint>,
    /// Digest of its set of cards: equal digests need no repair.
    pub cards_digest: Hash,
    /// How many cards that set has.
    pub cards_count: u64,
    /// Its clock, ms since the Unix epoch.
    pub clock_ms: u64,
    /// It leaves on purpose, which is no failure.
    pub leaving: bool,
    /// Envelope of its [`crate::identity::NodeCertificate`]; empty for a stranger.
    pub certificate: Bytes,
}

/// First message on a connection, both ways. Not signed: the connection is authenticated by the node key, and
/// `certificate` must name that key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Envelope of the node's [`crate::identity::NodeCertificate`]; empty for a stranger.
    pub certificate: Bytes,
    /// Envelope of its domain's [`crate::identity::Roster`]; empty for a stranger.
    pub roster: Bytes,
    /// Program and version; for people.
    pub agent: AgentString,
    /// Where it listens: hints.
    pub addresses: Vec<Endpoint>,
}

/// One message of card repair between neighbours. Not signed: the cards are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// Which cards do you have, in order of owner, after this one? `None` asks from the beginning.
    Ask {
        /// The last owner already seen.
        after: Option<Owner>,
    },
    /// One page of the answer.
    Digests {
        /// At most [`crate::limits::DIGESTS_MAX`], ascending by owner.
        items: Vec<CardDigest>,
        /// Nothing comes after the last one.
        complete: bool,
    },
    /// Send me the newest cards of these: at most [`crate::limits::CARDS_PER_REPLY_MAX`].
    Want {
        /// Owners.
        owners: Vec<Owner>,
    },
    /// Envelopes of cards, as many of the wanted ones as are known.
    Cards {
        /// At most [`crate::limits::CARDS_PER_REPLY_MAX`].
        cards: Vec<Bytes>,
    },
}

/// The newest card that a node has of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardDigest {
    /// Whose.
    pub owner: Owner,
    /// Its sequence.
    pub sequence: u64,
    /// SHA-256 of its envelope.
    pub digest: Hash,
}
