use comity_proto::keys::SecretKey;
use comity_proto::text::{Description, Nickname};

use super::*;

const NOW: u64 = 1_000_000_000_000;
const HOME: DomainId = DomainId([1; 32]);
const AT_HOME: PublicKey = PublicKey([2; 32]);

fn card(sequence: u64) -> Verified<AgentCard> {
    let key = SecretKey::from_seed(&[7; 32]);
    let card = AgentCard {
        agent: AgentId::of_key(&key.public()),
        home: HOME,
        key: key.public(),
        name: Nickname::new("n").expect("short"),
        description: Description::new("x").expect("short"),
        capabilities: Vec::new(),
        price: None,
        accepts: Default::default(),
        sequence,
        issued_at_ms: NOW,
        expires_at_ms: NOW + 1_000,
        retired: false,
        public: true,
        custodial: false,
        attestation: Bytes::new(),
    };
    AgentCard::open(&card.seal(&key)).expect("well made")
}

/// The ways by which a gateway can hear a card before its home shows it.
fn detours() -> [Path; 3] {
    let sibling = PublicKey([9; 32]);
    let gateway = DomainId([3; 32]);
    [Path::Relayed(sibling), Path::Bridged { by: sibling, gateway, hops: 1 }, Path::Stored]
}

fn heard(directory: &mut Directory, paths: &[Path]) {
    for path in paths {
        let checked = Checked::Agent(card(5), VerifiedBy::OwnFirstKey);
        directory.offer(checked, *path, &Trust::default(), NOW, NOW);
    }
}

fn passes(directory: &Directory) -> bool {
    directory.passable(&HOME, NOW) == [card(5).envelope_bytes().clone()]
}

#[test]
fn a_gateway_passes_what_a_home_showed_it_whatever_way_was_faster() {
    for detour in detours() {
        let at_hand = Path::FirstHand(AT_HOME);
        for order in [[detour, at_hand], [at_hand, detour]] {
            let mut directory = Directory::new(false);
            heard(&mut directory, &order[..1]);
            assert_eq!(passes(&directory), order[0] == at_hand, "{detour:?} alone shows nothing");
            heard(&mut directory, &order[1..]);
            assert!(passes(&directory), "{order:?}");
        }
    }
}

#[test]
fn a_home_that_tells_of_a_card_has_shown_it() {
    let digest = |sequence| {
        let rank = rank(&card(sequence));
        CardDigest { owner: Owner::Agent(card(sequence).get().agent), sequence: rank.sequence, digest: rank.digest }
    };
    for detour in detours() {
        let mut directory = Directory::new(false);
        heard(&mut directory, &[detour]);
        directory.shown_by_home(AT_HOME, &DomainId([4; 32]), Some(&[digest(5)]));
        directory.shown_by_home(AT_HOME, &DomainId([4; 32]), None);
        directory.shown_by_home(AT_HOME, &HOME, Some(&[digest(6)]));
        assert!(!passes(&directory), "another home, another edition");
        directory.shown_by_home(AT_HOME, &HOME, Some(&[digest(5)]));
        assert!(passes(&directory));
        heard(&mut directory, &[detour]);
        assert!(passes(&directory), "and what others say later takes nothing back");
        let mut directory = Directory::new(false);
        heard(&mut directory, &[detour]);
        directory.shown_by_home(AT_HOME, &HOME, None);
        assert!(passes(&directory), "it holds the same set");
    }
}
