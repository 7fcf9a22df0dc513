//! Pages about what two domains share.

use super::{asset, need, put};
use crate::{
    amount::AssetId,
    books::{Books, BooksAsk, BooksEnd, SharedKey, SharedState, SharedTransfer},
    command::Verb,
    ids::{DomainId, Hash, TransferId},
    limits as l,
    reject::{Reject, within},
    strict::array,
    text::Reason,
    wire,
};
use alloc::vec::Vec;
use bytes::Bytes;

fn put_key(key: Option<&SharedKey>) -> Option<Bytes> {
    key.map(|(origin, transfer)| [origin.0.as_slice(), transfer.0.as_slice()].concat().into())
}

fn read_key(key: Option<Bytes>) -> Result<Option<SharedKey>, Reject> {
    let Some(key) = key else { return Ok(None) };
    let whole: [u8; 48] = array(&key, "after")?;
    let (origin, transfer) = whole.split_at(32);
    Ok(Some((DomainId(array(origin, "after")?), TransferId(array(transfer, "after")?))))
}

impl From<&BooksAsk> for wire::BooksAsk {
    fn from(ask: &BooksAsk) -> wire::BooksAsk {
        wire::BooksAsk { after: put_key(ask.after.as_ref()) }
    }
}

impl TryFrom<wire::BooksAsk> for BooksAsk {
    type Error = Reject;
    fn try_from(ask: wire::BooksAsk) -> Result<BooksAsk, Reject> {
        Ok(BooksAsk { after: read_key(ask.after)? })
    }
}

const fn put_state(state: SharedState) -> (u32, u64) {
    match state {
        SharedState::Promised => (1, 0),
        SharedState::Committed => (2, 0),
        SharedState::Posted { fee } => (3, fee),
        SharedState::Refused { reason } => (4, reason as u64),
        SharedState::Aborted => (5, 0),
        SharedState::Backed => (6, 0),
    }
}

fn read_state(state: u32, detail: u64) -> Result<SharedState, Reject> {
    let bad = Reject::OutOfRange { field: "state" };
    Ok(match (state, detail) {
        (1, 0) => SharedState::Promised,
        (2, 0) => SharedState::Committed,
        (3, fee) => SharedState::Posted { fee },
        (4, reason) => SharedState::Refused { reason: u16::try_from(reason).map_err(|_| bad)? },
        (5, 0) => SharedState::Aborted,
        (6, 0) => SharedState::Backed,
        _ => return Err(bad),
    })
}

fn put_transfer(shared: &SharedTransfer) -> wire::SharedTransfer {
    let (state, detail) = put_state(shared.state);
    let evidence = shared.evidence.as_ref().map(|hash| put(&hash.0));
    wire::SharedTransfer { prepare: Some((&shared.prepare).into()), state, detail, evidence }
}

fn read_transfer(shared: wire::SharedTransfer) -> Result<SharedTransfer, Reject> {
    Ok(SharedTransfer {
        prepare: need(shared.prepare, "prepare")?.try_into()?,
        state: read_state(shared.state, shared.detail)?,
        evidence: shared.evidence.map(|hash| array(&hash, "evidence").map(Hash)).transpose()?,
    })
}

impl From<&BooksEnd> for wire::BooksEnd {
    fn from(end: &BooksEnd) -> wire::BooksEnd {
        let figure =
            |(asset, amount): &(AssetId, u64)| wire::BooksFigure { asset: Some(asset.into()), amount: *amount };
        wire::BooksEnd {
            figures: end.figures.iter().map(figure).collect(),
            yours_forgotten_ms: end.yours_forgotten_ms,
            ours_forgotten_ms: end.ours_forgotten_ms,
        }
    }
}

fn read_end(end: wire::BooksEnd) -> Result<BooksEnd, Reject> {
    within(end.figures.len(), l::BOOKS_FIGURES_MAX, "figures")?;
    let figure = |figure: wire::BooksFigure| Ok((asset(figure.asset)?, figure.amount));
    let figures: Vec<(AssetId, u64)> = end.figures.into_iter().map(figure).collect::<Result<_, Reject>>()?;
    if !figures.iter().zip(figures.iter().skip(1)).all(|((one, _), (next, _))| one < next) {
        return Err(Reject::OutOfRange { field: "figures" });
    }
    Ok(BooksEnd { figures, yours_forgotten_ms: end.yours_forgotten_ms, ours_forgotten_ms: end.ours_forgotten_ms })
}

impl From<&Books> for wire::Books {
    fn from(books: &Books) -> wire::Books {
        wire::Books {
            incarnation: books.incarnation,
            after: put_key(books.after.as_ref()),
            transfers: books.transfers.iter().map(put_transfer).collect(),
            evidence: books.evidence.clone(),
            end: books.end.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<wire::Books> for Books {
    type Error = Reject;
    fn try_from(books: wire::Books) -> Result<Books, Reject> {
        within(books.transfers.len(), l::BOOKS_TRANSFERS_MAX, "transfers")?;
        within(books.evidence.len(), l::BOOKS_TRANSFERS_MAX, "evidence")?;
        let transfers = books.transfers.into_iter().map(read_transfer).collect::<Result<Vec<_>, Reject>>()?;
        let after = read_key(books.after)?;
        // Ascending from the question on, so that whoever reads page by page comes to an end.
        let first = transfers.first().map(SharedTransfer::key);
        let pairs = transfers.iter().zip(transfers.iter().skip(1));
        let ascends = pairs.into_iter().all(|(one, next)| one.key() < next.key());
        let empty = transfers.is_empty() && books.end.is_none();
        if !ascends || empty || first.is_some_and(|first| after.is_some_and(|after| first <= after)) {
            return Err(Reject::OutOfRange { field: "transfers" });
        }
        let end = books.end.map(read_end).transpose()?;
        Ok(Books { incarnation: books.incarnation, after, transfers, evidence: books.evidence, end })
    }
}

/// The operator's word about what is left, as it travels.
pub(super) fn put_settle(peer: &DomainId, reason: &Reason) -> wire::SettleBooks {
    wire::SettleBooks { peer: put(&peer.0), reason: reason.as_str().into() }
}

/// The operator's word about what is left.
pub(super) fn read_settle(said: &wire::SettleBooks) -> Result<Verb, Reject> {
    Ok(Verb::SettleBooks { peer: DomainId(array(&said.peer, "peer")?), reason: Reason::new(&said.reason)? })
}
