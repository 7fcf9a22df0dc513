//! Two-phase commit between domains: what the two sides say to each other.
//!
//! One envelope carries a batch and is signed once, by a node that the sender's roster lists as a voter.

use crate::{
    amount::AssetId,
    books::{Books, BooksAsk},
    command::Party,
    envelope::{Signed as _, Verified},
    ids::{AgentId, DomainId, EscrowId, Hash, TransferId},
    limits::{ROOT_PATH_BYTES_MAX, VERDICT_BYTES_MAX},
    reject::Reject,
    text::Reason,
};
use alloc::{boxed::Box, string::String, vec::Vec};
use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

/// Payload of an envelope in context [`crate::envelope::Context::Settlement`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementBatch {
    /// Sender.
    pub from: DomainId,
    /// Receiver; a batch for another domain is refused.
    pub to: DomainId,
    /// Sender's incarnation: raised when its ledger is restored from a backup.
    pub incarnation: u64,
    /// The sender's roster: an envelope signed by its domain key (context `Roster`). The highest epoch seen counts.
    pub roster: Bytes,
    /// What is said, in order.
    pub messages: Vec<SettlementMessage>,
}

/// One message of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettlementMessage {
    /// Origin to participant: will you take it?
    Prepare(Prepare),
    /// Participant to origin.
    Vote(Vote),
    /// Origin to participant: the outcome.
    Decision(Decision),
    /// Participant to origin: what became of it?
    Query(Query),
    /// Participant to origin: the outcome is posted.
    Acknowledge(Acknowledge),
    /// To anyone who asks about a transfer at or below the watermark, or one never heard of.
    Refusal(SettlementRefusal),
    /// Issuer to the recipient's domain, of a third domain's payment: the reserve stands behind you.
    Backing(Backing),
    /// Recipient's domain to issuer: what became of that.
    BackingAnswer(BackingAnswer),
    /// A domain that was restored from a backup: what lies between us?
    BooksAsk(BooksAsk),
    /// The answer to that.
    Books(Box<Books>),
    /// Nothing of a treaty that ends is open at the sender: what lies between the two.
    Closing(Closing),
    /// The answer to that.
    ClosingAnswer(ClosingAnswer),
    /// Envelope of a [`DecisionWord`]: goes before the decision that it is about.
    Word(Bytes),
}

/// The origin has moved the amount into `in_flight/<transfer>` and asks for a vote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// Bound to origin, source and content.
    pub transfer: TransferId,
    /// The payer's domain: the only one that decides.
    pub origin: DomainId,
    /// Where the money comes from.
    pub source: Source,
    /// Who is to be credited.
    pub recipient: Party,
    /// Which asset, by issuer.
    pub asset: AssetId,
    /// Minor units, before the receiver's fee.
    pub amount: u64,
    /// In the **origin's** ledger time; never compared with another clock.
    pub decide_by_ms: u64,
}

impl Prepare {
    /// The domains that vote: the recipient's, and the issuer's when it is neither that one nor the origin.
    pub fn participants(&self) -> impl Iterator<Item = DomainId> {
        let issuer = self.is_across().then_some(self.asset.issuer);
        core::iter::once(self.recipient.domain).chain(issuer)
    }

    /// Whether the money is issued by a third domain: it moves between two holders.
    pub fn is_across(&self) -> bool {
        self.asset.issuer != self.origin && self.asset.issuer != self.recipient.domain
    }
}

/// The account that pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Source {
    /// An agent's available balance.
    Agent(AgentId),
    /// A payout owed by an escrow.
    Escrow {
        /// Which escrow.
        escrow: EscrowId,
        /// Which milestone (0 when there are none).
        milestone: u16,
        /// Index of the payee in the terms.
        payee: u16,
        /// Counts up each time an attempt aborts.
        attempt: u32,
    },
    /// What a referrer at home elsewhere has accrued.
    Referral {
        /// Which referrer: the recipient.
        agent: AgentId,
        /// Stamp at which the accrual was swept; one referrer and asset is swept at most once per stamp.
        swept_ms: u64,
    },
}

impl Source {
    /// Whether it pays what was promised before, by an escrow or to a referrer: a treaty that drains lets it through.
    pub const fn is_owed(&self) -> bool {
        matches!(self, Source::Escrow { .. } | Source::Referral { .. })
    }
}

/// A promise (yes) or a refusal with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Which transfer.
    pub transfer: TransferId,
    /// Digest of the prepare voted on.
    pub content: Hash,
    /// `Ok(fee)` fixed by the participant's policy now, or the reason as an outcome code.
    pub verdict: Result<u64, u16>,
}

/// Made once, by an entry of the origin's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Which transfer.
    pub transfer: TransferId,
    /// Digest of the prepare decided on.
    pub content: Hash,
    /// Commit or abort.
    pub commit: bool,
    /// Digest of the signed batch that carried the yes vote; `None` on abort without a vote.
    pub vote_evidence: Option<Hash>,
    /// As in the prepare: tells a participant that has forgotten the transfer from one that never knew it.
    pub decide_by_ms: u64,
}

/// What became of a transfer that the asker voted yes on. Carries the origin's own signed words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Which transfer.
    pub transfer: TransferId,
    /// The origin's envelope that carried the prepare, bytes exactly as received.
    pub prepare: Bytes,
}

/// The participant has posted the outcome: the origin may close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledge {
    /// Which transfer.
    pub transfer: TransferId,
    /// The outcome that was posted.
    pub commit: bool,
}

/// A question that gets no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementRefusal {
    /// Which transfer.
    pub transfer: TransferId,
    /// Outcome code: `unknown_transfer` or `too_old`.
    pub reason: u16,
}

/// The issuer has posted the origin's commit: reserve that stood behind the origin now stands behind the receiver, who
/// may mint. Owed until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backing {
    /// Whose transfer it is.
    pub origin: DomainId,
    /// Its id there.
    pub transfer: TransferId,
    /// Digest of the prepare that both have voted on: recipient and asset are in it.
    pub content: Hash,
    /// Minor units of reserve.
    pub amount: u64,
    /// As in the prepare: tells a receiver that has forgotten the transfer from one that never knew it.
    pub decide_by_ms: u64,
}

/// What the recipient's domain did with a [`Backing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackingAnswer {
    /// Whose transfer it is.
    pub origin: DomainId,
    /// Its id there.
    pub transfer: TransferId,
    /// `None`: the recipient is credited. Else why not, as an outcome code; the reserve stays where it is.
    pub refusal: Option<u16>,
}

/// A domain in which nothing of a treaty is open any more, and the treaty is drained or left, states what lies between it
/// and the other one. Owed until it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Digest of the document that ends: a statement under an earlier one says nothing about this one.
    pub treaty: Hash,
    /// The sender's supply statement about the receiver, in the ledger's own encoding.
    pub statement: Bytes,
}

/// What the other side says to a [`Closing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosingAnswer {
    /// SHA-256 of the statement that was heard.
    pub statement: Hash,
    /// Outcome code: kept, or why it is refused.
    pub outcome: u16,
}

/// One voter of an origin says how a transfer ended, as its own copy of the ledger holds it. Context
/// [`crate::envelope::Context::DecisionWord`]. Above an amount of the treaty a decision counts with words of a majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecisionWord {
    /// Whose transfer it is.
    pub origin: DomainId,
    /// Which participant is told.
    pub to: DomainId,
    /// Of the origin's ledger.
    pub incarnation: u64,
    /// Of the roster in force there.
    pub roster_epoch: u64,
    /// Its id at the origin.
    pub transfer: TransferId,
    /// Digest of the prepare decided on.
    pub content: Hash,
    /// Commit or abort.
    pub commit: bool,
}

/// What a document of two batches begins with, in which one domain decided one transfer in two ways.
pub const TWO_DECISIONS_NAME: [u8; 14] = *b"comity-decided";
/// The version of it that this program speaks.
pub const TWO_DECISIONS_VERSION: u16 = 1;

/// The two batches in such a document; nothing in them is judged.
///
/// # Errors
/// `not_canonical` for anything but name, version, and two batches with their lengths.
pub fn two_batches(document: &Bytes) -> Result<[Bytes; 2], Reject> {
    let mut head = TWO_DECISIONS_NAME.to_vec();
    head.extend(TWO_DECISIONS_VERSION.to_be_bytes());
    if !document.starts_with(&head) {
        return Err(Reject::NotCanonical);
    }
    let mut at = head.len();
    let mut batch = || {
        let from = at.checked_add(4)?;
        let length = u32::from_be_bytes(document.get(at..from)?.try_into().ok()?);
        let to = from.checked_add(usize::try_from(length).ok()?)?;
        document.get(from..to)?;
        at = to;
        Some(document.slice(from..to))
    };
    match (batch(), batch()) {
        (Some(first), Some(second)) if at == document.len() => Ok([first, second]),
        _ => Err(Reject::NotCanonical),
    }
}

/// How the text of a verdict begins.
pub const VERDICT_PREFIX: &str = "cmverdict1";

/// How a transfer ended, said by hand to a participant that waits for an origin whose log is lost. Context
/// [`crate::envelope::Context::TransferVerdict`]; signed by the **root key** of the origin, since none of its voters can
/// speak for a log that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferVerdict {
    /// Whose transfer it is: who says this.
    pub origin: DomainId,
    /// Which participant may act on it.
    pub to: DomainId,
    /// Its id at the origin.
    pub transfer: TransferId,
    /// Digest of the prepare that was voted on.
    pub content: Hash,
    /// Commit or abort.
    pub commit: bool,
    /// For people of both sides.
    pub reason: Reason,
}

impl TransferVerdict {
    /// The text that is carried by hand.
    pub fn text(envelope: &Bytes) -> String {
        let mut text = String::from(VERDICT_PREFIX);
        text.push_str(&BASE32_NOPAD.encode(envelope).to_ascii_lowercase());
        text
    }

    /// The envelope in a text. A wrong letter that still decodes is `bad_signature` when it is opened.
    ///
    /// # Errors
    /// `bad_text`.
    pub fn envelope(text: &str) -> Result<Bytes, Reject> {
        let bad = Reject::BadText { field: "verdict" };
        let most = (VERDICT_BYTES_MAX + ROOT_PATH_BYTES_MAX).saturating_mul(2);
        let body = text.trim().strip_prefix(VERDICT_PREFIX).filter(|body| body.len() <= most).ok_or(bad)?;
        if body.bytes().any(|letter| letter.is_ascii_uppercase()) {
            return Err(bad);
        }
        BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map(Bytes::from).map_err(|_| bad)
    }

    /// Reads the text and checks its signature.
    ///
    /// # Errors
    /// `bad_text`, or what is wrong with the envelope.
    pub fn parse(text: &str) -> Result<Verified<TransferVerdict>, Reject> {
        TransferVerdict::open(&TransferVerdict::envelope(text)?)
    }
}
