//! The peer's part after a restore: every transfer that lies between us and the domain that lost its log, with the words
//! of its own that prove it, and what our assets come to.
//!
//! Nothing is adopted from memory here: a page is made of the records as they stand and of the signed batches that the
//! event store keeps.

use super::record::{Incoming, IncomingKey, IncomingState, Outgoing, OutgoingState};
use crate::{account::AccountKey, state::Ledger, statement::promised};
use alloc::{collections::BTreeMap, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    books::{Books, BooksEnd, SharedKey, SharedState, SharedTransfer},
    ids::{DomainId, Hash},
    limits::{BOOKS_EVIDENCE_BYTES_MAX, BOOKS_FIGURES_MAX, BOOKS_TRANSFERS_MAX},
};

/// A page before its evidence is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    incarnation: u64,
    after: Option<SharedKey>,
    transfers: Vec<SharedTransfer>,
    end: Option<BooksEnd>,
}

impl Draft {
    /// Digests of the signed bytes that the page names; to be fetched.
    pub fn evidence(&self) -> impl Iterator<Item = Hash> {
        self.transfers.iter().filter_map(|shared| shared.evidence)
    }

    /// The page with what was found. What does not fit is left for the next one; what was not found stays unproved.
    #[must_use]
    pub fn with(self, found: &BTreeMap<Hash, Bytes>) -> Books {
        let Draft { incarnation, after, transfers, mut end } = self;
        let (mut evidence, mut bytes, mut fits) = (BTreeMap::new(), 0_usize, Vec::new());
        for shared in transfers {
            if let Some((digest, proof)) = shared.evidence.and_then(|digest| Some((digest, found.get(&digest)?)))
                && !evidence.contains_key(&digest)
            {
                bytes = bytes.saturating_add(proof.len()).saturating_add(4);
                if bytes > BOOKS_EVIDENCE_BYTES_MAX && !fits.is_empty() {
                    end = None;
                    break;
                }
                evidence.insert(digest, proof.clone());
            }
            fits.push(shared);
        }
        Books { incarnation, after, transfers: fits, evidence: evidence.into_values().collect(), end }
    }
}

impl Ledger {
    /// One page for a domain that was restored: what lies behind `after`.
    pub fn books_draft(&self, to: &DomainId, incarnation: u64, after: Option<SharedKey>) -> Option<Draft> {
        let home = self.domain_id()?;
        let behind = |key: SharedKey| after.is_none_or(|after| key > after);
        let most = BOOKS_TRANSFERS_MAX.saturating_add(1);
        let incoming = self.settlement.incoming.iter().filter(|(key, _)| behind(**key));
        let incoming = incoming.filter_map(|(key, record)| shared_incoming(&home, to, key, record)).take(most);
        let outgoing = self.settlement.outgoing.iter().filter(|(id, _)| behind((home, **id)));
        let outgoing = outgoing.filter_map(|(_, record)| shared_outgoing(to, record)).take(most);
        let mut transfers: Vec<SharedTransfer> = incoming.chain(outgoing).collect();
        transfers.sort_by_key(SharedTransfer::key);
        let end = (transfers.len() <= BOOKS_TRANSFERS_MAX).then(|| self.books_end(to));
        transfers.truncate(BOOKS_TRANSFERS_MAX);
        Some(Draft { incarnation, after, transfers, end })
    }

    fn books_end(&self, to: &DomainId) -> BooksEnd {
        let mut figures = BTreeMap::new();
        for (index, asset) in self.assets() {
            let held = promised(&self.settlement, *to, &asset.id);
            let held = held.iter().fold(0_u64, |sum, (_, amount)| sum.saturating_add(*amount));
            let amount = match asset.id.issuer {
                issuer if issuer == *to => self.balance_of(&AccountKey::issuance(index)),
                issuer if self.is_home(&issuer) => self.balance_of(&AccountKey::peer(*to, index)).saturating_add(held),
                _ => 0,
            };
            if amount > 0 {
                figures.insert(asset.id, amount);
            }
        }
        let state = self.settlement.peers.get(to);
        BooksEnd {
            figures: figures.into_iter().take(BOOKS_FIGURES_MAX).collect(),
            yours_forgotten_ms: state.map_or(0, |state| state.incoming_watermark_ms),
            ours_forgotten_ms: state.map_or(0, |state| state.outgoing_watermark_ms),
        }
    }
}

fn shared_incoming(home: &DomainId, to: &DomainId, key: &IncomingKey, record: &Incoming) -> Option<SharedTransfer> {
    let prepare = record.prepare.clone()?;
    let ours_backs = prepare.asset.issuer == *home && prepare.recipient.domain == *to;
    let theirs_backs = prepare.asset.issuer == *to && prepare.recipient.domain == *home;
    let (state, evidence) = match record.state {
        state if key.0 == *to => match state {
            IncomingState::Voted { .. } => (SharedState::Promised, Some(record.evidence)),
            IncomingState::Unbacked { .. } => (SharedState::Committed, record.decision_evidence),
            IncomingState::Backing => (SharedState::Posted { fee: 0 }, record.decision_evidence),
            IncomingState::Finished { commit: true, fee } => (SharedState::Posted { fee }, record.decision_evidence),
            IncomingState::Finished { commit: false, .. } => (SharedState::Aborted, record.decision_evidence),
            IncomingState::Refused { reason } => (SharedState::Refused { reason }, None),
        },
        IncomingState::Backing | IncomingState::Finished { commit: true, .. } if ours_backs => {
            (SharedState::Backed, None)
        }
        IncomingState::Finished { commit: true, fee } if theirs_backs => (SharedState::Posted { fee }, None),
        _ => return None,
    };
    Some(SharedTransfer { prepare, state, evidence })
}

fn shared_outgoing(to: &DomainId, record: &Outgoing) -> Option<SharedTransfer> {
    if record.prepare.participants().all(|participant| participant != *to) {
        return None;
    }
    let yes = record.said(to).and_then(|said| said.yes).map(|(_, evidence)| evidence);
    let (state, evidence) = match record.state {
        OutgoingState::Undecided => (SharedState::Promised, Some(yes?)),
        OutgoingState::Decided { commit: true, vote_evidence, .. }
        | OutgoingState::Closed { commit: true, vote_evidence, .. } => (SharedState::Committed, yes.or(vote_evidence)),
        OutgoingState::Decided { .. } | OutgoingState::Closed { .. } => (SharedState::Aborted, None),
    };
    Some(SharedTransfer { prepare: record.prepare.clone(), state, evidence })
}
