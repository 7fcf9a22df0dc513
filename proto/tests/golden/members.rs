//! Who lives: suspicions, and what neighbours tell each other.

use crate::{
    cases::{Kind, bare, signed},
    samples::{self as s, secret},
};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    gossip::{MemberDigest, Members, Suspicion},
    ids::Hash,
    limits as l,
    passage::Passage,
};

fn told() -> Suspicion {
    Suspicion { suspect: s::key(s::NODE_2), sequence: 12, by: s::key(s::NODE) }
}

pub(crate) fn suspicion() -> Kind {
    signed("suspicion", vec![("suspicion", told(), secret(s::NODE))], (1, "suspect"))
}

fn passed() -> Passage {
    Passage {
        card: Hash([4; 32]),
        home: s::domain(s::BETA),
        gateway: s::domain(s::ALPHA),
        node: s::key(s::NODE),
        to: s::domain(s::OPERATOR),
        hops: 1,
        passed_at_ms: s::NOW,
        certificate: s::certificate().seal(&secret(s::ALPHA)),
    }
}

pub(crate) fn passage() -> Kind {
    let over = |hops| Passage { hops, ..passed() }.seal(&secret(s::NODE));
    let kind = signed("passage", vec![("passage", passed(), secret(s::NODE))], (1, "card"));
    kind.refusing(vec![
        ("no-gateway-passed", over(0), "out_of_range", Some("hops")),
        ("two-gateways-passed", over(2), "out_of_range", Some("hops")),
    ])
}

pub(crate) fn members() -> Kind {
    let again = |bytes: &Bytes| Ok(Members::decode(bytes)?.encode());
    let (one, other) = (s::key(s::NODE).min(s::key(s::NODE_2)), s::key(s::NODE).max(s::key(s::NODE_2)));
    let item = |node| MemberDigest { node, sequence: 12, suspicions: 1 };
    let page = |items| Members::Page { items, complete: true }.encode();
    let words = vec![s::heartbeat().seal(&secret(s::NODE)), told().seal(&secret(s::NODE))];
    let valid = vec![
        ("page", page(vec![item(one), item(other)])),
        ("ping", Members::Ping { sequence: 12, suspected: true }.encode()),
        ("ping-of-an-unknown", Members::Ping { sequence: 0, suspected: false }.encode()),
        ("pong", Members::Pong { sequence: 13 }.encode()),
        ("reach", Members::Reach { node: one }.encode()),
        ("reached", Members::Reached { answers: true }.encode()),
        ("not-reached", Members::Reached { answers: false }.encode()),
        ("ask-from-the-beginning", Members::Ask { after: None }.encode()),
        ("ask-after", Members::Ask { after: Some(one) }.encode()),
        ("want", Members::Want { nodes: vec![one, other] }.encode()),
        ("words", Members::Words { words }.encode()),
    ];
    let many = |count: usize| Members::Words { words: vec![Bytes::new(); count] }.encode();
    let long = Members::Words { words: vec![vec![7; l::HEARTBEAT_BYTES_MAX + l::ENVELOPE_OVERHEAD_BYTES + 1].into()] };
    bare("members", again, valid, l::MEMBERS_BYTES_MAX + 1).refusing(vec![
        ("of-no-kind", Bytes::new(), "wrong_kind", Some("members")),
        ("page-out-of-order", page(vec![item(other), item(one)]), "out_of_range", Some("members")),
        ("page-too-long", page(vec![item(one); l::MEMBERS_PER_PAGE_MAX + 1]), "too_large", Some("members")),
        ("too-many-nodes", Members::Want { nodes: vec![one; 65] }.encode(), "too_large", Some("nodes")),
        ("too-many-words", many(l::MEMBER_WORDS_MAX + 1), "too_large", Some("words")),
        ("word-too-long", long.encode(), "too_large", Some("word_bytes")),
        ("node-too-short", Bytes::from_static(&[0x1a, 3, 0x0a, 1, 7]), "wrong_length", Some("node")),
    ])
}
