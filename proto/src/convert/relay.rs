//! Questions between nodes, their answers, and receipts.

use super::{narrow, projection, put};
use crate::{
    envelope::{Context, Signed},
    identity::Roster,
    ids::{AgentId, DomainId, Hash, PublicKey, TransferId},
    limits as l,
    reject::{Reject, within},
    relay::{Answer, Cosignature, NotNow, Question, RELAY_VERSION, Receipt},
    strict::{self, array},
    wire::{self, answer::Answer as WireAnswer, question::Question as WireQuestion},
};
use bytes::Bytes;
use prost::Message as _;

/// Number of the excerpt in an answer.
const EXCERPT_FIELD: u64 = 9;

impl Question {
    /// The one encoding.
    pub fn encode(&self) -> Bytes {
        let question = match self {
            Question::IsHere(agent) => WireQuestion::IsHere(put(&agent.0)),
            Question::Commands(envelope) => WireQuestion::Commands(envelope.clone()),
            Question::Extend(older) => WireQuestion::Extend(*older),
            Question::Cosigned(envelope) => WireQuestion::Cosigned(envelope.clone()),
            Question::Seen(document) => WireQuestion::Seen(document.clone()),
            Question::Accusation(document) => WireQuestion::Accusation(document.clone()),
            Question::Bundle => WireQuestion::Bundle(true),
            Question::Given { request, note } => {
                WireQuestion::Given(wire::Given { request: request.clone(), note: note.clone() })
            }
            Question::Told(envelope) => WireQuestion::Told(envelope.clone()),
            Question::Word(to, transfer) => {
                WireQuestion::Word(wire::AskWord { to: put(&to.0), transfer: put(&transfer.0) })
            }
            Question::Concerning { from, held, size } => {
                WireQuestion::Concerning(wire::Concerning { from: *from, held: *held, size: *size })
            }
        };
        wire::Question { version: RELAY_VERSION, question: Some(question) }.encode_to_vec().into()
    }

    /// Reads a question; an envelope is a slice of what arrived.
    pub fn decode(bytes: &Bytes) -> Result<Question, Reject> {
        within(bytes.len(), l::QUESTION_BYTES_MAX, "question_bytes")?;
        let wire = strict::versioned(bytes, RELAY_VERSION, |question: &wire::Question| question.version)?;
        match wire.question.ok_or(Reject::WrongKind { field: "question" })? {
            WireQuestion::IsHere(agent) => Ok(Question::IsHere(AgentId(array(&agent, "is_here")?))),
            WireQuestion::Commands(envelope) => {
                within(envelope.len(), l::ENVELOPE_BYTES_MAX, "envelope_bytes")?;
                Ok(Question::Commands(envelope))
            }
            WireQuestion::Extend(older) => Ok(Question::Extend(older)),
            WireQuestion::Cosigned(envelope) => {
                within(envelope.len(), l::COSIGNATURE_BYTES_MAX + l::ENVELOPE_OVERHEAD_BYTES, "cosignature_bytes")?;
                Ok(Question::Cosigned(envelope))
            }
            WireQuestion::Seen(document) => audit_document(document).map(Question::Seen),
            WireQuestion::Accusation(document) => {
                within(document.len(), l::ACCUSATION_BYTES_MAX, "accusation_bytes")?;
                Ok(Question::Accusation(document))
            }
            WireQuestion::Bundle(true) => Ok(Question::Bundle),
            WireQuestion::Told(envelope) => {
                within(envelope.len(), l::ENVELOPE_BYTES_MAX, "envelope_bytes")?;
                Ok(Question::Told(envelope))
            }
            WireQuestion::Word(wire::AskWord { to, transfer }) => {
                Ok(Question::Word(DomainId(array(&to, "to")?), TransferId(array(&transfer, "transfer")?)))
            }
            WireQuestion::Concerning(wire::Concerning { from, held, size }) => {
                Ok(Question::Concerning { from, held, size })
            }
            WireQuestion::Bundle(false) => Err(Reject::WrongKind { field: "bundle" }),
            WireQuestion::Given(wire::Given { request, note }) => {
                within(note.len(), l::TASK_NOTE_BYTES_MAX, "task_note_bytes")?;
                Ok(Question::Given { request, note })
            }
        }
    }
}

impl Answer {
    /// The one encoding.
    pub fn encode(&self) -> Bytes {
        let answer = match self {
            Answer::IsHere(here) => WireAnswer::IsHere(*here),
            Answer::Receipt(envelope) => WireAnswer::Receipt(envelope.clone()),
            Answer::Refused(code) => WireAnswer::Refused((*code).into()),
            Answer::NotNow(why) => WireAnswer::NotNow(wire::NotNow::from(*why).into()),
            Answer::Document(document) => WireAnswer::Document(document.clone()),
            Answer::Behind(size) => WireAnswer::Behind(*size),
            Answer::Taken(taken) => WireAnswer::Taken(*taken),
            Answer::Excerpt(excerpt) => WireAnswer::Excerpt(excerpt.into()),
        };
        wire::Answer { version: RELAY_VERSION, answer: Some(answer) }.encode_to_vec().into()
    }

    /// Reads an answer; a receipt is a slice of what arrived.
    pub fn decode(bytes: &Bytes) -> Result<Answer, Reject> {
        within(bytes.len(), l::ANSWER_BYTES_MAX, "answer_bytes")?;
        projection::counts(bytes, EXCERPT_FIELD)?;
        let wire = strict::versioned(bytes, RELAY_VERSION, |answer: &wire::Answer| answer.version)?;
        Ok(match wire.answer.ok_or(Reject::WrongKind { field: "answer" })? {
            WireAnswer::IsHere(here) => Answer::IsHere(here),
            WireAnswer::Receipt(envelope) => Answer::Receipt(envelope),
            WireAnswer::Refused(code) => Answer::Refused(narrow(code, "refused")?),
            WireAnswer::NotNow(why) => Answer::NotNow(not_now(why)?),
            WireAnswer::Document(document) => Answer::Document(audit_document(document)?),
            WireAnswer::Behind(size) => Answer::Behind(size),
            WireAnswer::Taken(taken) => Answer::Taken(taken),
            WireAnswer::Excerpt(excerpt) => Answer::Excerpt(excerpt.try_into()?),
        })
    }
}

fn audit_document(document: Bytes) -> Result<Bytes, Reject> {
    within(document.len(), l::AUDIT_DOCUMENT_BYTES_MAX, "audit_document_bytes")?;
    Ok(document)
}

/// A voter of the roster in `envelope`. Opening it has proved that a root key of the domain that it names signed it.
fn voter_of(envelope: &Bytes, domain: &DomainId, key: &PublicKey) -> Result<(), Reject> {
    let roster = Roster::open(envelope)?;
    if roster.get().domain == *domain && roster.get().voters.contains(key) { Ok(()) } else { Err(Reject::WrongSigner) }
}

impl Signed for Cosignature {
    const CONTEXT: Context = Context::Cosignature;
    const PAYLOAD_BYTES_MAX: usize = l::COSIGNATURE_BYTES_MAX;
    const LIMIT: &'static str = "cosignature_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::Cosignature {
            witness: put(&self.witness.0),
            domain: put(&self.domain.0),
            size: self.size,
            root: put(&self.root.0),
            seen_ms: self.seen_ms,
            roster: self.roster.clone(),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Cosignature, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::Cosignature = strict::decode(payload)?;
        Ok(Cosignature {
            witness: DomainId(array(&wire.witness, "witness")?),
            domain: DomainId(array(&wire.domain, "domain")?),
            size: wire.size,
            root: Hash(array(&wire.root, "root")?),
            seen_ms: wire.seen_ms,
            roster: wire.roster,
        })
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        voter_of(&self.roster, &self.witness, key)
    }
}

impl From<NotNow> for wire::NotNow {
    fn from(why: NotNow) -> wire::NotNow {
        match why {
            NotNow::Busy => wire::NotNow::Busy,
            NotNow::NoLeader => wire::NotNow::NoLeader,
            NotNow::NotAVoter => wire::NotNow::NotAVoter,
            NotNow::Unknown => wire::NotNow::Unknown,
        }
    }
}

fn not_now(why: i32) -> Result<NotNow, Reject> {
    match wire::NotNow::try_from(why) {
        Ok(wire::NotNow::Busy) => Ok(NotNow::Busy),
        Ok(wire::NotNow::NoLeader) => Ok(NotNow::NoLeader),
        Ok(wire::NotNow::NotAVoter) => Ok(NotNow::NotAVoter),
        Ok(wire::NotNow::Unknown) => Ok(NotNow::Unknown),
        Ok(wire::NotNow::Unspecified) | Err(_) => Err(Reject::WrongKind { field: "not_now" }),
    }
}

impl Signed for Receipt {
    const CONTEXT: Context = Context::Receipt;
    const PAYLOAD_BYTES_MAX: usize = l::RECEIPT_BYTES_MAX;
    const LIMIT: &'static str = "receipt_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::Receipt {
            domain: put(&self.domain.0),
            batch: put(&self.batch.0),
            incarnation: self.incarnation,
            log_index: self.log_index,
            stamp_ms: self.stamp_ms,
            outcomes: self.outcomes.iter().map(|code| u32::from(*code)).collect(),
            roster: self.roster.clone(),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Receipt, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::Receipt = strict::decode(payload)?;
        if wire.outcomes.is_empty() {
            return Err(Reject::Missing { field: "outcomes" });
        }
        within(wire.outcomes.len(), l::COMMANDS_PER_BATCH_MAX, "commands_per_batch")?;
        Ok(Receipt {
            domain: DomainId(array(&wire.domain, "domain")?),
            batch: Hash(array(&wire.batch, "batch")?),
            incarnation: wire.incarnation,
            log_index: wire.log_index,
            stamp_ms: wire.stamp_ms,
            outcomes: wire.outcomes.into_iter().map(|code| narrow(code, "outcomes")).collect::<Result<_, _>>()?,
            roster: wire.roster,
        })
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        voter_of(&self.roster, &self.domain, key)
    }
}
