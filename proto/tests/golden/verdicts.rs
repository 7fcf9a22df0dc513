//! Verdicts about transfers, said by hand.

use crate::{
    cases::{Kind, signed, with},
    samples as s,
};
use comity_proto::{
    command::Verb,
    envelope::{Context, Signed as _, seal},
    ids::{Hash, TransferId},
    reject::Reject,
    settlement::{DecisionWord, TransferVerdict, VERDICT_PREFIX},
};

fn verdict() -> TransferVerdict {
    TransferVerdict {
        origin: s::domain(s::ALPHA),
        to: s::domain(s::BETA),
        transfer: TransferId([0x77; 16]),
        content: Hash([0x33; 32]),
        commit: true,
        reason: "our log burned".parse().expect("a reason"),
    }
}

/// What an operator asks of its ledger.
pub(crate) fn verb() -> Verb {
    Verb::ResolveTransfer { verdict: verdict().seal(&s::secret(s::ALPHA)) }
}

pub(crate) fn kind() -> Kind {
    let root = || s::secret(s::ALPHA);
    let abort = TransferVerdict { commit: false, ..verdict() };
    let payload = verdict().encode();
    let raw = |bytes: Vec<u8>| seal(Context::TransferVerdict, bytes.into(), &root());
    signed("transfer_verdict", vec![("commit", verdict(), root()), ("abort", abort, root())], (1, "origin")).refusing(
        vec![
            ("by-the-other", verdict().seal(&s::secret(s::BETA)), "wrong_signer", None),
            ("half-a-content", raw(with(&payload, 4, |_| Some(vec![1; 16]))), "wrong_length", Some("content")),
            ("reason-with-a-bell", raw(with(&payload, 6, |_| Some(vec![7]))), "bad_text", Some("reason")),
        ],
    )
}

pub(crate) fn word() -> DecisionWord {
    DecisionWord {
        origin: s::domain(s::ALPHA),
        to: s::domain(s::BETA),
        incarnation: 1,
        roster_epoch: 1,
        transfer: TransferId([0x77; 16]),
        content: Hash([0x33; 32]),
        commit: true,
    }
}

pub(crate) fn word_kind() -> Kind {
    let node = || s::secret(s::NODE);
    let abort = DecisionWord { commit: false, ..word() };
    let payload = word().encode();
    let raw = |bytes: Vec<u8>| seal(Context::DecisionWord, bytes.into(), &node());
    signed("decision_word", vec![("commit", word(), node()), ("abort", abort, node())], (1, "origin")).refusing(vec![(
        "half-a-content",
        raw(with(&payload, 6, |_| Some(vec![1; 16]))),
        "wrong_length",
        Some("content"),
    )])
}

#[test]
fn the_text_of_a_verdict_is_read_back_and_no_letter_of_it_can_change() {
    let text = TransferVerdict::text(&verdict().seal(&s::secret(s::ALPHA)));
    assert_eq!(TransferVerdict::parse(&text).expect("read").get(), &verdict());
    let bad = Reject::BadText { field: "verdict" };
    for wrong in ["", "cmverdict2aa", VERDICT_PREFIX, &text.to_ascii_uppercase(), &format!("{text}1")] {
        assert!(TransferVerdict::parse(wrong).is_err(), "{wrong}");
    }
    assert_eq!(TransferVerdict::envelope("cmverdict1A"), Err(bad));
    for at in (VERDICT_PREFIX.len()..text.len()).step_by(7) {
        let mut letters = text.clone().into_bytes();
        letters[at] = if letters[at] == b'a' { b'b' } else { b'a' };
        let changed = String::from_utf8(letters).expect("letters");
        assert!(TransferVerdict::parse(&changed).is_err(), "letter {at}");
    }
}
