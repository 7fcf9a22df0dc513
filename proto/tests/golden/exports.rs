//! Export rules, as the operator asks for them.

use crate::{
    cases::{Refused, with},
    samples::{self as s, secret},
};
use bytes::Bytes;
use comity_proto::{
    command::{Actor, Verb},
    envelope::{Context, Signed as _, seal},
    export::{Audience, Direction, ExportRule},
};

const CHANGE: u32 = 30;

fn narrow() -> ExportRule {
    ExportRule {
        audience: Audience::Peer(s::domain(s::BETA)),
        agent: Some(s::agent(s::WORKER)),
        capability: Some("text.statistics".parse().expect("a capability")),
        direction: Direction::In,
    }
}

fn change(rule: ExportRule, withdrawn: bool) -> Verb {
    Verb::ChangeExport { rule, withdrawn, reason: "the pilot".parse().expect("a reason") }
}

pub(crate) fn verbs() -> Vec<Verb> {
    let all = ExportRule::all(Audience::Everyone);
    vec![
        change(narrow(), false),
        change(ExportRule { direction: Direction::Out, ..all.clone() }, false),
        change(all, true),
    ]
}

/// The narrow rule with its encoding edited.
fn edited(edit: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Bytes {
    let payload = s::batch(Actor::Operator, vec![change(narrow(), false)]).encode();
    let payload =
        with(&payload, 5, |command| Some(with(command, CHANGE, |change| Some(with(change, 1, |rule| edit(rule))))));
    seal(Context::Command, payload.into(), &secret(s::OPERATOR))
}

pub(crate) fn refused() -> Vec<Refused> {
    vec![
        ("export-without-a-rule", edited(|_| None), "missing_field", Some("rule")),
        ("export-without-a-direction", edited(|rule| Some(with(rule, 4, |_| None))), "wrong_kind", Some("direction")),
        (
            "export-of-half-an-agent",
            edited(|rule| Some(with(rule, 2, |id| Some(id[..16].to_vec())))),
            "wrong_length",
            Some("agent"),
        ),
        (
            "export-to-half-a-domain",
            edited(|rule| Some(with(rule, 1, |id| Some(id[..16].to_vec())))),
            "wrong_length",
            Some("peer"),
        ),
        (
            "export-of-no-capability",
            edited(|rule| Some(with(rule, 3, |_| Some(b"A".to_vec())))),
            "bad_text",
            Some("capability"),
        ),
    ]
}
