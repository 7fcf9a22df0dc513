//! Treaties: the document, notices, invitations and pushes.

use crate::{
    cases::{Kind, bare, signed, with},
    samples::{self as s, secret},
};
use bytes::Bytes;
use comity_proto::{
    amount::AssetId,
    command::Verb,
    drift::{DriftNote, DriftPart},
    envelope::{Context, Signed as _, seal},
    ids::Hash,
    licence::{Licence, LicenceStatus},
    limits as l,
    treaty::{
        Charter, Door, ExposureCap, Invitation, TreatyDocument, TreatyNotice, TreatyParty, TreatyPush, TreatyStanding,
    },
};

/// All kinds of this file.
pub(crate) fn all() -> Vec<Kind> {
    vec![document_kind(), notice_kind(), invitation_kind(), push_kind(), licence_kind(), note_kind()]
}

fn cap(issuer: u8, code: &str) -> ExposureCap {
    let code = code.parse().expect("a code");
    ExposureCap {
        asset: AssetId { issuer: s::domain(issuer), code },
        cap: 1_000_000_000,
        majority_above: (code.as_str() == "USD").then_some(5_000_000),
    }
}

fn party(own: u8, other: u8, name: &str) -> TreatyParty {
    TreatyParty {
        key: s::key(own),
        nickname: name.parse().expect("a nickname"),
        caps: vec![cap(other, "EUR"), cap(other, "USD")],
        policy: s::policy().digest(),
    }
}

pub(crate) fn document() -> TreatyDocument {
    TreatyDocument::between(party(s::ALPHA, s::BETA, "alpha"), party(s::BETA, s::ALPHA, "beta"), None)
}

fn next() -> TreatyDocument {
    let before = (document().digest(), 1);
    TreatyDocument::between(party(s::ALPHA, s::BETA, "alpha"), party(s::BETA, s::ALPHA, "beta"), Some(before))
}

fn notice() -> TreatyNotice {
    TreatyNotice {
        from: s::domain(s::ALPHA),
        to: s::domain(s::BETA),
        serial: 3,
        standing: TreatyStanding::Suspended,
        denies: None,
        reason: "audit until Monday".parse().expect("a reason"),
    }
}

fn invitation() -> Invitation {
    let door = |node, address: &str| Door { node: s::key(node), address: address.parse().expect("an address") };
    Invitation {
        secret: [0x51; 32],
        nickname: "alpha".parse().expect("a nickname"),
        asset: "USD".parse().expect("a code"),
        cap: 1_000_000_000,
        policy: s::policy().digest(),
        ends_at_ms: s::NOW + 86_400_000,
        invitee: None,
        majority_above: Some(5_000_000),
        doors: vec![door(s::NODE, "/ip4/192.0.2.7/tcp/7401"), door(s::NODE_2, "/dns4/alpha.example/tcp/7401")],
    }
}

fn proposal() -> TreatyPush {
    TreatyPush::Proposal {
        document: document().seal(&secret(s::BETA)),
        invitation: invitation().seal(&secret(s::ALPHA)),
        roster: s::roster_envelope(),
        endpoints: vec!["/ip4/192.0.2.8/tcp/7401".parse().expect("an address")],
    }
}

fn approval() -> TreatyPush {
    TreatyPush::Approval {
        document: document().seal(&secret(s::ALPHA)),
        countersigned: document().seal(&secret(s::BETA)),
        roster: s::roster_envelope(),
        endpoints: vec![],
    }
}

/// A push in its encoding.
pub(crate) fn push() -> Bytes {
    proposal().encode()
}

/// What an operator asks of its ledger about treaties.
pub(crate) fn verbs() -> Vec<Verb> {
    let root = || secret(s::ALPHA);
    let invitee = Some(s::domain(s::BETA));
    let secret_hash = invitation().secret_hash();
    vec![
        Verb::InvitePeer {
            secret_hash,
            cap: 1_000_000_000,
            ends_at_ms: s::NOW + 86_400_000,
            invitee,
            majority_above: None,
        },
        Verb::ProposeTreaty { document: next().seal(&root()), invitation: Bytes::new() },
        Verb::ApproveTreaty {
            document: document().seal(&root()),
            countersigned: document().seal(&secret(s::BETA)),
            roster: s::roster_envelope(),
        },
        Verb::ChangeTreaty { notice: notice().seal(&root()) },
        Verb::IssueLicence { licence: licence().seal(&root()) },
    ]
}

fn charter(child: u8) -> Charter {
    let capabilities = ["text.count", "text.statistics"].map(|text| text.parse().expect("a capability")).to_vec();
    Charter { child: s::domain(child), cap_max: Some(500), capabilities }
}

fn document_kind() -> Kind {
    let root = || secret(s::ALPHA);
    let sealed = |document: TreatyDocument| document.seal(&root());
    let parties = |change: &dyn Fn(&mut [TreatyParty; 2])| {
        let mut document = document();
        change(&mut document.parties);
        sealed(document)
    };
    let free = Charter { cap_max: None, capabilities: vec![], ..charter(s::ALPHA) };
    let under = |change: &dyn Fn(&mut Charter)| {
        let mut charter = charter(s::BETA);
        change(&mut charter);
        sealed(next().under(Some(charter)))
    };
    let valid = vec![
        ("by-one", document(), root()),
        ("by-the-other", document(), secret(s::BETA)),
        ("second-version", next(), root()),
        ("one-under-the-other", next().under(Some(charter(s::BETA))), root()),
        ("under-without-limits", next().under(Some(free)), root()),
    ];
    let payload = document().encode();
    let raw = |bytes: Vec<u8>| seal(Context::Treaty, bytes.into(), &root());
    signed("treaty", valid, (1, "previous")).refusing(vec![
        ("version-zero", sealed(TreatyDocument { version: 0, ..document() }), "out_of_range", Some("version")),
        ("first-with-one-before", sealed(TreatyDocument { version: 1, ..next() }), "out_of_range", Some("version")),
        ("second-without", sealed(TreatyDocument { version: 2, ..document() }), "out_of_range", Some("version")),
        ("one-party", raw(with(&payload, 4, |_| None)), "missing_field", Some("high")),
        ("parties-out-of-order", parties(&|both| both.reverse()), "out_of_range", Some("parties")),
        ("with-itself", parties(&|both| both[1] = both[0].clone()), "out_of_range", Some("parties")),
        ("caps-out-of-order", parties(&|both| both[0].caps.reverse()), "out_of_range", Some("caps")),
        ("cap-twice", parties(&|both| both[0].caps[1] = both[0].caps[0]), "out_of_range", Some("caps")),
        ("cap-of-a-third", parties(&|both| both[0].caps[1] = cap(s::NODE, "USD")), "out_of_range", Some("caps")),
        (
            "too-many-caps",
            parties(&|both| both[0].caps = vec![both[0].caps[0]; l::EXPOSURE_CAPS_MAX + 1]),
            "too_large",
            Some("exposure_caps"),
        ),
        ("child-that-is-no-party", under(&|it| it.child = s::domain(s::NODE)), "out_of_range", Some("child")),
        ("capabilities-out-of-order", under(&|it| it.capabilities.reverse()), "out_of_range", Some("capabilities")),
        (
            "too-many-capabilities",
            under(&|it| it.capabilities = vec![it.capabilities[0].clone(); l::CHARTER_CAPABILITIES_MAX + 1]),
            "too_large",
            Some("charter_capabilities"),
        ),
    ])
}

fn notice_kind() -> Kind {
    let root = || secret(s::ALPHA);
    let with_standing = |standing| TreatyNotice { standing, ..notice() };
    let denial = TreatyNotice { denies: Some(Hash([9; 32])), ..with_standing(TreatyStanding::Active) };
    let valid = vec![
        ("suspended", notice(), root()),
        ("denied", denial, root()),
        ("draining", with_standing(TreatyStanding::Draining), root()),
        ("revoked", with_standing(TreatyStanding::Revoked), root()),
    ];
    let payload = notice().encode();
    let raw = |bytes: Vec<u8>| seal(Context::TreatyNotice, bytes.into(), &root());
    // Field 4 of one byte, after two ids of 34 bytes and a serial of two.
    let standing = |n| [&payload[..71], &[n], &payload[72..]].concat();
    assert_eq!(payload[70], 0x20);
    signed("treaty_notice", valid, (1, "from")).refusing(vec![
        ("standing-unspecified", raw([&payload[..70], &payload[72..]].concat()), "wrong_kind", Some("standing")),
        ("standing-unknown", raw(standing(9)), "wrong_kind", Some("standing")),
        ("by-the-other", notice().seal(&secret(s::BETA)), "wrong_signer", None),
        ("reason-with-a-line-break", raw(with(&payload, 6, |_| Some(vec![7]))), "bad_text", Some("reason")),
    ])
}

pub(crate) fn note() -> DriftNote {
    let (domain, peer) = (s::domain(s::ALPHA), s::domain(s::BETA));
    DriftNote { domain, peer, serial: 3, parts: vec![DriftPart::Supply, DriftPart::Cards], quarantines: true }
}

fn note_kind() -> Kind {
    let ended = DriftNote { parts: Vec::new(), quarantines: false, ..note() };
    let valid = vec![("drift", note(), secret(s::NODE)), ("agreed-again", ended, secret(s::NODE))];
    let payload = note().encode();
    let of_unknown_part = [&payload[..payload.len() - 4], &[0x20, 32, 0x28, 1]].concat();
    signed("drift_note", valid, (1, "domain")).refusing(vec![
        ("serial-zero", DriftNote { serial: 0, ..note() }.seal(&secret(s::NODE)), "out_of_range", Some("serial")),
        (
            "of-an-unknown-part",
            seal(Context::DriftNote, of_unknown_part.into(), &secret(s::NODE)),
            "out_of_range",
            Some("parts"),
        ),
    ])
}

fn licence() -> Licence {
    Licence {
        from: s::domain(s::ALPHA),
        holder: s::key(s::BETA),
        epoch: 2,
        tier: "basic".parse().expect("a tier"),
        agents_max: 100,
        events_per_minute: 1_000,
        expires_at_ms: s::NOW + 86_400_000,
        status: LicenceStatus::Active,
        reason: "the pilot".parse().expect("a reason"),
        bearer: None,
    }
}

fn licence_kind() -> Kind {
    let root = || secret(s::ALPHA);
    let with_status = |status| Licence { status, ..licence() };
    let valid = vec![
        ("active", licence(), root()),
        ("suspended", with_status(LicenceStatus::Suspended), root()),
        ("revoked", with_status(LicenceStatus::Revoked), root()),
        ("bearer", Licence { bearer: Some(Hash([7; 32])), ..licence() }, root()),
    ];
    let payload = licence().encode();
    let raw = |bytes: Vec<u8>| seal(Context::Licence, bytes.into(), &root());
    signed("licence", valid, (1, "from")).refusing(vec![
        ("status-unspecified", raw(with(&payload, 8, |_| None)), "wrong_kind", Some("status")),
        ("epoch-zero", Licence { epoch: 0, ..licence() }.seal(&root()), "out_of_range", Some("epoch")),
        ("by-its-holder", licence().seal(&secret(s::BETA)), "wrong_signer", None),
        ("holder-missing", raw(with(&payload, 2, |_| None)), "wrong_length", Some("holder")),
        ("bearer-too-short", raw([&payload[..], &[0x52, 1, 7]].concat()), "wrong_length", Some("bearer")),
        ("tier-with-capitals", raw(with(&payload, 4, |_| Some(b"Gold".to_vec()))), "bad_text", Some("nickname")),
    ])
}

fn invitation_kind() -> Kind {
    let root = || secret(s::ALPHA);
    let bound = Invitation { invitee: Some(s::domain(s::BETA)), ..invitation() };
    let valid = vec![("for-anybody", invitation(), root()), ("for-one-domain", bound, root())];
    let doors = |doors| Invitation { doors, ..invitation() }.seal(&root());
    let door = invitation().doors[0].clone();
    signed("invitation", valid, (1, "secret")).refusing(vec![
        ("no-doors", doors(vec![]), "missing_field", Some("doors")),
        ("too-many-doors", doors(vec![door; l::DOORS_MAX + 1]), "too_large", Some("doors")),
    ])
}

fn push_kind() -> Kind {
    let again = |bytes: &Bytes| Ok(TreatyPush::decode(bytes)?.encode());
    let notice = TreatyPush::Notice(notice().seal(&secret(s::ALPHA))).encode();
    let valid = vec![
        ("proposal", proposal().encode()),
        ("approval", approval().encode()),
        ("notice", notice.clone()),
        ("licence", TreatyPush::Licence(licence().seal(&secret(s::ALPHA))).encode()),
        ("roster", TreatyPush::Roster(s::roster_envelope()).encode()),
        ("key", TreatyPush::Key(crate::key_steps::operators().seal(&secret(s::ALPHA))).encode()),
    ];
    let TreatyPush::Proposal { document, invitation, roster, endpoints } = proposal() else { unreachable!() };
    let crowded = vec![endpoints[0].clone(); l::ENDPOINTS_MAX + 1];
    let crowded = TreatyPush::Proposal { document, invitation, roster, endpoints: crowded }.encode();
    let later = [&[8, 3], &notice[2..], &[0xc0, 0x0c, 1]].concat();
    bare("treaty_push", again, valid, l::TREATY_PUSH_BYTES_MAX + 1).refusing(vec![
        ("of-no-kind", Bytes::from_static(&[8, 2]), "wrong_kind", Some("treaty_push")),
        ("version-from-the-future", later.into(), "unknown_version", None),
        ("too-many-endpoints", crowded, "too_large", Some("endpoints")),
    ])
}

#[test]
fn the_text_of_an_invitation_is_read_back_and_no_letter_of_it_can_change() {
    let envelope = invitation().seal(&secret(s::ALPHA));
    let text = Invitation::text(&envelope);
    assert_eq!(Invitation::parse(&format!(" {text}\n")).expect("read back").envelope_bytes(), &envelope);
    for at in 0..text.len() {
        let mut edited = text.clone().into_bytes();
        edited[at] = if edited[at] == b'a' { b'b' } else { b'a' };
        let edited = String::from_utf8(edited).expect("ascii");
        let refused = Invitation::parse(&edited).expect_err("edited");
        assert_eq!((refused.code(), refused.field()), ("bad_text", Some("invitation")), "letter {at}");
        assert!(Invitation::parse(&text[..at]).is_err(), "cut at {at}");
    }
    let mut forged = envelope.to_vec();
    forged[50] ^= 1;
    // Edited with a checksum of its own: the signature tells.
    let refused = Invitation::parse(&Invitation::text(&forged.into())).expect_err("forged");
    assert_eq!(refused.code(), "bad_signature");
}

#[test]
fn the_fingerprint_changes_with_every_term_and_key() {
    let fingerprint = document().fingerprint();
    assert_ne!(next().fingerprint(), fingerprint);
    let mut other = document();
    other.parties[0].caps[0].cap += 1;
    assert_ne!(other.fingerprint(), fingerprint);
    let other = TreatyDocument::between(party(s::ALPHA, s::NODE, "alpha"), party(s::NODE, s::ALPHA, "beta"), None);
    assert_ne!(other.fingerprint(), fingerprint);
}
