//! Settlement batches.
//!
//! A batch with a prepare is small and carries no query, so it can be embedded whole in a query; a query is never
//! embedded in a query.

use super::{asset, narrow, need, party, put};
use crate::{
    envelope::{Context, Signed},
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey, TransferId},
    limits as l,
    reject::{Reject, within},
    scan,
    settlement::{
        Acknowledge, Backing, BackingAnswer, Closing, ClosingAnswer, Decision, DecisionWord, Prepare, Query,
        SettlementBatch, SettlementMessage, SettlementRefusal, Source, TransferVerdict, Vote,
    },
    strict::{self, array},
    text::Reason,
    wire::{self, settlement_message::Message as Wire},
};
use alloc::boxed::Box;
use bytes::Bytes;
use prost::Message as _;

impl Signed for SettlementBatch {
    const CONTEXT: Context = Context::Settlement;
    const PAYLOAD_BYTES_MAX: usize = l::SETTLEMENT_BATCH_BYTES_MAX;
    const LIMIT: &'static str = "settlement_batch_bytes";

    fn encode(&self) -> Bytes {
        let message = |message| wire::SettlementMessage { message: Some(Wire::from(message)) };
        let batch = wire::SettlementBatch {
            from: put(&self.from.0),
            to: put(&self.to.0),
            incarnation: self.incarnation,
            roster: self.roster.clone(),
            messages: self.messages.iter().map(message).collect(),
        };
        batch.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<SettlementBatch, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        scan::at_most(payload, 5, l::SETTLEMENT_BATCH_MAX, "settlement_batch")?;
        let batch: wire::SettlementBatch = strict::decode(payload)?;
        within(batch.roster.len(), l::ROSTER_BYTES_MAX, "roster_bytes")?;
        if batch.messages.is_empty() {
            return Err(Reject::Missing { field: "messages" });
        }
        let read = |message: wire::SettlementMessage| {
            message.message.ok_or(Reject::WrongKind { field: "settlement_message" })?.try_into()
        };
        let batch = SettlementBatch {
            from: DomainId(array(&batch.from, "from")?),
            to: DomainId(array(&batch.to, "to")?),
            incarnation: batch.incarnation,
            roster: batch.roster,
            messages: batch.messages.into_iter().map(read).collect::<Result<_, Reject>>()?,
        };
        if batch.messages.iter().any(|message| matches!(message, SettlementMessage::Prepare(_))) {
            let most = l::PREPARE_BATCH_BYTES_MAX.saturating_sub(l::ENVELOPE_OVERHEAD_BYTES);
            within(payload.len(), most, "prepare_batch_bytes")?;
            if batch.messages.iter().any(|message| matches!(message, SettlementMessage::Query(_))) {
                return Err(Reject::OutOfRange { field: "messages" });
            }
        }
        Ok(batch)
    }
}

impl Signed for DecisionWord {
    const CONTEXT: Context = Context::DecisionWord;
    const PAYLOAD_BYTES_MAX: usize = l::DECISION_WORD_BYTES_MAX;
    const LIMIT: &'static str = "decision_word_bytes";

    fn encode(&self) -> Bytes {
        let word = wire::DecisionWord {
            origin: put(&self.origin.0),
            to: put(&self.to.0),
            incarnation: self.incarnation,
            roster_epoch: self.roster_epoch,
            transfer: put(&self.transfer.0),
            content: put(&self.content.0),
            commit: self.commit,
        };
        word.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<DecisionWord, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let word: wire::DecisionWord = strict::decode(payload)?;
        Ok(DecisionWord {
            origin: DomainId(array(&word.origin, "origin")?),
            to: DomainId(array(&word.to, "to")?),
            incarnation: word.incarnation,
            roster_epoch: word.roster_epoch,
            transfer: transfer(&word.transfer)?,
            content: Hash(array(&word.content, "content")?),
            commit: word.commit,
        })
    }
}

impl Signed for TransferVerdict {
    const CONTEXT: Context = Context::TransferVerdict;
    const PAYLOAD_BYTES_MAX: usize = l::VERDICT_BYTES_MAX;
    const LIMIT: &'static str = "verdict_bytes";
    const BY_ROOT: bool = true;

    fn encode(&self) -> Bytes {
        let verdict = wire::TransferVerdict {
            origin: put(&self.origin.0),
            to: put(&self.to.0),
            transfer: put(&self.transfer.0),
            content: put(&self.content.0),
            commit: self.commit,
            reason: self.reason.as_str().into(),
        };
        verdict.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<TransferVerdict, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let verdict: wire::TransferVerdict = strict::decode(payload)?;
        Ok(TransferVerdict {
            origin: DomainId(array(&verdict.origin, "origin")?),
            to: DomainId(array(&verdict.to, "to")?),
            transfer: transfer(&verdict.transfer)?,
            content: Hash(array(&verdict.content, "content")?),
            commit: verdict.commit,
            reason: Reason::new(&verdict.reason)?,
        })
    }

    /// The root key of the domain that says it.
    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if DomainId::of_key(key) == self.origin { Ok(()) } else { Err(Reject::WrongSigner) }
    }
}

impl Prepare {
    /// What a vote and a decision refer to: the hash of this prepare's one encoding, whatever batch carried it.
    pub fn digest(&self) -> Hash {
        Hash::of_parts("comity/v1/prepare", &[&wire::Prepare::from(self).encode_to_vec()])
    }

    /// The one encoding of this prepare, for stores.
    pub fn encode(&self) -> Bytes {
        wire::Prepare::from(self).encode_to_vec().into()
    }
}

impl From<&Prepare> for wire::Prepare {
    fn from(prepare: &Prepare) -> wire::Prepare {
        let mut referral = None;
        let source = match &prepare.source {
            Source::Agent(agent) => Some(wire::prepare::Source::Agent(put(&agent.0))),
            Source::Escrow { escrow, milestone, payee, attempt } => {
                Some(wire::prepare::Source::Escrow(wire::EscrowPayout {
                    escrow: put(&escrow.0),
                    milestone: (*milestone).into(),
                    payee: (*payee).into(),
                    attempt: *attempt,
                }))
            }
            Source::Referral { agent, swept_ms } => {
                referral = Some(wire::ReferralSweep { agent: put(&agent.0), swept_ms: *swept_ms });
                None
            }
        };
        wire::Prepare {
            transfer: put(&prepare.transfer.0),
            origin: put(&prepare.origin.0),
            source,
            recipient: Some((&prepare.recipient).into()),
            asset: Some((&prepare.asset).into()),
            amount: prepare.amount,
            decide_by_ms: prepare.decide_by_ms,
            referral,
        }
    }
}

impl TryFrom<wire::Prepare> for Prepare {
    type Error = Reject;
    fn try_from(prepare: wire::Prepare) -> Result<Prepare, Reject> {
        let source = match (prepare.source, prepare.referral) {
            (None, None) => return Err(Reject::Missing { field: "source" }),
            (Some(_), Some(_)) => return Err(Reject::OutOfRange { field: "source" }),
            (Some(wire::prepare::Source::Agent(agent)), None) => Source::Agent(AgentId(array(&agent, "agent")?)),
            (Some(wire::prepare::Source::Escrow(payout)), None) => Source::Escrow {
                escrow: EscrowId(array(&payout.escrow, "escrow")?),
                milestone: narrow(payout.milestone, "milestone")?,
                payee: narrow(payout.payee, "payee")?,
                attempt: payout.attempt,
            },
            (None, Some(sweep)) => {
                Source::Referral { agent: AgentId(array(&sweep.agent, "agent")?), swept_ms: sweep.swept_ms }
            }
        };
        Ok(Prepare {
            transfer: transfer(&prepare.transfer)?,
            origin: DomainId(array(&prepare.origin, "origin")?),
            source,
            recipient: party(prepare.recipient, "recipient")?,
            asset: asset(prepare.asset)?,
            amount: prepare.amount,
            decide_by_ms: prepare.decide_by_ms,
        })
    }
}

impl From<&SettlementMessage> for Wire {
    fn from(message: &SettlementMessage) -> Wire {
        match message {
            SettlementMessage::Prepare(prepare) => Wire::Prepare(prepare.into()),
            SettlementMessage::Vote(vote) => Wire::Vote(wire::Vote {
                transfer: put(&vote.transfer.0),
                content: put(&vote.content.0),
                verdict: Some(match vote.verdict {
                    Ok(fee) => wire::vote::Verdict::Fee(fee),
                    Err(reason) => wire::vote::Verdict::Reason(reason.into()),
                }),
            }),
            SettlementMessage::Decision(decision) => Wire::Decision(wire::Decision {
                transfer: put(&decision.transfer.0),
                content: put(&decision.content.0),
                commit: decision.commit,
                vote_evidence: decision.vote_evidence.as_ref().map(|hash| put(&hash.0)),
                decide_by_ms: decision.decide_by_ms,
            }),
            SettlementMessage::Query(query) => {
                Wire::Query(wire::Query { transfer: put(&query.transfer.0), prepare: query.prepare.clone() })
            }
            SettlementMessage::Acknowledge(acknowledge) => Wire::Acknowledge(wire::Acknowledge {
                transfer: put(&acknowledge.transfer.0),
                commit: acknowledge.commit,
            }),
            SettlementMessage::Refusal(refusal) => Wire::Refusal(wire::SettlementRefusal {
                transfer: put(&refusal.transfer.0),
                reason: refusal.reason.into(),
            }),
            SettlementMessage::Backing(backing) => Wire::Backing(wire::Backing {
                origin: put(&backing.origin.0),
                transfer: put(&backing.transfer.0),
                content: put(&backing.content.0),
                amount: backing.amount,
                decide_by_ms: backing.decide_by_ms,
            }),
            SettlementMessage::BackingAnswer(answer) => Wire::BackingAnswer(wire::BackingAnswer {
                origin: put(&answer.origin.0),
                transfer: put(&answer.transfer.0),
                refusal: answer.refusal.map(Into::into),
            }),
            SettlementMessage::BooksAsk(ask) => Wire::BooksAsk(ask.into()),
            SettlementMessage::Books(books) => Wire::Books(books.as_ref().into()),
            SettlementMessage::Closing(closing) => {
                Wire::Closing(wire::Closing { treaty: put(&closing.treaty.0), statement: closing.statement.clone() })
            }
            SettlementMessage::ClosingAnswer(answer) => Wire::ClosingAnswer(wire::ClosingAnswer {
                statement: put(&answer.statement.0),
                outcome: answer.outcome.into(),
            }),
            SettlementMessage::Word(word) => Wire::Word(word.clone()),
        }
    }
}

impl TryFrom<Wire> for SettlementMessage {
    type Error = Reject;
    fn try_from(message: Wire) -> Result<SettlementMessage, Reject> {
        Ok(match message {
            Wire::Prepare(prepare) => SettlementMessage::Prepare(prepare.try_into()?),
            Wire::Vote(vote) => SettlementMessage::Vote(Vote {
                transfer: transfer(&vote.transfer)?,
                content: Hash(array(&vote.content, "content")?),
                verdict: match need(vote.verdict, "verdict")? {
                    wire::vote::Verdict::Fee(fee) => Ok(fee),
                    wire::vote::Verdict::Reason(reason) => Err(narrow(reason, "reason")?),
                },
            }),
            Wire::Decision(decision) => SettlementMessage::Decision(Decision {
                transfer: transfer(&decision.transfer)?,
                content: Hash(array(&decision.content, "content")?),
                commit: decision.commit,
                vote_evidence: decision
                    .vote_evidence
                    .map(|hash| array(&hash, "vote_evidence").map(Hash))
                    .transpose()?,
                decide_by_ms: decision.decide_by_ms,
            }),
            Wire::Query(query) => {
                within(query.prepare.len(), l::PREPARE_BATCH_BYTES_MAX, "prepare_batch_bytes")?;
                SettlementMessage::Query(Query { transfer: transfer(&query.transfer)?, prepare: query.prepare })
            }
            Wire::Acknowledge(acknowledge) => SettlementMessage::Acknowledge(Acknowledge {
                transfer: transfer(&acknowledge.transfer)?,
                commit: acknowledge.commit,
            }),
            Wire::Refusal(refusal) => SettlementMessage::Refusal(SettlementRefusal {
                transfer: transfer(&refusal.transfer)?,
                reason: narrow(refusal.reason, "reason")?,
            }),
            Wire::Backing(backing) => SettlementMessage::Backing(Backing {
                origin: DomainId(array(&backing.origin, "origin")?),
                transfer: transfer(&backing.transfer)?,
                content: Hash(array(&backing.content, "content")?),
                amount: backing.amount,
                decide_by_ms: backing.decide_by_ms,
            }),
            Wire::BackingAnswer(answer) => SettlementMessage::BackingAnswer(BackingAnswer {
                origin: DomainId(array(&answer.origin, "origin")?),
                transfer: transfer(&answer.transfer)?,
                refusal: answer.refusal.map(|reason| narrow(reason, "refusal")).transpose()?,
            }),
            Wire::BooksAsk(ask) => SettlementMessage::BooksAsk(ask.try_into()?),
            Wire::Books(books) => SettlementMessage::Books(Box::new(books.try_into()?)),
            Wire::Closing(closing) => {
                within(closing.statement.len(), l::CLOSING_BYTES_MAX, "closing_bytes")?;
                SettlementMessage::Closing(Closing {
                    treaty: Hash(array(&closing.treaty, "treaty")?),
                    statement: closing.statement,
                })
            }
            Wire::ClosingAnswer(answer) => SettlementMessage::ClosingAnswer(ClosingAnswer {
                statement: Hash(array(&answer.statement, "statement")?),
                outcome: narrow(answer.outcome, "outcome")?,
            }),
            Wire::Word(word) => {
                let most = l::DECISION_WORD_BYTES_MAX.saturating_add(l::ENVELOPE_OVERHEAD_BYTES);
                within(word.len(), most, "decision_word_bytes")?;
                SettlementMessage::Word(word)
            }
        })
    }
}

fn transfer(id: &Bytes) -> Result<TransferId, Reject> {
    array(id, "transfer").map(TransferId)
}
