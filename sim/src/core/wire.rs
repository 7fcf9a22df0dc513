//! Settlement messages as bytes between domains: the product's own encoding, with or without signatures.

use bytes::Bytes;
use comity_ledger::{CheckedItem, check};
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    settlement::{SettlementBatch, SettlementMessage},
};

use super::cast::Cast;

/// A batch under way.
#[derive(Clone)]
pub struct Letter {
    /// Index of the domain that says it.
    pub from: usize,
    /// Index of the domain that is told.
    pub to: usize,
    /// Index of the replica that signed.
    pub voter: usize,
    /// The envelope, or the plain batch when signatures are believed.
    pub bytes: Bytes,
}

impl Letter {
    /// Puts messages of one domain to another into one batch.
    pub fn new(cast: &Cast, from: usize, to: usize, voter: usize, messages: Vec<SettlementMessage>) -> Letter {
        let (sender, receiver) = (&cast.domains[from], &cast.domains[to]);
        let roster = sender.roster_bytes.clone();
        let batch = SettlementBatch { from: sender.id, to: receiver.id, incarnation: 1, roster, messages };
        let bytes = if cast.signed() { batch.seal(&sender.voters[voter]) } else { batch.encode() };
        Letter { from, to, voter, bytes }
    }

    /// Judges the bytes as every replica does before it applies them. Once for all replicas: the verdict is a function
    /// of the bytes.
    pub fn open(&self, cast: &Cast) -> CheckedItem {
        let sender = &cast.domains[self.from];
        if cast.signed() {
            check(&EntryItem::Settlement(self.bytes.clone()))
        } else {
            CheckedItem::unsigned_settlement(&self.bytes, sender.voters[self.voter].public(), &sender.roster)
        }
    }
}
