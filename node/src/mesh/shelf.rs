//! The newest card of each owner, whatever way it came.
//!
//! Rules: the highest sequence signed by the owner wins; at equal sequence and other content the greater digest wins, so
//! that all nodes end with the same card, and the owner's double speech is counted. Expired cards are shown as stale
//! for a while, then dropped; the rank of a dropped card is remembered, so an older one cannot come back. It itself can:
//! our clock may have been wrong.
//! Pure: the caller verifies signatures and tells the time.

use std::collections::BTreeMap;

use comity_proto::card::{AgentCard, Card, DomainCard, Owner, Rank};
use comity_proto::envelope::Verified;
use comity_proto::gossip::CardDigest;
use comity_proto::ids::{DomainId, PublicKey};
use comity_proto::planted::{Plant, planted};

use super::limits::{CARDS_OF_UNKNOWN_HOMES, CARDS_PER_HOME, STALE_SHOWN_MS};

/// A card whose home domain is known.
pub trait Homed: Card {
    /// The domain whose quota it counts against.
    fn home(&self) -> DomainId;
    /// Whether it says that its owner is gone.
    fn retired(&self) -> bool;
}

impl Homed for AgentCard {
    fn home(&self) -> DomainId {
        self.home
    }
    fn retired(&self) -> bool {
        self.retired
    }
}

impl Homed for DomainCard {
    fn home(&self) -> DomainId {
        self.domain
    }
    fn retired(&self) -> bool {
        self.retired
    }
}

/// How a card reached us. Gossip has no hop count, so none is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Published through this node.
    Local,
    /// Straight from a node of the card's home domain.
    FirstHand(PublicKey),
    /// Through another node.
    Relayed(PublicKey),
    /// From another mesh, through a gateway that signed for the passage.
    Bridged {
        /// The gateway.
        by: PublicKey,
        /// Its domain.
        gateway: DomainId,
        /// Gateways that the card has passed.
        hops: u32,
    },
    /// Read back from our own store after a restart; how it came first is no longer known.
    Stored,
}

impl Path {
    /// Steps from the card's home, of which only the first ones are told apart.
    const fn distance(self) -> u8 {
        match self {
            Path::Local => 0,
            Path::FirstHand(_) => 1,
            Path::Relayed(_) | Path::Bridged { .. } | Path::Stored => 2,
        }
    }
}

/// How the key that signed a card was bound to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// The owner's id is the hash of the key.
    OwnFirstKey,
    /// A voter of the home domain attested the key.
    HomeAttestation,
    /// It is the pinned key of the domain.
    PinnedKey,
}

/// A card and what we know about it.
#[derive(Clone, Debug)]
pub struct CardEntry<T> {
    /// The card; its envelope bytes can be forwarded.
    pub card: Verified<T>,
    /// Its place among the cards of its owner.
    pub rank: Rank,
    /// How this edition came to us: the nearest way of all by which it did, whichever was the fastest.
    pub path: Path,
    /// How its signer was bound to its owner.
    pub verified_by: VerifiedBy,
    /// When we first heard this edition, ms since the Unix epoch.
    pub first_heard_ms: u64,
    /// Whether the home domain is one whose key we have pinned.
    pub home_known: bool,
}

impl<T: Homed> CardEntry<T> {
    /// Whether the card has expired at this wall time.
    pub fn is_stale(&self, now_ms: u64) -> bool {
        now_ms >= self.card.get().expires_at_ms()
    }
}

/// What became of an offered card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// It is now the newest of its owner.
    Taken,
    /// We had exactly this one.
    Held,
    /// We have, or had, a newer one.
    Older,
    /// Its time is over.
    Expired,
    /// Its home domain, or the unknown domains together, have their full share.
    OverQuota,
}

impl Offer {
    /// Stable name, for counters and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Offer::Taken => "card_taken",
            Offer::Held => "card_held",
            Offer::Older => "card_older",
            Offer::Expired => "card_expired",
            Offer::OverQuota => "card_over_quota",
        }
    }
}

/// The newest card of an owner, dropped because its time was over.
#[derive(Clone, Copy, Debug)]
struct Dropped {
    rank: Rank,
    expires_at_ms: u64,
}

impl Dropped {
    /// A newer card may take the place. So may this very card if its time is not over after all.
    fn gives_way_to(&self, other: &Rank, now_ms: u64) -> bool {
        *other > self.rank || (*other == self.rank && now_ms < self.expires_at_ms)
    }
}

/// Cards of one kind.
#[derive(Debug)]
pub struct Shelf<T: Homed> {
    cards: BTreeMap<Owner, CardEntry<T>>,
    per_home: BTreeMap<DomainId, usize>,
    of_unknown_homes: usize,
    /// Of owners whose card was dropped.
    dropped: BTreeMap<Owner, Dropped>,
    total_max: usize,
    equivocations: u64,
}

impl<T: Homed> Shelf<T> {
    /// An empty shelf for at most `total_max` cards.
    pub fn new(total_max: usize) -> Shelf<T> {
        Shelf {
            cards: BTreeMap::new(),
            per_home: BTreeMap::new(),
            of_unknown_homes: 0,
            dropped: BTreeMap::new(),
            total_max,
            equivocations: 0,
        }
    }

    /// Offers a verified card.
    pub fn offer(&mut self, entry: CardEntry<T>, now_ms: u64) -> Offer {
        let card = entry.card.get();
        let owner = card.owner();
        if let Some(known) = self.cards.get_mut(&owner) {
            if known.rank == entry.rank {
                if entry.path.distance() < known.path.distance() {
                    known.path = entry.path;
                }
                return Offer::Held;
            }
            self.equivocations += u64::from(known.rank.sequence == entry.rank.sequence);
            if entry.rank < known.rank && !planted(Plant::OlderCard) {
                return Offer::Older;
            }
        } else if self.dropped.get(&owner).is_some_and(|last| !last.gives_way_to(&entry.rank, now_ms)) {
            return Offer::Older;
        }
        if entry.is_stale(now_ms) {
            return Offer::Expired;
        }
        // The old edition gives its place back first, so an update never fails for lack of room of its own.
        let before = self.take(&owner);
        let trusted_path = matches!(entry.path, Path::Local | Path::FirstHand(_));
        if !self.has_room(&entry) && trusted_path {
            // A crowd of made-up agents that claim this home must not keep out what the home itself says.
            self.evict_relayed(entry.card.get().home());
        }
        if !self.has_room(&entry) {
            if let Some(before) = before {
                self.put(before);
            }
            return Offer::OverQuota;
        }
        self.dropped.remove(&owner);
        self.put(entry);
        Offer::Taken
    }

    fn has_room(&self, entry: &CardEntry<T>) -> bool {
        let of_home = self.per_home.get(&entry.card.get().home()).copied().unwrap_or(0);
        self.cards.len() < self.total_max
            && of_home < CARDS_PER_HOME
            && (entry.home_known || self.of_unknown_homes < CARDS_OF_UNKNOWN_HOMES.min(self.total_max / 2))
    }

    fn evict_relayed(&mut self, home: DomainId) {
        let is_hearsay = |path: &Path| matches!(path, Path::Relayed(_) | Path::Bridged { .. });
        let relayed = |entry: &CardEntry<T>| is_hearsay(&entry.path) && entry.card.get().home() == home;
        let victim = self.cards.iter().find(|(_, entry)| relayed(entry)).map(|(owner, _)| *owner);
        if let Some(victim) = victim {
            self.take(&victim);
        }
    }

    fn put(&mut self, entry: CardEntry<T>) {
        *self.per_home.entry(entry.card.get().home()).or_default() += 1;
        self.of_unknown_homes += usize::from(!entry.home_known);
        self.cards.insert(entry.card.get().owner(), entry);
    }

    fn take(&mut self, owner: &Owner) -> Option<CardEntry<T>> {
        let entry = self.cards.remove(owner)?;
        self.of_unknown_homes -= usize::from(!entry.home_known);
        let home = entry.card.get().home();
        if let Some(count) = self.per_home.get_mut(&home) {
            *count -= 1;
            if *count == 0 {
                self.per_home.remove(&home);
            }
        }
        Some(entry)
    }

    /// Drops cards that have been shown as stale long enough. Answers their owners.
    pub fn fade(&mut self, now_ms: u64) -> Vec<Owner> {
        let long_gone =
            |entry: &CardEntry<T>| entry.card.get().expires_at_ms().saturating_add(STALE_SHOWN_MS) <= now_ms;
        let gone: Vec<Owner> =
            self.cards.iter().filter(|(_, entry)| long_gone(entry)).map(|(owner, _)| *owner).collect();
        for owner in &gone {
            if let Some(entry) = self.take(owner) {
                if self.dropped.len() >= self.total_max {
                    self.dropped.pop_first();
                }
                let expires_at_ms = entry.card.get().expires_at_ms();
                self.dropped.insert(*owner, Dropped { rank: entry.rank, expires_at_ms });
            }
        }
        gone
    }

    /// The newest card of an owner, stale or not.
    pub fn get(&self, owner: &Owner) -> Option<&CardEntry<T>> {
        self.cards.get(owner)
    }

    /// All cards, in the order of their owners.
    pub fn iter(&self) -> impl Iterator<Item = &CardEntry<T>> {
        self.cards.values()
    }

    /// How many cards stand here.
    pub fn len(&self) -> usize {
        self.cards.len()
    }

    /// How many of one home stand here.
    pub(crate) fn of_home(&self, home: &DomainId) -> usize {
        self.per_home.get(home).copied().unwrap_or(0)
    }

    /// Whether none stands here.
    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// How often an owner signed two contents under one sequence.
    pub fn equivocations(&self) -> u64 {
        self.equivocations
    }

    /// What we have that is not expired and that `shows` admits, after `after`, in the order of owners.
    pub(crate) fn digests(
        &self,
        after: Option<Owner>,
        now_ms: u64,
        shows: impl Fn(&T) -> bool,
    ) -> impl Iterator<Item = CardDigest> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let shown = move |entry: &CardEntry<T>| !entry.is_stale(now_ms) && shows(entry.card.get());
        self.cards.range((from, Unbounded)).filter(move |(_, entry)| shown(entry)).map(|(owner, entry)| CardDigest {
            owner: *owner,
            sequence: entry.rank.sequence,
            digest: entry.rank.digest,
        })
    }

    /// A node of `home` tells which cards it holds, or that it holds just what we hold: then those of its home are first
    /// hand, though another way was faster and nothing is sent again.
    pub(crate) fn shown_by_home(&mut self, node: PublicKey, home: &DomainId, told: Option<&[CardDigest]>) {
        let path = Path::FirstHand(node);
        let show = |entry: &mut CardEntry<T>| {
            if entry.card.get().home() == *home && path.distance() < entry.path.distance() {
                entry.path = path;
            }
        };
        let Some(told) = told else { return self.cards.values_mut().for_each(show) };
        for line in told {
            let rank = Rank { sequence: line.sequence, digest: line.digest };
            self.cards.get_mut(&line.owner).filter(|entry| entry.rank == rank).map(show);
        }
    }

    /// Whether the other side's card would take the place of ours.
    pub(crate) fn wants(&self, other: &CardDigest, now_ms: u64) -> bool {
        let rank = Rank { sequence: other.sequence, digest: other.digest };
        match self.cards.get(&other.owner) {
            Some(known) => rank > known.rank,
            None => self.dropped.get(&other.owner).is_none_or(|last| last.gives_way_to(&rank, now_ms)),
        }
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
