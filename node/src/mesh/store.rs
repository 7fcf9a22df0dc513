//! Where cards survive a restart. The node gives a table of the replica's store; tests may give memory.

use bytes::Bytes;

/// What a card is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CardKind {
    /// An agent.
    Agent,
    /// A domain.
    Domain,
}

/// A card as it is kept: the exact signed bytes and what we know about its arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCard {
    /// What it is about.
    pub kind: CardKind,
    /// Agent id or domain id.
    pub owner: [u8; 32],
    /// The envelope, bytes exactly as received. It is verified again when read back.
    pub envelope: Bytes,
    /// When we first heard this card, ms since the Unix epoch.
    pub first_heard_ms: u64,
    /// Whether it was published through this node.
    pub local: bool,
}

/// A change to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardChange {
    /// The newest card of its owner.
    Put(StoredCard),
    /// The owner has no card any more.
    Remove(CardKind, [u8; 32]),
}

/// Durable cards. Called off the async threads, one call at a time. A failure loses nothing but time: the next repair
/// round brings the cards again.
pub trait CardStore: Send + Sync + 'static {
    /// All cards kept.
    fn load(&self) -> std::io::Result<Vec<StoredCard>>;
    /// Keeps changes, in order, all or none.
    fn save(&self, changes: &[CardChange]) -> std::io::Result<()>;
}
