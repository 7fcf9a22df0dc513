//! The expensive, pure half of applying: opening envelopes and judging signatures.
//!
//! The verdict is a function of the bytes alone. Every replica runs it again, in parallel, before `apply`, so a command
//! that a bad leader invented is `bad_signature` on all of them. What needs state, such as which key is active, is left
//! to `apply`.

use crate::{
    keys::CheckedStep,
    outcome::Outcome,
    projection::CheckedProjection,
    settlement::{CheckedBatch, CheckedContradiction},
    treaty::CheckedPush,
};
use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    command::{Actor, Command, CommandBatch, Verb},
    drift::DriftNote,
    entry::EntryItem,
    envelope::{Envelope, Signed as _, Verified},
    identity::{Genesis, Roster},
    ids::PublicKey,
    keys::verify_rotation,
    planted::{Plant, planted},
    reject::Reject,
    relay::Receipt,
};

/// An item whose bytes have been judged. Private inside: [`check`] is its only source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedItem(pub(crate) Checked);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    Refused(Outcome),
    Genesis(Box<CheckedGenesis>),
    Commands(CheckedCommands),
    Settlement(Box<CheckedBatch>),
    Roster(Box<Verified<Roster>>),
    Pulse,
    Treaty(Box<CheckedPush>),
    TreatyReceipt(Box<Verified<Receipt>>),
    Key(Box<CheckedStep>),
    Contradiction(Box<CheckedContradiction>),
    DriftNote(Box<Verified<DriftNote>>),
    Projection(Box<CheckedProjection>),
}

/// A genesis whose roster is signed by the same root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckedGenesis {
    pub(crate) genesis: Genesis,
    pub(crate) roster: Roster,
}

/// A batch whose signature is that of `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckedCommands {
    pub(crate) key: PublicKey,
    pub(crate) batch: CommandBatch,
    /// Per command: what its request id is bound to.
    pub(crate) digests: Vec<[u8; 16]>,
    /// Per command: the proof of a key rotation holds; true for every other verb.
    pub(crate) proofs: Vec<bool>,
}

/// Judges one item. Pure and expensive: one signature check per envelope, and one per key rotation.
pub fn check(item: &EntryItem) -> CheckedItem {
    let checked =
        match item {
            EntryItem::Genesis(bytes) => genesis(bytes),
            EntryItem::Commands(bytes) if planted(Plant::AcceptUnsigned) => unsigned(bytes),
            EntryItem::Commands(bytes) => CommandBatch::open(bytes).map(|batch| {
                let (key, digests) = (*batch.key(), CommandBatch::content_digests(batch.payload_bytes()));
                Checked::Commands(commands(key, batch.into_inner(), digests))
            }),
            EntryItem::Settlement(bytes) => CheckedBatch::open(bytes).map(|batch| Checked::Settlement(Box::new(batch))),
            EntryItem::Roster(bytes) => Roster::open(bytes).map(|roster| Checked::Roster(Box::new(roster))),
            EntryItem::Pulse => Ok(Checked::Pulse),
            EntryItem::Treaty(bytes) => CheckedPush::open(bytes).map(|push| Checked::Treaty(Box::new(push))),
            EntryItem::TreatyReceipt(bytes) => {
                Receipt::open(bytes).map(|receipt| Checked::TreatyReceipt(Box::new(receipt)))
            }
            EntryItem::Key(bytes) => CheckedStep::open(bytes).map(|step| Checked::Key(Box::new(step))),
            EntryItem::Contradiction(bytes) => {
                CheckedContradiction::open(bytes).map(|proof| Checked::Contradiction(Box::new(proof)))
            }
            EntryItem::DriftNote(bytes) => DriftNote::open(bytes).map(|note| Checked::DriftNote(Box::new(note))),
            EntryItem::Projection(bytes) => Ok(CheckedProjection::open(bytes)
                .map_or_else(Checked::Refused, |shown| Checked::Projection(Box::new(shown)))),
        };
    CheckedItem(checked.unwrap_or_else(|reject| Checked::Refused(refusal(&reject))))
}

/// The bug that is planted as `accept-unsigned`.
fn unsigned(bytes: &Bytes) -> Result<Checked, Reject> {
    let envelope = Envelope::parse(bytes, CommandBatch::PAYLOAD_BYTES_MAX, CommandBatch::LIMIT)?;
    let batch = CommandBatch::decode(envelope.unverified_payload())?;
    let digests = CommandBatch::content_digests(envelope.unverified_payload());
    Ok(Checked::Commands(commands(*envelope.claimed_key(), batch, digests)))
}

/// A reject as the outcome that it becomes in a ledger.
const fn refusal(reject: &Reject) -> Outcome {
    match reject {
        Reject::BadSignature | Reject::WrongSigner => Outcome::BadSignature,
        _ => Outcome::Malformed,
    }
}

fn genesis(bytes: &Bytes) -> Result<Checked, Reject> {
    let genesis = Genesis::open(bytes)?;
    let roster = Roster::open(&genesis.get().roster)?;
    if genesis.key() != &genesis.get().domain_key || roster.key() != genesis.key() {
        return Err(Reject::WrongSigner);
    }
    let roster = roster.into_inner();
    Ok(Checked::Genesis(Box::new(CheckedGenesis { genesis: genesis.into_inner(), roster })))
}

fn commands(key: PublicKey, batch: CommandBatch, digests: Vec<[u8; 16]>) -> CheckedCommands {
    let proofs = batch.commands.iter().map(|command| proof_holds(batch.actor, command)).collect();
    CheckedCommands { key, batch, digests, proofs }
}

fn proof_holds(actor: Actor, command: &Command) -> bool {
    match (actor, &command.verb) {
        (Actor::Agent(agent), Verb::RotateKey { new_key, proof }) => verify_rotation(&agent, new_key, proof).is_ok(),
        (Actor::Operator, Verb::RotateKey { .. }) => false,
        _ => true,
    }
}

impl CheckedItem {
    /// The refusal that the bytes alone deserve, if they do.
    pub const fn refused(&self) -> Option<Outcome> {
        match &self.0 {
            Checked::Refused(outcome) => Some(*outcome),
            _ => None,
        }
    }

    /// Skips every signature: for measuring `apply` alone. Never built into a node.
    #[cfg(any(test, feature = "unsigned"))]
    #[doc(hidden)]
    pub fn unsigned(key: PublicKey, batch: CommandBatch) -> CheckedItem {
        let digests = CommandBatch::content_digests(&batch.encode());
        CheckedItem(Checked::Commands(commands(key, batch, digests)))
    }
    /// A settlement batch in its plain encoding, believed to be signed by `key`, a voter of `roster`: for models that
    /// walk through millions of states. Malformed bytes are refused as ever. Never built into a node.
    #[cfg(feature = "unsigned")]
    #[doc(hidden)]
    pub fn unsigned_settlement(plain: &Bytes, key: PublicKey, roster: &Roster) -> CheckedItem {
        let checked = CheckedBatch::believed(plain, key, roster).map(|batch| Checked::Settlement(Box::new(batch)));
        CheckedItem(checked.unwrap_or_else(|reject| Checked::Refused(refusal(&reject))))
    }
}
