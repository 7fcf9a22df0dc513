//! What a later root key signs: the links beside it, each way in which they can be wrong, and what a judge makes of them.

use crate::{
    cases::{Kind, field, fields, signed},
    samples::{self as s, secret},
};
use bytes::Bytes;
use comity_proto::{
    envelope::{Context, Sealer as _, Signed as _, Verified, seal},
    gossip::Heartbeat,
    identity::Roster,
    ids::DomainId,
    keys::SecretKey,
    limits::{ROOT_LINK_BYTES, ROOT_LINKS_MAX},
    reject::Reject,
    roots::{NotRoot, RootKey, RootKeys, follow_links},
};

/// The second and third root key of alpha.
const SECOND: u8 = 41;
const THIRD: u8 = 42;

/// The last of these root keys of the domain of the first one.
pub(crate) fn line(seeds: &[u8]) -> RootKey {
    let mut root = RootKey::from(secret(seeds[0]));
    for seed in &seeds[1..] {
        let next = secret(*seed);
        let links = root.links_to(&next).expect("a key that was not used");
        root = RootKey::along(links, next).expect("links that hold");
    }
    root
}

/// An envelope of the sample roster by this key, with these links.
fn with_links(key: &SecretKey, links: &[u8]) -> Bytes {
    let mut envelope = seal(Context::Roster, s::roster().encode(), key).to_vec();
    field(&mut envelope, 4, links);
    envelope.into()
}

fn opened(root: &RootKey) -> Verified<Roster> {
    Roster::open(&Roster { domain: root.domain(), ..s::roster() }.seal(root)).expect("a roster by a root key")
}

/// Opens, and signs again with the root key that signed.
fn again(envelope: &Bytes) -> Result<Bytes, Reject> {
    let roster = Roster::open(envelope)?;
    let all = [&[s::ALPHA][..], &[s::ALPHA, SECOND], &[s::ALPHA, SECOND, THIRD]].map(line);
    let root = all.iter().find(|root| root.signer() == roster.signer()).ok_or(Reject::WrongSigner)?;
    Ok(roster.get().seal(root))
}

pub(crate) fn kind() -> Kind {
    let (second, third) = (line(&[s::ALPHA, SECOND]), line(&[s::ALPHA, SECOND, THIRD]));
    let links = second.path().to_vec();
    let flipped = |at: usize| {
        let mut links = links.clone();
        links[at] ^= 1;
        with_links(&secret(SECOND), &links)
    };
    let one_more = line(&(50..=50 + u8::try_from(ROOT_LINKS_MAX).expect("few")).collect::<Vec<_>>());
    let too_many = [one_more.path().as_ref(), &links].concat();
    let of_beta = line(&[s::BETA, SECOND]);
    let mut kind = signed("rooted", vec![("first", s::roster(), secret(s::ALPHA))], (1, "domain")).refusing(vec![
        ("link-cut", with_links(&secret(SECOND), &links[..ROOT_LINK_BYTES - 1]), "malformed", None),
        ("link-missing", seal(Context::Roster, s::roster().encode(), &secret(SECOND)), "wrong_signer", None),
        ("link-to-another-key", with_links(&secret(THIRD), &links), "bad_signature", None),
        ("links-out-of-order", with_links(&secret(THIRD), &third.path()[ROOT_LINK_BYTES..]), "bad_signature", None),
        ("link-not-signed", flipped(40), "bad_signature", None),
        ("link-not-agreed", flipped(ROOT_LINK_BYTES - 1), "bad_signature", None),
        ("links-of-another-domain", with_links(&secret(SECOND), of_beta.path()), "wrong_signer", None),
        ("links-too-many", with_links(&secret(SECOND), &too_many), "too_large", Some("root_links")),
    ]);
    kind.again = again;
    kind.valid.extend([("second", s::roster().seal(&second)), ("third", s::roster().seal(&third))]);
    kind
}

#[test]
fn what_a_later_root_key_signs_is_of_the_domain_that_the_first_one_names() {
    let third = line(&[s::ALPHA, SECOND, THIRD]);
    let roster = opened(&third);
    assert_eq!((roster.key(), roster.first_key()), (&s::key(THIRD), &s::key(s::ALPHA)));
    assert_eq!((third.domain(), roster.signer().number()), (s::domain(s::ALPHA), 2));
    let keys: Vec<_> = roster.signer().keys().copied().collect();
    assert_eq!(keys, [s::ALPHA, SECOND, THIRD].map(s::key));
    assert_eq!(follow_links(third.path(), &s::key(THIRD), &s::domain(s::ALPHA)).as_ref(), Ok(roster.signer()));
    assert_eq!(follow_links(third.path(), &s::key(THIRD), &s::domain(s::BETA)), Err(Reject::WrongSigner));
}

#[test]
fn a_key_follows_once_and_only_so_many_do() {
    let all: Vec<u8> = (50..=50 + u8::try_from(ROOT_LINKS_MAX).expect("few")).collect();
    let last = line(&all);
    assert_eq!(opened(&last).signer().number(), ROOT_LINKS_MAX);
    assert!(matches!(last.links_to(&secret(99)), Err(Reject::TooLarge { limit: "root_links", .. })));
    let second = line(&[s::ALPHA, SECOND]);
    for seed in [s::ALPHA, SECOND] {
        assert_eq!(second.links_to(&secret(seed)), Err(Reject::OutOfRange { field: "root_links" }));
    }
}

#[test]
fn links_beside_what_no_root_key_signs_are_refused() {
    let mut envelope = s::heartbeat().seal(&secret(s::NODE)).to_vec();
    field(&mut envelope, 4, line(&[s::ALPHA, SECOND]).path());
    let refused = Heartbeat::open(&envelope.into()).map(|_| ());
    assert_eq!(refused, Err(Reject::TooLarge { limit: "root_links", max: 0 }));
}

#[test]
fn links_taken_from_one_message_make_no_other_one_true() {
    // Whoever holds a key that never agreed cannot stand behind somebody's links, and links alone sign nothing.
    let second = line(&[s::ALPHA, SECOND]);
    let stolen = with_links(&secret(77), second.path());
    assert_eq!(Roster::open(&stolen).map(|_| ()), Err(Reject::BadSignature));
    let honest = s::roster().seal(&second);
    let parts: Vec<u32> = fields(&honest).iter().map(|(number, ..)| *number).collect();
    assert_eq!(parts, [1, 2, 3, 4]);
    // The signed bytes are those of every other message: links are proved by their own signatures.
    assert_eq!(second.seal_payload(Context::Roster, s::roster().encode()), honest);
}

#[test]
fn a_judge_believes_the_key_that_acts_those_after_it_and_the_one_before_for_a_while() {
    let [first, second, third] = [&[s::ALPHA][..], &[s::ALPHA, SECOND], &[s::ALPHA, SECOND, THIRD]].map(line);
    let judged = |known: &RootKeys, root: &RootKey, now_ms| known.signed(&opened(root), now_ms);
    let pinned = RootKeys::first(s::key(s::ALPHA));
    for root in [&first, &second, &third] {
        assert_eq!(judged(&pinned, root, 0), Ok(()), "nothing else is known to follow");
    }
    let known = RootKeys { before_until_ms: Some(9), ..RootKeys::of(second.signer()) };
    assert_eq!((judged(&known, &first, 9), judged(&known, &first, 10)), (Ok(()), Err(NotRoot::Retired)));
    assert_eq!((judged(&known, &second, 10), judged(&known, &third, 10)), (Ok(()), Ok(())));
    let moved_on = RootKeys::of(third.signer());
    assert_eq!([&first, &second].map(|root| judged(&moved_on, root, 0)), [Err(NotRoot::Retired); 2]);
    for root in [&first, &second, &third] {
        assert_eq!(moved_on.has_line_of(root.signer()), Ok(()), "what it once signed, this domain said");
    }
    assert_eq!(moved_on.in_use(0).collect::<Vec<_>>(), [s::key(THIRD)]);
}

#[test]
fn of_two_keys_that_follow_one_the_first_that_was_known_stands() {
    let (second, fork) = (line(&[s::ALPHA, SECOND]), line(&[s::ALPHA, 77]));
    let judged = |known: &RootKeys, root: &RootKey| known.signed(&opened(root), 0);
    let known = RootKeys { before_until_ms: Some(1), ..RootKeys::of(second.signer()) };
    assert_eq!(judged(&known, &fork), Err(NotRoot::Forked), "though the key before still counts");
    assert_eq!(judged(&known, &line(&[s::ALPHA, 77, 78])), Err(NotRoot::Forked), "however long it is");
    let prepared = RootKeys { next: Some(s::key(SECOND)), ..RootKeys::first(s::key(s::ALPHA)) };
    assert_eq!((judged(&prepared, &second), judged(&prepared, &fork)), (Ok(()), Err(NotRoot::Forked)));
    assert_eq!(judged(&prepared, &line(&[s::BETA])), Err(NotRoot::Foreign));
    let taken_back = RootKeys { revoked: vec![s::key(SECOND)], ..RootKeys::first(s::key(s::ALPHA)) };
    assert_eq!(judged(&taken_back, &second), Err(NotRoot::Retired));
    assert_eq!(judged(&taken_back, &line(&[s::ALPHA, SECOND, THIRD])), Err(NotRoot::Retired), "nor what follows it");
    assert_eq!(taken_back.has_line_of(second.signer()), Err(NotRoot::Retired), "it never was one");
    assert_eq!(known.has_line_of(fork.signer()), Err(NotRoot::Forked));
}

#[test]
fn no_change_of_the_links_makes_another_signer() {
    let third = line(&[s::ALPHA, SECOND, THIRD]);
    for at in 0..third.path().len() {
        let mut links = third.path().to_vec();
        links[at] ^= 1 << (at % 8);
        let found = follow_links(&links.into(), &s::key(THIRD), &DomainId::of_key(&s::key(s::ALPHA)));
        assert!(found.is_err(), "byte {at}");
    }
}
