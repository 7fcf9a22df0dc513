//! What stands in the replicated log: a stamp and items, each holding the exact signed bytes.
//!
//! An entry itself is not signed: the log carries it between the voters of one domain. Every replica opens the envelopes
//! again, so a leader can order and stamp commands but not invent them.

use crate::{
    limits as l,
    reject::{Reject, within},
    scan, strict, wire,
};
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message as _;

/// One log entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Ledger time, ms since the Unix epoch; the leader's choice, never below the previous one.
    pub stamp_ms: u64,
    /// At most [`l::ENTRY_ITEMS_MAX`], applied in order.
    pub items: Vec<EntryItem>,
}

/// One item of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryItem {
    /// Envelope of a [`crate::identity::Genesis`]: the first item of the first entry, once.
    Genesis(Bytes),
    /// Envelope of a [`crate::command::CommandBatch`].
    Commands(Bytes),
    /// Envelope of a [`crate::settlement::SettlementBatch`] of another domain.
    Settlement(Bytes),
    /// Envelope of this domain's next [`crate::identity::Roster`].
    Roster(Bytes),
    /// Handles due deadlines, and nothing else.
    Pulse,
    /// A [`crate::treaty::TreatyPush`] of another domain.
    Treaty(Bytes),
    /// Envelope of another domain's [`crate::relay::Receipt`] for a push of this one.
    TreatyReceipt(Bytes),
    /// Envelope of a [`crate::key_step::KeyStep`] of this domain.
    Key(Bytes),
    /// A document of two batches ([`crate::settlement::two_batches`]) in which another domain decided one transfer in two ways.
    Contradiction(Bytes),
    /// Envelope of a [`crate::drift::DriftNote`] of this domain.
    DriftNote(Bytes),
    /// A [`crate::projection::Projection`]: events of another domain's log that concern this one.
    Projection(Bytes),
}

impl EntryItem {
    /// The bytes of others, if the item carries any.
    pub fn envelope(&self) -> Option<&Bytes> {
        match self {
            EntryItem::Genesis(bytes)
            | EntryItem::Commands(bytes)
            | EntryItem::Settlement(bytes)
            | EntryItem::Roster(bytes)
            | EntryItem::Treaty(bytes)
            | EntryItem::TreatyReceipt(bytes)
            | EntryItem::Key(bytes)
            | EntryItem::Contradiction(bytes)
            | EntryItem::DriftNote(bytes)
            | EntryItem::Projection(bytes) => Some(bytes),
            EntryItem::Pulse => None,
        }
    }

    /// Bytes that this item adds to an entry, an upper bound: for filling entries up to the limit.
    pub fn entry_bytes(&self) -> usize {
        self.envelope().map_or(0, Bytes::len).saturating_add(16)
    }

    /// The one encoding of a single item, for forwarding to the leader.
    pub fn encode(&self) -> Bytes {
        to_wire(self).encode_to_vec().into()
    }

    /// Reads a single item; slices, copies nothing.
    pub fn decode(bytes: &Bytes) -> Result<EntryItem, Reject> {
        within(bytes.len(), l::ENVELOPE_BYTES_MAX.saturating_add(16), "envelope_bytes")?;
        from_wire(strict::decode(bytes)?)
    }
}

impl Entry {
    /// The one encoding.
    pub fn encode(&self) -> Bytes {
        let wire = wire::Entry { stamp_ms: self.stamp_ms, items: self.items.iter().map(to_wire).collect() };
        wire.encode_to_vec().into()
    }

    /// Reads an entry; slices, copies no envelope.
    pub fn decode(bytes: &Bytes) -> Result<Entry, Reject> {
        within(bytes.len(), l::ENTRY_BYTES_MAX, "entry_bytes")?;
        scan::at_most(bytes, 2, l::ENTRY_ITEMS_MAX, "entry_items")?;
        let wire: wire::Entry = strict::decode(bytes)?;
        let items = wire.items.into_iter().map(from_wire).collect::<Result<_, _>>()?;
        Ok(Entry { stamp_ms: wire.stamp_ms, items })
    }
}

fn to_wire(item: &EntryItem) -> wire::EntryItem {
    use wire::entry_item::Item;
    let item = match item {
        EntryItem::Genesis(bytes) => Item::Genesis(bytes.clone()),
        EntryItem::Commands(bytes) => Item::Commands(bytes.clone()),
        EntryItem::Settlement(bytes) => Item::Settlement(bytes.clone()),
        EntryItem::Roster(bytes) => Item::Roster(bytes.clone()),
        EntryItem::Pulse => Item::Pulse(wire::Nothing {}),
        EntryItem::Treaty(bytes) => Item::Treaty(bytes.clone()),
        EntryItem::TreatyReceipt(bytes) => Item::TreatyReceipt(bytes.clone()),
        EntryItem::Key(bytes) => Item::Key(bytes.clone()),
        EntryItem::Contradiction(bytes) => Item::Contradiction(bytes.clone()),
        EntryItem::DriftNote(bytes) => Item::DriftNote(bytes.clone()),
        EntryItem::Projection(bytes) => Item::Projection(bytes.clone()),
    };
    wire::EntryItem { item: Some(item) }
}

fn from_wire(item: wire::EntryItem) -> Result<EntryItem, Reject> {
    use wire::entry_item::Item;
    let envelope = |bytes: Bytes| within(bytes.len(), l::ENVELOPE_BYTES_MAX, "envelope_bytes").map(|()| bytes);
    match item.item.ok_or(Reject::WrongKind { field: "entry_item" })? {
        Item::Genesis(bytes) => envelope(bytes).map(EntryItem::Genesis),
        Item::Commands(bytes) => envelope(bytes).map(EntryItem::Commands),
        Item::Settlement(bytes) => envelope(bytes).map(EntryItem::Settlement),
        Item::Roster(bytes) => envelope(bytes).map(EntryItem::Roster),
        Item::Pulse(wire::Nothing {}) => Ok(EntryItem::Pulse),
        Item::Treaty(bytes) => envelope(bytes).map(EntryItem::Treaty),
        Item::TreatyReceipt(bytes) => envelope(bytes).map(EntryItem::TreatyReceipt),
        Item::Key(bytes) => envelope(bytes).map(EntryItem::Key),
        Item::Contradiction(bytes) => envelope(bytes).map(EntryItem::Contradiction),
        Item::DriftNote(bytes) => envelope(bytes).map(EntryItem::DriftNote),
        Item::Projection(bytes) => envelope(bytes).map(EntryItem::Projection),
    }
}
