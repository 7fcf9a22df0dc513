//! What nodes ask each other, and what one domain signs about another's log.

use crate::{
    cases::{Kind, bare, signed, with},
    samples::{self as s, secret},
};
use bytes::Bytes;
use comity_proto::{
    envelope::{Context, Signed as _, seal},
    identity::Roster,
    ids::Hash,
    limits as l,
    projection::{Excerpt, Projection, ProvedEvent},
    relay::{Answer, Cosignature, NotNow, Question, Receipt},
};

pub(crate) fn question() -> Kind {
    let again = |bytes: &Bytes| Ok(Question::decode(bytes)?.encode());
    let commands = Question::Commands(s::transfer_batch().seal(&secret(s::PAYER))).encode();
    let here = Question::IsHere(s::agent(s::WORKER)).encode();
    let later = [&[8, 2], &here[2..], &[0xc0, 0x0c, 1]].concat();
    let document = |length: usize| Bytes::from(vec![7; length]);
    let too_long = document(l::AUDIT_DOCUMENT_BYTES_MAX + 1);
    let given = |note: Bytes| Question::Given { request: s::task().seal(&secret(s::PAYER)), note };
    let valid = vec![
        ("is-here", here.clone()),
        ("commands", commands),
        ("extend", Question::Extend(256).encode()),
        ("extend-nothing", Question::Extend(0).encode()),
        ("cosigned", Question::Cosigned(s::cosignature().seal(&secret(s::NODE))).encode()),
        ("seen", Question::Seen(document(40)).encode()),
        ("accusation", Question::Accusation(document(40)).encode()),
        ("bundle", Question::Bundle.encode()),
        ("given", given(Bytes::from_static(b"{}")).encode()),
        ("word", Question::Word(s::domain(s::BETA), comity_proto::ids::TransferId([0x77; 16])).encode()),
        ("told", Question::Told(s::answers().seal(&secret(s::NODE))).encode()),
        ("concerning", Question::Concerning { from: 3, held: 256, size: 512 }.encode()),
        ("concerning-from-the-first", Question::Concerning { from: 0, held: 0, size: 1 }.encode()),
    ];
    bare("question", again, valid, l::QUESTION_BYTES_MAX + 1).refusing(vec![
        ("seen-too-long", Question::Seen(too_long).encode(), "too_large", Some("audit_document_bytes")),
        (
            "accusation-too-long",
            Question::Accusation(document(l::ACCUSATION_BYTES_MAX + 1)).encode(),
            "too_large",
            Some("accusation_bytes"),
        ),
        ("of-no-kind", Bytes::from_static(&[8, 1]), "wrong_kind", Some("question")),
        ("note-too-long", given(document(l::TASK_NOTE_BYTES_MAX + 1)).encode(), "too_large", Some("task_note_bytes")),
        ("bundle-not-asked-for", Bytes::from_static(&[8, 1, 0x40, 0]), "wrong_kind", Some("bundle")),
        ("version-from-the-future", later.into(), "unknown_version", None),
        ("version-missing", here.slice(2..), "unknown_version", None),
        ("two-kinds", [&here[..], &[0x1a, 0]].concat().into(), "not_canonical", None),
        ("agent-too-short", with(&here, 2, |_| Some(vec![1; 31])).into(), "wrong_length", Some("is_here")),
    ])
}

pub(crate) fn answer() -> Kind {
    let again = |bytes: &Bytes| Ok(Answer::decode(bytes)?.encode());
    let receipt = Answer::Receipt(s::receipt().seal(&secret(s::NODE))).encode();
    let mut valid = vec![
        ("receipt", receipt.clone()),
        ("is-here", Answer::IsHere(true).encode()),
        ("is-not-here", Answer::IsHere(false).encode()),
        ("refused", Answer::Refused(8).encode()),
        ("document", Answer::Document(vec![7; 40].into()).encode()),
        ("behind", Answer::Behind(255).encode()),
        ("taken", Answer::Taken(true).encode()),
        ("excerpt", Answer::Excerpt(excerpt()).encode()),
        ("excerpt-of-nothing", Answer::Excerpt(Excerpt::default()).encode()),
    ];
    let reasons = ["busy", "no-leader", "not-a-voter", "unknown"].into_iter().zip(NotNow::ALL);
    valid.extend(reasons.map(|(name, why)| (name, Answer::NotNow(why).encode())));
    let later = [&[8, 2], &receipt[2..], &[0xc0, 0x0c, 1]].concat();
    bare("answer", again, valid, l::ANSWER_BYTES_MAX + 1).refusing(vec![
        ("of-no-kind", Bytes::from_static(&[8, 1]), "wrong_kind", Some("answer")),
        ("version-from-the-future", later.into(), "unknown_version", None),
        ("reason-unspecified", Bytes::from_static(&[8, 1, 0x28, 0]), "wrong_kind", Some("not_now")),
        ("reason-unknown", Bytes::from_static(&[8, 1, 0x28, 9]), "wrong_kind", Some("not_now")),
        ("refused-beyond-its-type", Bytes::from_static(&[8, 1, 0x20, 0x80, 0x80, 4]), "out_of_range", Some("refused")),
        ("excerpt-of-too-many-events", Answer::Excerpt(crowded()).encode(), "too_large", Some("excerpt_events")),
    ])
}

fn proved(index: u64) -> ProvedEvent {
    ProvedEvent { index, event: Bytes::from_static(b"an event"), path: vec![Hash([7; 32]); 2] }
}

fn excerpt() -> Excerpt {
    Excerpt { extends: vec![Hash([6; 32])], events: vec![proved(0), proved(5)] }
}

fn crowded() -> Excerpt {
    let events = (0..=l::EXCERPT_EVENTS_MAX as u64).map(|index| ProvedEvent { path: vec![], ..proved(index) });
    Excerpt { extends: vec![], events: events.collect() }
}

pub(crate) fn projected() -> Projection {
    let checkpoint = Bytes::from_static(b"a signed checkpoint");
    Projection { roster: s::roster_envelope(), checkpoint, excerpt: excerpt() }
}

pub(crate) fn projection() -> Kind {
    let again = |bytes: &Bytes| Ok(Projection::decode(bytes)?.encode());
    let of = |events: Vec<ProvedEvent>, extends| Projection { excerpt: Excerpt { extends, events }, ..projected() };
    let (long, twice) = (Bytes::from(vec![7; l::EXCERPT_EVENT_BYTES_MAX + 1]), vec![proved(5), proved(5)]);
    let endless = vec![Hash([0; 32]); l::PROOF_HASHES_MAX + 1];
    let refused = |projection: Projection| projection.encode();
    bare("projection", again, vec![("two-events", projected().encode())], l::PROJECTION_BYTES_MAX + 1).refusing(vec![
        ("no-events", refused(of(vec![], vec![])), "missing_field", Some("events")),
        ("no-excerpt", with(&projected().encode(), 3, |_| None).into(), "missing_field", Some("excerpt")),
        ("event-twice", refused(of(twice, vec![])), "out_of_range", Some("index")),
        ("events-backwards", refused(of(vec![proved(6), proved(5)], vec![])), "out_of_range", Some("index")),
        (
            "event-too-long",
            refused(of(vec![ProvedEvent { event: long, ..proved(5) }], vec![])),
            "too_large",
            Some("excerpt_event_bytes"),
        ),
        (
            "path-too-long",
            refused(of(vec![ProvedEvent { path: endless.clone(), ..proved(5) }], vec![])),
            "too_large",
            Some("proof_hashes"),
        ),
        ("extends-too-long", refused(of(vec![proved(5)], endless)), "too_large", Some("proof_hashes")),
        ("too-many-events", refused(of(crowded().events, vec![])), "too_large", Some("excerpt_events")),
    ])
}

pub(crate) fn receipt() -> Kind {
    let node = || secret(s::NODE);
    let longest = Receipt { outcomes: vec![u16::MAX; l::COMMANDS_PER_BATCH_MAX], ..s::receipt() };
    let crowded = Receipt { outcomes: vec![2; l::COMMANDS_PER_BATCH_MAX + 1], ..s::receipt() };
    let silent = Receipt { outcomes: vec![], ..s::receipt() };
    let theirs = Roster { domain: s::domain(s::BETA), epoch: 1, voters: vec![s::key(s::NODE)], seats: vec![] };
    let borrowed = Receipt { roster: theirs.seal(&secret(s::BETA)), ..s::receipt() };
    let self_made = Receipt { roster: s::roster().seal(&node()), ..s::receipt() };
    let payload = s::receipt().encode();
    let wide = with(&payload, 6, |_| Some(vec![0x80, 0x80, 4]));
    let valid = vec![("three-outcomes", s::receipt(), node()), ("as-many-as-can-be", longest, node())];
    signed("receipt", valid, (1, "domain")).refusing(vec![
        ("no-outcomes", silent.seal(&node()), "missing_field", Some("outcomes")),
        ("too-many-outcomes", crowded.seal(&node()), "too_large", Some("commands_per_batch")),
        ("outcome-beyond-its-type", seal(Context::Receipt, wide.into(), &node()), "out_of_range", Some("outcomes")),
        ("by-no-voter", s::receipt().seal(&secret(s::PAYER)), "wrong_signer", None),
        ("roster-of-another-domain", borrowed.seal(&node()), "wrong_signer", None),
        ("roster-of-its-own-making", self_made.seal(&node()), "wrong_signer", None),
    ])
}

pub(crate) fn cosignature() -> Kind {
    let node = || secret(s::NODE);
    let theirs = Roster { domain: s::domain(s::BETA), epoch: 1, voters: vec![s::key(s::NODE)], seats: vec![] };
    let borrowed = Cosignature { roster: theirs.seal(&secret(s::BETA)), ..s::cosignature() };
    signed("cosignature", vec![("cosignature", s::cosignature(), node())], (1, "witness")).refusing(vec![
        ("by-no-voter", s::cosignature().seal(&secret(s::PAYER)), "wrong_signer", None),
        ("roster-of-another-domain", borrowed.seal(&node()), "wrong_signer", None),
    ])
}
