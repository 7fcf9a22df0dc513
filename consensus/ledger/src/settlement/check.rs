//! What can be judged of a settlement batch from its bytes alone: signatures, rosters, embedded prepares.
//!
//! Expensive and pure, so it runs in parallel before `apply` on every replica. What needs state (treaty, highest
//! roster, incarnation) is judged in `apply`.

use alloc::{collections::BTreeMap, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::Roster,
    ids::{DomainId, Hash, PublicKey, TransferId},
    reject::Reject,
    roots::Signer,
    settlement::{Decision, DecisionWord, Prepare, SettlementBatch, SettlementMessage, TransferVerdict},
};

/// A settlement batch whose signature, roster and embedded prepares were checked. Private inside: [`CheckedBatch::open`]
/// is its only source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedBatch {
    batch: SettlementBatch,
    key: PublicKey,
    envelope: Bytes,
    digest: Hash,
    roster: Roster,
    /// Who signed the roster; `None` where a model believes it.
    roster_by: Option<Signer>,
    queried: BTreeMap<TransferId, Prepare>,
    proofs: BTreeMap<Hash, Vec<SettlementMessage>>,
    words: Vec<(PublicKey, DecisionWord)>,
}

impl CheckedBatch {
    /// Opens a batch. Refused when the envelope or the roster inside is not what it claims to be; a query whose embedded
    /// prepare is no signed word of its origin stays in the batch, but without a prepare.
    pub fn open(envelope: &Bytes) -> Result<CheckedBatch, Reject> {
        let verified = SettlementBatch::open(envelope)?;
        let roster = roster_of(verified.get())?;
        let (roster_by, roster) = (Some(roster.signer().clone()), roster.into_inner());
        let said = verified.get();
        let queried = said.messages.iter().filter_map(queried).collect();
        let proofs = said.messages.iter().flat_map(evidence).filter_map(|bytes| proof(bytes, &said.to)).collect();
        let words = said.messages.iter().filter_map(word).collect::<Result<_, Reject>>()?;
        let (digest, key) = (verified.digest(), *verified.key());
        let (batch, envelope) = (verified.into_inner(), envelope.clone());
        Ok(CheckedBatch { batch, key, envelope, digest, roster, roster_by, queried, proofs, words })
    }

    /// What was said.
    pub fn get(&self) -> &SettlementBatch {
        &self.batch
    }

    /// The node that signed.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The exact bytes that travelled: evidence.
    pub fn envelope(&self) -> &Bytes {
        &self.envelope
    }

    /// The sender's roster that travelled with it.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Who signed that roster.
    pub(crate) const fn roster_by(&self) -> Option<&Signer> {
        self.roster_by.as_ref()
    }

    /// SHA-256 of the envelope: names it as evidence.
    pub fn digest(&self) -> Hash {
        self.digest
    }

    /// The prepare that a query carries, if a voter of its origin really signed it.
    pub fn queried(&self, transfer: &TransferId) -> Option<&Prepare> {
        self.queried.get(transfer)
    }

    /// What single voters of the sender sign about decisions in this batch; whether they are voters is judged with state.
    pub fn words(&self) -> &[(PublicKey, DecisionWord)] {
        &self.words
    }

    /// What the receiver itself once said, by the digest of the signed bytes that a page of shared transfers brings back.
    pub fn own_words(&self, digest: &Hash) -> &[SettlementMessage] {
        self.proofs.get(digest).map_or(&[], Vec::as_slice)
    }

    /// Reads a batch that travelled in its plain encoding and believes that `key` signed it, and that a voter of its
    /// origin signed every batch embedded in a query. For models that walk through millions of states; never in a node.
    #[cfg(feature = "unsigned")]
    pub(crate) fn believed(plain: &Bytes, key: PublicKey, roster: &Roster) -> Result<CheckedBatch, Reject> {
        let batch = SettlementBatch::decode(plain)?;
        let prepare_in = |query: &comity_proto::settlement::Query| {
            let asked = SettlementBatch::decode(&query.prepare).ok()?;
            asked.messages.into_iter().find_map(|inner| match inner {
                SettlementMessage::Prepare(prepare) if prepare.transfer == query.transfer => Some(prepare),
                _ => None,
            })
        };
        let queried = batch.messages.iter().filter_map(|message| match message {
            SettlementMessage::Query(query) => Some((query.transfer, prepare_in(query)?)),
            _ => None,
        });
        let queried = queried.collect();
        Ok(CheckedBatch {
            batch,
            key,
            envelope: plain.clone(),
            digest: Hash::of(plain),
            roster: roster.clone(),
            roster_by: None,
            queried,
            proofs: BTreeMap::new(),
            words: Vec::new(),
        })
    }

    /// Skips every signature, so that a test can walk through many thousand states.
    #[cfg(test)]
    pub(crate) fn unsigned(batch: SettlementBatch, roster: Roster, key: PublicKey, asked: &[Prepare]) -> CheckedBatch {
        let queried = asked.iter().map(|prepare| (prepare.transfer, prepare.clone())).collect();
        let envelope = Bytes::from(alloc::format!("{batch:?}"));
        let (digest, proofs, words) = (Hash::of(&envelope), BTreeMap::new(), Vec::new());
        CheckedBatch { digest, batch, key, envelope, roster, roster_by: None, queried, proofs, words }
    }

    /// With words that the receiver is believed to have signed.
    #[cfg(test)]
    pub(crate) fn proved_by(self, proofs: BTreeMap<Hash, Vec<SettlementMessage>>) -> CheckedBatch {
        CheckedBatch { proofs, ..self }
    }
}

/// The roster inside a batch, if the sender's own root key signed it.
fn roster_of(batch: &SettlementBatch) -> Result<Verified<Roster>, Reject> {
    open_roster(&batch.roster, &batch.from).ok_or(Reject::WrongSigner)
}

/// A roster of `domain`. Opening it has proved that a root key of the domain that it names signed it; whether that one
/// counts now is judged with state.
pub(crate) fn open_roster(envelope: &Bytes, domain: &DomainId) -> Option<Verified<Roster>> {
    Roster::open(envelope).ok().filter(|roster| roster.get().domain == *domain)
}

fn word(message: &SettlementMessage) -> Option<Result<(PublicKey, DecisionWord), Reject>> {
    let SettlementMessage::Word(envelope) = message else { return None };
    Some(DecisionWord::open(envelope).map(|word| (*word.key(), *word.get())))
}

fn evidence(message: &SettlementMessage) -> &[Bytes] {
    match message {
        SettlementMessage::Books(books) => &books.evidence,
        _ => &[],
    }
}

/// What `domain` said in these bytes, if a voter of its roster, or its root key by hand, really signed them.
fn proof(bytes: &Bytes, domain: &DomainId) -> Option<(Hash, Vec<SettlementMessage>)> {
    if let Ok(batch) = SettlementBatch::open(bytes) {
        let roster = roster_of(batch.get()).ok()?;
        let ours = batch.get().from == *domain && roster.get().voters.contains(batch.key());
        return ours.then(|| (batch.digest(), batch.into_inner().messages));
    }
    let verdict = TransferVerdict::open(bytes).ok().filter(|verdict| verdict.get().origin == *domain)?;
    let TransferVerdict { transfer, content, commit, .. } = *verdict.get();
    let vote_evidence = commit.then(|| verdict.digest());
    let decision = Decision { transfer, content, commit, vote_evidence, decide_by_ms: 0 };
    Some((verdict.digest(), alloc::vec![SettlementMessage::Decision(decision)]))
}

fn queried(message: &SettlementMessage) -> Option<(TransferId, Prepare)> {
    let SettlementMessage::Query(query) = message else { return None };
    let batch = SettlementBatch::open(&query.prepare).ok()?;
    let roster = roster_of(batch.get()).ok()?;
    if !roster.get().voters.contains(batch.key()) {
        return None;
    }
    let prepare = batch.get().messages.iter().find_map(|inner| match inner {
        SettlementMessage::Prepare(prepare) if prepare.transfer == query.transfer => Some(prepare.clone()),
        _ => None,
    })?;
    (prepare.origin == batch.get().from).then_some((query.transfer, prepare))
}
