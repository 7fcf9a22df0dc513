//! Every way in which a card is refused, by name, next to the one that holds.

use super::*;
use crate::{
    founding::{DomainKeys, first_policy},
    registry::document::signed,
};
use comity_proto::{keys::SecretKey, limits::DOMAIN_DOCUMENT_BYTES_MAX};
use serde_json::json;

struct Acme {
    keys: DomainKeys,
    voter: SecretKey,
}

fn acme() -> Acme {
    let key = |seed| SecretKey::from_seed(&[seed; 32]);
    Acme { keys: DomainKeys { root: key(1).into(), operator: key(2) }, voter: key(3) }
}

impl Acme {
    fn unsigned(&self) -> Value {
        let policy = first_policy();
        let mut document = json!({
            "schema": SCHEMA, "domain": self.keys.domain(), "key": self.keys.root.public(), "nickname": "acme",
            "policy": PolicyView::from(&policy), "policy_hash": policy.digest(),
            "operator": { "edition": 1, "latitude": "52.52", "longitude": "13.40" },
            "roster": BASE64.encode(&self.keys.roster(4, &[self.voter.public()])), "checkpoint": null,
            "supply": { "standing": "federated", "assets": [] },
            "sequence": 7, "issued_at_ms": 1_000, "expires_at_ms": 2_000,
        });
        document["version"] = version_of(&document).into();
        document
    }

    fn card(&self) -> Value {
        signed(self.unsigned(), &self.voter)
    }

    fn judge(&self, card: &Value) -> Result<Judged, Wrong> {
        verify(card.to_string().as_bytes(), &self.keys.domain())
    }

    fn refused(&self, card: &Value) -> &'static str {
        self.judge(card).unwrap_err().code()
    }

    /// Signed well, by `key`, under any header.
    fn under(&self, header: &Value, key: &SecretKey) -> Value {
        let mut card = self.unsigned();
        // The header is the signer's own, so the signature is made by hand: a JWS over the same bytes.
        let protected = BASE64URL_NOPAD.encode(header.to_string().as_bytes());
        let text = format!("{protected}.{}", BASE64URL_NOPAD.encode(&canonical(&card)));
        let raw = ed25519_dalek::Signer::sign(&ed25519_dalek::SigningKey::from_bytes(&key.seed()), text.as_bytes());
        let signature = BASE64URL_NOPAD.encode(&raw.to_bytes());
        card["signatures"] = json!([{ "protected": protected, "signature": signature }]);
        card
    }
}

#[test]
fn a_card_of_the_expected_domain_holds_whatever_its_spelling() {
    let acme = acme();
    let judged = acme.judge(&acme.card()).unwrap();
    assert_eq!((judged.sequence, judged.roster_epoch, judged.signer), (7, 4, acme.voter.public()));
    let spread = serde_json::to_string_pretty(&acme.card()).unwrap();
    assert_eq!(verify(spread.as_bytes(), &acme.keys.domain()).unwrap(), judged);
    let by_root = signed(acme.unsigned(), acme.keys.root.secret());
    assert_eq!(acme.judge(&by_root).unwrap().signer, acme.keys.root.public());
}

#[test]
fn a_card_that_names_its_own_key_is_refused_before_any_signature() {
    let acme = acme();
    let mallory = SecretKey::from_seed(&[9; 32]);
    let kid = mallory.public().to_string();
    for name in KEYS_IN_HEADERS {
        let header = json!({ "alg": "EdDSA", "kid": kid, name: "https://mallory.example/jwks.json" });
        assert_eq!(acme.refused(&acme.under(&header, &mallory)), "key_in_card", "{name}");
    }
    let plain = json!({ "alg": "EdDSA", "kid": kid, "typ": "JOSE" });
    assert_eq!(acme.refused(&acme.under(&plain, &mallory)), "signer_not_of_domain");
    // Under a voter's name, with another key.
    let borrowed = json!({ "alg": "EdDSA", "kid": acme.voter.public().to_string(), "typ": "JOSE" });
    assert_eq!(acme.refused(&acme.under(&borrowed, &mallory)), "bad_signature");
    assert!(acme.judge(&acme.under(&borrowed, &acme.voter)).is_ok());
    // Her own root key and roster, under the name of acme.
    let hers = DomainKeys { root: mallory.clone().into(), operator: mallory.clone() };
    let mut card = acme.unsigned();
    card["roster"] = BASE64.encode(&hers.roster(1, &[mallory.public()])).into();
    assert_eq!(acme.refused(&signed(card.clone(), &mallory)), "bad_roster");
    card["key"] = json!(mallory.public());
    assert_eq!(acme.refused(&signed(card, &mallory)), "not_the_domains_key");
}

#[test]
fn headers_that_are_not_understood_are_refused() {
    let acme = acme();
    let kid = acme.voter.public().to_string();
    for header in [
        json!({ "alg": "none", "kid": kid }),
        json!({ "alg": "HS256", "kid": kid }),
        json!({ "alg": "EdDSA" }),
        json!({ "kid": kid }),
        json!({ "alg": "EdDSA", "kid": kid, "crit": ["exp"] }),
        json!({ "alg": "EdDSA", "kid": kid, "b64": false }),
    ] {
        assert_eq!(acme.refused(&acme.under(&header, &acme.voter)), "bad_header", "{header}");
    }
    let mut card = acme.card();
    card["signatures"][0]["header"] = json!({ "kid": kid });
    assert_eq!(acme.refused(&card), "bad_header");
    card["signatures"][0]["header"] = json!({ "jku": "https://mallory.example" });
    assert_eq!(acme.refused(&card), "key_in_card");
    let twice = r#"{"alg":"EdDSA","alg":"none"}"#;
    card["signatures"] = json!([{ "protected": BASE64URL_NOPAD.encode(twice.as_bytes()), "signature": "" }]);
    assert_eq!(acme.refused(&card), "duplicate_key");
}

#[test]
fn an_edited_card_another_domains_and_a_damaged_one_are_named() {
    let acme = acme();
    let mut edited = acme.card();
    edited["operator"]["latitude"] = "0.0".into();
    assert_eq!(acme.refused(&edited), "bad_signature");
    let mut edited = acme.card();
    edited["note"] = "added".into();
    assert_eq!(acme.refused(&edited), "bad_signature");
    // Edited and signed again by one who may: the hashes must be right too.
    let mut cheap = acme.unsigned();
    cheap["policy"]["escrow_fee_bps"] = 0.into();
    assert_eq!(acme.refused(&signed(cheap, &acme.voter)), "wrong_hash");
    let mut renamed = acme.unsigned();
    renamed["nickname"] = "acme-2".into();
    assert_eq!(acme.refused(&signed(renamed, &acme.voter)), "wrong_hash");

    let other = DomainId([9; 32]);
    let wrong = verify(acme.card().to_string().as_bytes(), &other).unwrap_err();
    assert_eq!(wrong.code(), "card_of_other_domain");
    for name in ["schema", "signatures", "sequence", "policy", "domain", "key"] {
        let mut part = acme.unsigned();
        part.as_object_mut().unwrap().remove(name);
        let part = if name == "signatures" { part } else { signed(part, &acme.voter) };
        assert_eq!(acme.refused(&part), "not_a_card", "{name}");
    }
    let mut eternal = acme.unsigned();
    eternal["expires_at_ms"] = (1_001 + CARD_VALID_MAX_MS).into();
    assert_eq!(acme.refused(&signed(eternal, &acme.voter)), "not_a_card");
    let padded = format!("{}{}", acme.card(), " ".repeat(DOMAIN_DOCUMENT_BYTES_MAX));
    assert_eq!(verify(padded.as_bytes(), &acme.keys.domain()).unwrap_err().code(), "card_too_large");
    let doubled = acme.card().to_string().replacen('{', r#"{"nickname":"evil","#, 1);
    assert_eq!(verify(doubled.as_bytes(), &acme.keys.domain()).unwrap_err().code(), "duplicate_key");
}

#[test]
fn a_list_of_revoked_certificates_is_the_root_keys_word_only() {
    let acme = acme();
    let other = SecretKey::from_seed(&[9; 32]);
    let list = |root: &SecretKey| {
        let domain = DomainId::of_key(&root.public());
        BASE64.encode(&Revocations { domain, epoch: 1, serials: vec![4] }.seal(root))
    };
    let with = |list: Value| {
        let mut card = acme.unsigned();
        card["revocations"] = list;
        signed(card, &acme.voter)
    };
    let version = |card: &Value| acme.judge(card).unwrap().version;
    assert_eq!(
        version(&with(list(acme.keys.root.secret()).into())),
        version(&acme.card()),
        "it moves under one version"
    );
    let by_voter = Revocations { domain: acme.keys.domain(), epoch: 1, serials: vec![4] }.seal(&acme.voter);
    for wrong in [list(&other).into(), BASE64.encode(&by_voter).into(), "AA==".into(), "?".into(), 4.into()] {
        assert_eq!(acme.refused(&with(wrong)), "bad_revocations");
    }
}

#[test]
fn an_older_card_and_a_second_one_of_a_sequence_take_no_place() {
    let acme = acme();
    let of = |sequence: u64, contact: &str| {
        let mut card = acme.unsigned();
        card["sequence"] = sequence.into();
        card["supply"]["standing"] = contact.into();
        acme.judge(&signed(card, &acme.voter)).unwrap()
    };
    let kept = of(7, "federated");
    assert_eq!(of(6, "federated").supersedes(&kept).unwrap_err().code(), "card_older");
    assert_eq!(of(7, "issuer").supersedes(&kept).unwrap_err().code(), "card_forked");
    assert_eq!(of(7, "federated").supersedes(&kept), Ok(()));
    assert_eq!(of(8, "issuer").supersedes(&kept), Ok(()));
    // Figures move under one version.
    assert_eq!(of(8, "issuer").version, kept.version);
}

#[test]
fn a_document_says_the_same_as_the_card_that_carries_it() {
    let acme = acme();
    let card = DomainCard {
        domain: acme.keys.domain(),
        key: acme.keys.root.public(),
        roster: acme.keys.roster(4, &[acme.voter.public()]),
        document: acme.card().to_string().into(),
        sequence: 7,
        issued_at_ms: 1_000,
        expires_at_ms: 2_000,
        retired: false,
    };
    let carried = |card: &DomainCard, key: &SecretKey| {
        let opened = DomainCard::open(&card.seal(key)).unwrap();
        is_carried_by(&opened).map_err(|wrong| wrong.code())
    };
    assert_eq!(carried(&card, &acme.voter), Ok(()));
    assert_eq!(carried(&card, acme.keys.root.secret()), Err("not_a_card"));
    assert_eq!(carried(&DomainCard { sequence: 8, ..card.clone() }, &acme.voter), Err("not_a_card"));
    assert_eq!(carried(&DomainCard { document: "{}".into(), ..card.clone() }, &acme.voter), Err("not_a_card"));
    let gone = DomainCard { retired: true, document: Default::default(), ..card };
    assert_eq!(carried(&gone, &acme.voter), Ok(()));
}
