//! What may be asked about settlement without changing it.

use super::{Incoming, Outgoing, record::IncomingKey};
use crate::{account::AccountKey, state::Ledger};
use comity_proto::{amount::AssetId, ids::TransferId};

impl Ledger {
    /// Transfers that this domain began, by id; tombstones among them.
    pub fn outgoing(&self) -> impl Iterator<Item = (&TransferId, &Outgoing)> {
        self.settlement.outgoing.iter()
    }

    /// Transfers that other domains began, by origin and id.
    pub fn incoming(&self) -> impl Iterator<Item = (&IncomingKey, &Incoming)> {
        self.settlement.incoming.iter()
    }

    /// Events in the domain's Merkle log.
    pub fn event_count(&self) -> u64 {
        self.head.events.size()
    }

    /// Units of an asset that exist in this ledger, minor units: issued ones of its own, wrapped ones of others.
    pub fn supply_of(&self, asset: &AssetId) -> u64 {
        self.asset_index(asset).map_or(0, |index| self.balance_of(&AccountKey::issuance(index)))
    }
}
