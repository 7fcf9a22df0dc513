//! What stands in an entry, read from its bytes without judging them.

use bytes::Bytes;
use comity_ledger::Outcome;
use comity_proto::{
    command::{Actor, Command, CommandBatch},
    entry::{Entry, EntryItem},
    envelope::{Envelope, Signed as _},
    settlement::SettlementBatch,
};

/// One item of an entry, with what the ledger answered.
#[derive(Clone, Debug)]
pub struct Item {
    /// What it is.
    pub asked: Asked,
    /// Per command or message; one for anything else.
    pub outcomes: Vec<Outcome>,
}

/// What an item asks.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Commands of an agent or an operator.
    Commands {
        /// Who is said to ask.
        actor: Actor,
        /// Until when it may be applied, ledger ms.
        valid_until_ms: u64,
        /// What.
        commands: Vec<Command>,
        /// The signed bytes.
        envelope: Bytes,
    },
    /// Messages of another domain.
    Settlement {
        /// The signed bytes.
        envelope: Bytes,
    },
    /// Let time decide.
    Pulse,
    /// Genesis, roster, or bytes that do not decode.
    Other,
}

/// Reads an entry's bytes and gives each item its outcomes. `None` when bytes and outcomes do not fit together.
pub(super) fn read(entry: &Bytes, outcomes: &[Outcome]) -> Option<Vec<Item>> {
    let mut left = outcomes;
    let mut items = Vec::new();
    for item in Entry::decode(entry).ok()?.items {
        let (asked, count) = asked(item);
        // What the bytes alone condemn has one outcome, however many commands it holds.
        let (own, rest) = left.split_at_checked(count).or_else(|| left.split_at_checked(1))?;
        items.push(Item { asked, outcomes: own.to_vec() });
        left = rest;
    }
    left.is_empty().then_some(items)
}

fn asked(item: EntryItem) -> (Asked, usize) {
    match item {
        EntryItem::Commands(envelope) => {
            let batch = Envelope::parse(&envelope, CommandBatch::PAYLOAD_BYTES_MAX, CommandBatch::LIMIT)
                .and_then(|parsed| CommandBatch::decode(parsed.unverified_payload()));
            match batch {
                Ok(CommandBatch { actor, valid_until_ms, commands, .. }) => {
                    let count = commands.len();
                    (Asked::Commands { actor, valid_until_ms, commands, envelope }, count)
                }
                Err(_) => (Asked::Other, 1),
            }
        }
        EntryItem::Settlement(envelope) => {
            let batch = Envelope::parse(&envelope, SettlementBatch::PAYLOAD_BYTES_MAX, SettlementBatch::LIMIT)
                .and_then(|parsed| SettlementBatch::decode(parsed.unverified_payload()));
            (Asked::Settlement { envelope }, batch.map_or(1, |batch| batch.messages.len()))
        }
        EntryItem::Pulse => (Asked::Pulse, 1),
        EntryItem::Genesis(_)
        | EntryItem::Roster(_)
        | EntryItem::Treaty(_)
        | EntryItem::TreatyReceipt(_)
        | EntryItem::Key(_)
        | EntryItem::Contradiction(_)
        | EntryItem::DriftNote(_)
        | EntryItem::Projection(_) => (Asked::Other, 1),
    }
}
