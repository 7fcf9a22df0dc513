//! Two decisions of one domain about one transfer, each in the batch that one of its voters signed.
//!
//! ```text
//! kind      14 bytes   "comity-decided"
//! version   u16        1
//! batch     twice: u32 length, envelope in context comity/v1/settlement, as it came from the domain
//! ```
//! Nothing follows. A batch carries its domain's roster, which the root key signed, so the two need nothing beside them:
//! domain id = hash of the root key -> roster -> voter -> decision.

use crate::wrong::{Place, Rule, Wrong};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::Roster,
    ids::{DomainId, PublicKey, TransferId},
    limits::{ENVELOPE_OVERHEAD_BYTES, SETTLEMENT_BATCH_BYTES_MAX},
    settlement::{Decision, SettlementBatch, SettlementMessage, TWO_DECISIONS_NAME, TWO_DECISIONS_VERSION},
};
use std::io::Read;

/// What such a file begins with.
pub const NAME: [u8; 14] = TWO_DECISIONS_NAME;
const VERSION: u16 = TWO_DECISIONS_VERSION;
const BATCH_BYTES_MAX: usize = SETTLEMENT_BATCH_BYTES_MAX + ENVELOPE_OVERHEAD_BYTES;

/// A domain said both, of one transfer. Made only by [`judge`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TwoDecisions {
    /// Who said it.
    pub domain: DomainId,
    /// Of which transfer.
    pub transfer: TransferId,
    /// The voter that signed the commit.
    pub committed_by: PublicKey,
    /// The voter that signed the abort.
    pub aborted_by: PublicKey,
}

fn wrong(rule: Rule, detail: impl Into<String>) -> Wrong {
    Wrong::new(Place::Head, rule, detail)
}

/// The document of two batches.
#[must_use]
pub fn document(first: &[u8], second: &[u8]) -> Bytes {
    let mut out = [NAME.as_slice(), &VERSION.to_be_bytes()].concat();
    for batch in [first, second] {
        out.extend(u32::try_from(batch.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(batch);
    }
    out.into()
}

/// Judges two batches, as they came.
///
/// # Errors
/// The first link that does not hold; `no_contradiction`.
pub fn judge(first: &Bytes, second: &Bytes) -> Result<TwoDecisions, Wrong> {
    let (one, other) = (signed(first)?, signed(second)?);
    if one.get().from != other.get().from {
        return Err(wrong(Rule::OtherDomain, "the two batches are of two domains"));
    }
    let against = |said: &Decision| {
        let same = |other: &Decision| other.transfer == said.transfer && other.content == said.content;
        decisions(&other).any(|other| same(other) && other.commit != said.commit)
    };
    let said = decisions(&one).find(|said| against(said));
    let said = said.ok_or_else(|| wrong(Rule::NoContradiction, "no transfer is decided in two ways"))?;
    let (committed_by, aborted_by) = if said.commit { (one.key(), other.key()) } else { (other.key(), one.key()) };
    let (domain, transfer) = (one.get().from, said.transfer);
    Ok(TwoDecisions { domain, transfer, committed_by: *committed_by, aborted_by: *aborted_by })
}

fn decisions(batch: &Verified<SettlementBatch>) -> impl Iterator<Item = &Decision> {
    batch.get().messages.iter().filter_map(|message| match message {
        SettlementMessage::Decision(decision) => Some(decision),
        _ => None,
    })
}

/// A batch whose signature was followed to the domain's id.
fn signed(envelope: &Bytes) -> Result<Verified<SettlementBatch>, Wrong> {
    let batch = SettlementBatch::open(envelope)
        .map_err(|reject| wrong(Rule::CheckpointSignature, format!("a batch is refused: {}", reject.code())))?;
    let from = batch.get().from;
    let roster = Roster::open(&batch.get().roster)
        .map_err(|reject| wrong(Rule::Roster, format!("a roster is refused: {}", reject.code())))?;
    if roster.get().domain != from {
        return Err(wrong(Rule::Roster, "a roster is of another domain"));
    }
    if !roster.get().voters.contains(batch.key()) {
        let detail = format!("{} is not a voter of roster {}", batch.key(), roster.get().epoch);
        return Err(wrong(Rule::CheckpointSigner, detail));
    }
    Ok(batch)
}

/// Reads and judges what stands behind the name.
///
/// # Errors
/// Another version, a length above the limit, an early end, bytes behind the end; as [`judge`].
pub(crate) fn verify(mut input: impl Read) -> Result<TwoDecisions, Wrong> {
    let mut version = [0; 2];
    fill(&mut input, &mut version)?;
    if u16::from_be_bytes(version) != VERSION {
        return Err(wrong(Rule::UnknownVersion, "another version of the proof of two decisions"));
    }
    let (first, second) = (sized(&mut input)?, sized(&mut input)?);
    let mut more = [0; 1];
    match input.read(&mut more) {
        Ok(0) => judge(&first, &second),
        Ok(_) => Err(wrong(Rule::TrailingBytes, "the file goes on behind its end")),
        Err(error) => Err(wrong(Rule::Unreadable, error.to_string())),
    }
}

fn sized(input: &mut impl Read) -> Result<Bytes, Wrong> {
    let mut length = [0; 4];
    fill(input, &mut length)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > BATCH_BYTES_MAX {
        return Err(wrong(Rule::TooLarge, format!("{length} bytes, at most {BATCH_BYTES_MAX}")));
    }
    let mut bytes = vec![0; length];
    fill(input, &mut bytes)?;
    Ok(bytes.into())
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<(), Wrong> {
    input.read_exact(buffer).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => wrong(Rule::Truncated, "it ends too early"),
        _ => wrong(Rule::Unreadable, error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Verdict, verify as any};
    use comity_proto::{ids::Hash, keys::SecretKey, settlement::Acknowledge};

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    /// A batch of the domain of key 1, signed by the key `signer`, with a roster of key 2 by the key `root`.
    fn batch(root: u8, signer: u8, transfer: u8, commit: Option<bool>) -> Bytes {
        let from = DomainId::of_key(&key(1).public());
        let roster = Roster { domain: from, epoch: 1, voters: vec![key(2).public()], seats: vec![] }.seal(&key(root));
        let transfer = TransferId([transfer; 16]);
        let content = Hash([4; 32]);
        let message = match commit {
            Some(commit) => {
                let vote_evidence = commit.then_some(content);
                SettlementMessage::Decision(Decision { transfer, content, commit, vote_evidence, decide_by_ms: 9 })
            }
            None => SettlementMessage::Acknowledge(Acknowledge { transfer, commit: true }),
        };
        let messages = vec![message];
        SettlementBatch { from, to: DomainId([7; 32]), incarnation: 1, roster, messages }.seal(&key(signer))
    }

    fn rule(first: &Bytes, second: &Bytes) -> Rule {
        any(document(first, second).as_ref(), None).map(|_| ()).expect_err("a false proof").rule
    }

    #[test]
    fn two_signed_ends_of_one_transfer_prove_themselves() {
        let (commit, abort) = (batch(1, 2, 3, Some(true)), batch(1, 2, 3, Some(false)));
        for (one, other) in [(&commit, &abort), (&abort, &commit)] {
            match any(document(one, other).as_ref(), None) {
                Ok(Verdict::TwoDecisions(two)) => {
                    assert_eq!((two.domain, two.transfer), (DomainId::of_key(&key(1).public()), TransferId([3; 16])));
                    assert_eq!((two.committed_by, two.aborted_by), (key(2).public(), key(2).public()));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_accuses_nobody_is_refused_by_name() {
        let commit = batch(1, 2, 3, Some(true));
        assert_eq!(rule(&commit, &commit), Rule::NoContradiction);
        assert_eq!(rule(&commit, &batch(1, 2, 5, Some(false))), Rule::NoContradiction, "another transfer");
        assert_eq!(rule(&commit, &batch(1, 2, 3, None)), Rule::NoContradiction);
        assert_eq!(rule(&commit, &batch(1, 6, 3, Some(false))), Rule::CheckpointSigner, "no voter");
        assert_eq!(rule(&commit, &batch(6, 2, 3, Some(false))), Rule::Roster, "another root key");
        assert_eq!(rule(&commit, &commit.slice(..commit.len() - 1)), Rule::CheckpointSignature);
        let whole = document(&commit, &batch(1, 2, 3, Some(false)));
        let cut = any(&whole[..whole.len() - 1], None).map(|_| ()).expect_err("cut");
        let longer = any([whole.as_ref(), b"x"].concat().as_slice(), None).map(|_| ()).expect_err("longer");
        assert_eq!((cut.rule, longer.rule), (Rule::Truncated, Rule::TrailingBytes));
    }
}
