//! Steps in the life of a key.

use crate::{
    cases::{Kind, signed, with},
    samples::{self as s, secret},
};
use bytes::Bytes;
use comity_proto::{
    envelope::{Context, Signed as _, seal},
    identity::NodeCertificate,
    key_step::{KeyChange, KeyStep},
    limits as l,
};

pub(crate) fn operators() -> KeyStep {
    KeyStep {
        domain: s::domain(s::ALPHA),
        place: None,
        serial: 1,
        change: KeyChange::Prepare,
        key: s::key(s::OPERATOR),
        overlap_ms: 0,
        proof: KeyStep::prove(&s::domain(s::ALPHA), &secret(s::OPERATOR)),
        reason: "every year".parse().expect("a reason"),
    }
}

fn of_node(change: KeyChange) -> KeyStep {
    let certificate = NodeCertificate { node: s::key(s::NODE_2), ..s::certificate() };
    let proof = if change == KeyChange::Prepare { certificate.seal(&secret(s::ALPHA)) } else { Bytes::new() };
    KeyStep { place: Some(s::key(s::NODE)), change, key: s::key(s::NODE_2), proof, ..operators() }
}

pub(crate) fn kind() -> Kind {
    let root = || secret(s::ALPHA);
    let activated = KeyStep { serial: 2, change: KeyChange::Activate, overlap_ms: 3_600_000, ..operators() };
    let valid = vec![
        ("operator-prepares", operators(), root()),
        ("operator-activates", KeyStep { proof: Bytes::new(), ..activated }, root()),
        ("node-prepares", of_node(KeyChange::Prepare), secret(s::NODE)),
        ("node-retires", of_node(KeyChange::Retire), secret(s::NODE_2)),
        ("node-revokes", of_node(KeyChange::Revoke), root()),
    ];
    let payload = operators().encode();
    let raw = |bytes: Vec<u8>| seal(Context::KeyStep, bytes.into(), &root());
    let long = KeyStep { proof: vec![7; l::CERTIFICATE_BYTES_MAX + 1].into(), ..operators() };
    signed("key_step", valid, (1, "domain")).refusing(vec![
        ("operator-by-itself", operators().seal(&secret(s::OPERATOR)), "wrong_signer", None),
        ("change-unspecified", raw(with(&payload, 4, |_| None)), "wrong_kind", Some("change")),
        ("serial-zero", KeyStep { serial: 0, ..operators() }.seal(&root()), "out_of_range", Some("serial")),
        ("half-a-key", raw(with(&payload, 5, |_| Some(vec![1; 16]))), "wrong_length", Some("key")),
        ("proof-too-long", long.seal(&root()), "too_large", Some("certificate_bytes")),
        ("reason-with-a-bell", raw(with(&payload, 8, |_| Some(vec![7]))), "bad_text", Some("reason")),
    ])
}

#[test]
fn an_operators_key_agrees_for_one_domain_only() {
    assert!(operators().is_agreed());
    assert!(!KeyStep { domain: s::domain(s::BETA), ..operators() }.is_agreed());
    assert!(!KeyStep { key: s::key(s::NODE), ..operators() }.is_agreed());
    assert!(!KeyStep { proof: Bytes::new(), ..operators() }.is_agreed());
}
