//! Which cards each of two partners shows the other, and which it has of the other: as short digests.
//!
//! A card counts as shown once it has stood still for longer than repair takes, and not shortly before its end: what was
//! just published or is about to expire is under way. To have more than is shown is no difference: a rule that was taken
//! back does not take the card back.

use crate::{
    mesh::{MeshHandle, Standing},
    node::Node,
};
use comity_proto::ids::{DomainId, Hash};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A card that was first heard here so long ago has been through a round of repair.
const SETTLED_MS: u64 = 35_000;
/// A card that ends so soon may have ended by the clock of the other side.
const ENDS_SOON_MS: u64 = 60_000;

/// Clocks that are further apart expire cards at other times: nothing follows from what is missing.
const CLOCKS_APART_MS: u64 = 30_000;

/// The first eight bytes of a card's digest.
type Short = u64;

/// What one node has of one peer, and shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shelves {
    /// Cards of this domain that the peer is shown, and has had time to get.
    pub(super) shown: BTreeSet<Short>,
    /// Cards of the peer that are here, settled ones only.
    settled: BTreeSet<Short>,
    /// All of them.
    seen: BTreeSet<Short>,
}

/// What is told of them in every comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CardDigests {
    shown: Hash,
    settled: Hash,
}

/// The answer to them: lists only where digests differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CardLists {
    /// Of the speaker's cards, what it shows; absent if that is what the listener said to have.
    shown: Option<Vec<Short>>,
    /// What the speaker has of the listener's; absent if that is what the listener said to show.
    seen: Option<Vec<Short>>,
    /// The speaker's licence turned cards or other wishes of the listener away: what is missing may be that.
    turned_away: bool,
    /// The speaker's wall clock, ms since the Unix epoch.
    clock_ms: u64,
}

fn digest(cards: &BTreeSet<Short>) -> Hash {
    let bytes: Vec<u8> = cards.iter().flat_map(|short| short.to_be_bytes()).collect();
    Hash::of_parts("comity/v1/drift-cards", &[&bytes])
}

impl Shelves {
    pub(super) fn of(mesh: &MeshHandle, peer: DomainId) -> Shelves {
        let now_ms = comity_runtime::wall_ms();
        let is_settled = |first_heard_ms: u64, expires_at_ms: u64| {
            first_heard_ms.saturating_add(SETTLED_MS) <= now_ms && now_ms.saturating_add(ENDS_SOON_MS) < expires_at_ms
        };
        let short = |digest: &Hash| Short::from_be_bytes(*digest.0.first_chunk().unwrap_or(&[0; 8]));
        let shown = mesh.shown_to(&Standing::Peer { domain: peer });
        let shown = shown.iter().filter(|entry| is_settled(entry.first_heard_ms, entry.card.get().expires_at_ms));
        let mut shelves =
            Shelves { shown: shown.map(|entry| short(&entry.rank.digest)).collect(), ..Shelves::default() };
        mesh.of_agent_cards(|entry| {
            if entry.card.get().home == peer {
                shelves.seen.insert(short(&entry.rank.digest));
                if is_settled(entry.first_heard_ms, entry.card.get().expires_at_ms) {
                    shelves.settled.insert(short(&entry.rank.digest));
                }
            }
        });
        shelves
    }

    pub(super) fn digests(&self) -> CardDigests {
        CardDigests { shown: digest(&self.shown), settled: digest(&self.settled) }
    }

    /// What is told to a partner that told its digests.
    pub(super) fn lists(&self, asked: &CardDigests, turned_away: bool, clock_ms: u64) -> CardLists {
        let own = self.digests();
        CardLists {
            shown: (own.shown != asked.settled).then(|| self.shown.iter().copied().collect()),
            seen: (own.settled != asked.shown).then(|| self.seen.iter().copied().collect()),
            turned_away,
            clock_ms,
        }
    }

    /// How many cards of ours the partner does not have, and how many of its own we do not have.
    pub(super) fn missing(&self, told: &CardLists, clock_ms: u64) -> (usize, usize) {
        if told.clock_ms.abs_diff(clock_ms) > CLOCKS_APART_MS {
            return (0, 0);
        }
        let lacks = |shown: &BTreeSet<Short>, seen: &BTreeSet<Short>| shown.difference(seen).count();
        let set = |list: &Option<Vec<Short>>| list.as_ref().map(|list| list.iter().copied().collect::<BTreeSet<_>>());
        let they = set(&told.seen).filter(|_| !told.turned_away).map_or(0, |seen| lacks(&self.shown, &seen));
        let we = set(&told.shown).map_or(0, |shown| lacks(&shown, &self.seen));
        (they, we)
    }
}

/// In words, if any is missing.
pub(super) fn words((they, we): (usize, usize)) -> Option<String> {
    match (they, we) {
        (0, 0) => None,
        (they, 0) => Some(format!("{they} cards that we show are not seen there")),
        (0, we) => Some(format!("{we} cards that they show are not seen here")),
        (they, we) => Some(format!("{they} cards that we show are not seen there, {we} of theirs not here")),
    }
}

/// Whether our own licence for a peer has turned it away.
pub(super) fn turned_away(node: &Node, peer: &DomainId) -> bool {
    node.mesh().used(peer).refused > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelves(shown: &[Short], settled: &[Short], seen: &[Short]) -> Shelves {
        let set = |list: &[Short]| list.iter().copied().collect();
        Shelves { shown: set(shown), settled: set(settled), seen: set(seen) }
    }

    fn missing(ours: &Shelves, theirs: &Shelves, turned_away: bool) -> (usize, usize) {
        ours.missing(&theirs.lists(&ours.digests(), turned_away, 5), 5)
    }

    #[test]
    fn equal_sets_cost_two_digests_and_nothing_is_missing() {
        let (ours, theirs) = (shelves(&[1, 2], &[7], &[7]), shelves(&[7], &[1, 2], &[1, 2]));
        let told = theirs.lists(&ours.digests(), false, 5);
        assert_eq!(told, CardLists { shown: None, seen: None, turned_away: false, clock_ms: 5 });
        assert_eq!(missing(&ours, &theirs, false), (0, 0));
    }

    #[test]
    fn what_is_shown_and_not_seen_is_missing_on_either_side() {
        let (ours, theirs) = (shelves(&[1, 2, 3], &[], &[]), shelves(&[7], &[1], &[1]));
        assert_eq!(missing(&ours, &theirs, false), (2, 1));
        assert_eq!(missing(&theirs, &ours, false), (1, 2));
        assert_eq!(missing(&ours, &theirs, true), (0, 1), "a licence turned us away: that is no drift");
        let told = theirs.lists(&ours.digests(), false, 5);
        assert_eq!(ours.missing(&told, 5 + CLOCKS_APART_MS), (2, 1));
        assert_eq!(ours.missing(&told, 6 + CLOCKS_APART_MS), (0, 0), "their cards end at another time");
    }

    #[test]
    fn cards_that_just_came_are_seen_and_more_than_is_shown_is_no_difference() {
        let (ours, theirs) = (shelves(&[1], &[], &[]), shelves(&[], &[], &[1, 9]));
        assert_eq!(missing(&ours, &theirs, false), (0, 0));
    }
}
