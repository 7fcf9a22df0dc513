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

/// A node could not be reached by its signer, nor through others that the signer asked. Context
/// [`crate::envelope::Context::Suspicion`]; signed by a node's key. Any later heartbeat of the suspect refutes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// The node that did not answer.
    pub suspect: PublicKey,
    /// Of the newest heartbeat of the suspect that the signer knew.
    pub sequence: u64,
    /// Who says so; equals the signing key.
    pub by: PublicKey,
}

/// One message between neighbours about who lives. Not signed: the connection is authenticated, and words that are
/// passed on are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Members {
    /// Are you there?
    Ping {
        /// Of the receiver's newest heartbeat that the sender knows.
        sequence: u64,
        /// Somebody suspects the receiver since that heartbeat.
        suspected: bool,
    },
    /// Yes.
    Pong {
        /// Of the newest heartbeat of the one that answers.
        sequence: u64,
    },
    /// Does that node answer you?
    Reach {
        /// Whom to ask.
        node: PublicKey,
    },
    /// The answer to it.
    Reached {
        /// Whether it answered.
        answers: bool,
    },
    /// Whom do you know, in order of key, after this one? `None` asks from the beginning.
    Ask {
        /// The last one already seen.
        after: Option<PublicKey>,
    },
    /// One page of the answer.
    Page {
        /// At most [`crate::limits::MEMBERS_PER_PAGE_MAX`], ascending by node.
        items: Vec<MemberDigest>,
        /// Nothing comes after the last one.
        complete: bool,
    },
    /// Send me what you know of these: at most [`crate::limits::MEMBERS_PER_REPLY_MAX`].
    Want {
        /// Nodes.
        nodes: Vec<PublicKey>,
    },
    /// Envelopes of heartbeats and suspicions.
    Words {
        /// At most [`crate::limits::MEMBER_WORDS_MAX`].
        words: Vec<Bytes>,
    },
}

/// What a node knows of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberDigest {
    /// Which.
    pub node: PublicKey,
    /// Of its newest heartbeat.
    pub sequence: u64,
    /// How many suspicions are known since then.
    pub suspicions: u32,
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
