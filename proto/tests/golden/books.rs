//! What is said after a restore.

use crate::{
    cases::with,
    samples::{self as s, secret},
};
use bytes::Bytes;
use comity_proto::{
    books::{Books, BooksAsk, BooksEnd, SharedState, SharedTransfer},
    command::Verb,
    envelope::{Context, Signed as _, seal},
    ids::{Hash, TransferId},
    settlement::{Prepare, SettlementBatch, SettlementMessage},
};

fn prepare(n: u8) -> Prepare {
    let SettlementMessage::Prepare(prepare) = s::prepares().messages.remove(0) else { unreachable!("a prepare") };
    Prepare { transfer: TransferId([n; 16]), ..prepare }
}

fn page(states: &[SharedState]) -> Books {
    let transfers = (1..).zip(states).map(|(n, state)| {
        let evidence = matches!(state, SharedState::Promised).then_some(Hash([0x33; 32]));
        SharedTransfer { prepare: prepare(n), state: *state, evidence }
    });
    let evidence = vec![Bytes::from_static(b"signed")];
    let after = Some((s::domain(s::ALPHA), TransferId([0; 16])));
    Books { incarnation: 2, after, transfers: transfers.collect(), evidence, end: None }
}

fn said(books: Books) -> SettlementMessage {
    SettlementMessage::Books(Box::new(books))
}

/// Both questions, every state, the last page.
pub(crate) fn batch() -> SettlementBatch {
    let every = [
        SharedState::Promised,
        SharedState::Committed,
        SharedState::Posted { fee: 7 },
        SharedState::Refused { reason: 41 },
        SharedState::Aborted,
        SharedState::Backed,
    ];
    let end = BooksEnd { figures: vec![(s::usd(), 4_950_000)], yours_forgotten_ms: s::NOW, ours_forgotten_ms: 0 };
    let last = Books { after: None, transfers: vec![], evidence: vec![], end: Some(end), ..page(&[]) };
    let from = BooksAsk { after: Some((s::domain(s::BETA), TransferId([9; 16]))) };
    let asks = [BooksAsk { after: None }, from].map(SettlementMessage::BooksAsk);
    s::settlement(asks.into_iter().chain([said(page(&every)), said(last)]).collect())
}

/// Pages that are refused: name, bytes, code, field.
pub(crate) fn refused() -> Vec<(&'static str, Bytes, &'static str, Option<&'static str>)> {
    let sealed = |books| s::settlement(vec![said(books)]).seal(&secret(s::NODE));
    let mut twice = page(&[SharedState::Backed, SharedState::Backed]);
    twice.transfers.swap(0, 1);
    let figure = (s::usd(), 1);
    let end = BooksEnd { figures: vec![figure, figure], yours_forgotten_ms: 0, ours_forgotten_ms: 0 };
    let doubled = Books { end: Some(end), ..page(&[]) };
    let payload = s::settlement(vec![said(page(&[SharedState::Backed]))]).encode();
    let edited = with(&payload, 5, |message| {
        Some(with(message, 10, |books| Some(with(books, 3, |line| Some(with(line, 1, |_| None))))))
    });
    vec![
        ("books-out-of-order", sealed(twice), "out_of_range", Some("transfers")),
        ("books-of-nothing", sealed(page(&[])), "out_of_range", Some("transfers")),
        ("books-with-a-figure-twice", sealed(doubled), "out_of_range", Some("figures")),
        ("books-too-long", sealed(page(&[SharedState::Backed; 65])), "too_large", Some("transfers")),
        (
            "shared-without-a-prepare",
            seal(Context::Settlement, edited.into(), &secret(s::NODE)),
            "missing_field",
            Some("prepare"),
        ),
    ]
}

/// What an operator asks of its ledger.
pub(crate) fn verb() -> Verb {
    Verb::SettleBooks { peer: s::domain(s::BETA), reason: "we agreed by phone".parse().expect("a reason") }
}
