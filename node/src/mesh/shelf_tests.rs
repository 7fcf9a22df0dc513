use bytes::Bytes;
use comity_proto::card::rank;
use comity_proto::envelope::Signed as _;
use comity_proto::ids::AgentId;
use comity_proto::keys::SecretKey;
use comity_proto::text::{Description, Nickname};

use super::*;

const NOW: u64 = 1_000_000_000_000;
const LIFE: u64 = 3_600_000;

fn key(number: u32) -> SecretKey {
    let mut seed = [1; 32];
    seed[..4].copy_from_slice(&number.to_le_bytes());
    SecretKey::from_seed(&seed)
}

fn entry(agent: u32, home: u8, sequence: u64, words: &str, path: Path, home_known: bool) -> CardEntry<AgentCard> {
    let key = key(agent);
    let card = AgentCard {
        agent: AgentId::of_key(&key.public()),
        home: DomainId([home; 32]),
        key: key.public(),
        name: Nickname::new("n").expect("short"),
        description: Description::new(words).expect("short"),
        capabilities: Vec::new(),
        price: None,
        accepts: Default::default(),
        sequence,
        issued_at_ms: NOW,
        expires_at_ms: NOW + LIFE,
        retired: false,
        public: true,
        custodial: false,
        attestation: Bytes::new(),
    };
    let card = AgentCard::open(&card.seal(&key)).expect("well made");
    let verified_by = VerifiedBy::OwnFirstKey;
    CardEntry { rank: rank(&card), card, path, verified_by, first_heard_ms: NOW, home_known }
}

const RELAYED: Path = Path::Relayed(PublicKey([9; 32]));
const FIRST_HAND: Path = Path::FirstHand(PublicKey([9; 32]));

fn simple(agent: u32, sequence: u64, path: Path) -> CardEntry<AgentCard> {
    entry(agent, 1, sequence, "x", path, true)
}

#[test]
fn the_highest_sequence_wins_whatever_the_path() {
    let mut shelf = Shelf::new(100);
    assert_eq!(shelf.offer(simple(1, 5, FIRST_HAND), NOW), Offer::Taken);
    assert_eq!(shelf.offer(simple(1, 5, RELAYED), NOW), Offer::Held);
    assert_eq!(shelf.offer(simple(1, 4, RELAYED), NOW), Offer::Older, "hearsay does not overwrite a newer card");
    assert_eq!(shelf.offer(simple(1, 4, FIRST_HAND), NOW), Offer::Older);
    assert_eq!(shelf.offer(simple(1, 6, RELAYED), NOW), Offer::Taken);
    assert_eq!((shelf.len(), shelf.equivocations()), (1, 0));
}

#[test]
fn two_cards_of_one_sequence_end_as_the_same_one_everywhere_and_are_counted() {
    let (this, that) = (entry(1, 1, 5, "a", RELAYED, true), entry(1, 1, 5, "b", RELAYED, true));
    let (mut one, mut other) = (Shelf::new(100), Shelf::new(100));
    one.offer(this.clone(), NOW);
    one.offer(that.clone(), NOW);
    other.offer(that, NOW);
    other.offer(this, NOW);
    let kept = |shelf: &Shelf<AgentCard>| shelf.iter().map(|entry| entry.rank.digest).collect::<Vec<_>>();
    assert_eq!(kept(&one), kept(&other));
    assert_eq!((one.equivocations(), other.equivocations()), (1, 1));
}

#[test]
fn a_card_that_a_wrong_clock_dropped_comes_back_when_the_clock_is_right() {
    let mut shelf = Shelf::new(100);
    shelf.offer(simple(1, 5, FIRST_HAND), NOW);
    let digest = shelf.digests(None, NOW, |_| true).next().expect("the card's");
    let days_ahead = NOW + LIFE + STALE_SHOWN_MS;
    assert_eq!(shelf.fade(days_ahead).len(), 1);
    assert!(!shelf.wants(&digest, days_ahead), "as far as that clock goes its time is over");
    assert_eq!(shelf.offer(simple(1, 5, RELAYED), days_ahead), Offer::Older);
    assert!(shelf.wants(&digest, NOW));
    assert_eq!(shelf.offer(simple(1, 4, RELAYED), NOW), Offer::Older);
    assert_eq!(shelf.offer(simple(1, 5, RELAYED), NOW), Offer::Taken);
}

#[test]
fn an_expired_card_is_refused_shown_stale_then_dropped_and_cannot_come_back_older() {
    let mut shelf = Shelf::new(100);
    assert_eq!(shelf.offer(simple(1, 5, RELAYED), NOW + LIFE), Offer::Expired);
    assert_eq!(shelf.offer(simple(1, 5, RELAYED), NOW), Offer::Taken);
    assert!(shelf.fade(NOW + LIFE).is_empty());
    assert!(shelf.iter().all(|entry| entry.is_stale(NOW + LIFE)), "still shown, as stale");
    assert_eq!(shelf.digests(None, NOW + LIFE, |_| true).count(), 0, "but not offered to others");
    assert_eq!(shelf.fade(NOW + LIFE + STALE_SHOWN_MS).len(), 1);
    assert!(shelf.is_empty());
    assert_eq!(shelf.offer(simple(1, 4, RELAYED), NOW), Offer::Older);
    assert_eq!(shelf.offer(simple(1, 5, RELAYED), NOW + LIFE), Offer::Older);
    assert_eq!(shelf.offer(simple(1, 6, RELAYED), NOW), Offer::Taken);
}

#[test]
fn a_crowd_of_unknown_homes_leaves_room_for_known_ones() {
    let mut shelf = Shelf::new(20);
    let taken = (0..30u32).filter(|number| {
        let home = u8::try_from(*number).expect("small") + 100;
        shelf.offer(entry(*number, home, 1, "x", RELAYED, false), NOW) == Offer::Taken
    });
    assert_eq!(taken.count(), 10, "half of the shelf at most");
    for number in 100..110 {
        assert_eq!(shelf.offer(simple(number, 1, RELAYED), NOW), Offer::Taken);
    }
    assert_eq!(shelf.offer(simple(111, 1, RELAYED), NOW), Offer::OverQuota, "full is full");
    assert_eq!(shelf.offer(simple(105, 2, RELAYED), NOW), Offer::Taken, "an update needs no new place");
    assert_eq!(shelf.offer(simple(112, 1, FIRST_HAND), NOW), Offer::Taken, "the home itself makes room");
    assert_eq!(shelf.len(), 20);
}

#[test]
fn a_digest_list_pages_in_order_and_names_what_the_other_side_needs() {
    let (mut ours, mut theirs) = (Shelf::new(100), Shelf::new(100));
    for number in 0..10 {
        ours.offer(simple(number, 1, RELAYED), NOW);
        theirs.offer(simple(number, if number < 3 { 2 } else { 1 }, RELAYED), NOW);
    }
    theirs.offer(simple(50, 1, RELAYED), NOW);
    let first: Vec<_> = theirs.digests(None, NOW, |_| true).take(4).collect();
    let rest: Vec<_> = theirs.digests(first.last().map(|line| line.owner), NOW, |_| true).collect();
    let all: Vec<_> = first.into_iter().chain(rest).collect();
    assert_eq!(all.len(), 11);
    assert!(all.is_sorted_by_key(|line| line.owner));
    assert_eq!(all.iter().filter(|line| ours.wants(line, NOW)).count(), 4, "three newer, one missing");
}
