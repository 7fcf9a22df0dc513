//! What may be asked about settlement without changing it.

use super::{Incoming, Outgoing, record::IncomingKey};
use crate::{
    account::{AccountKey, AssetIndex},
    state::Ledger,
};
use comity_proto::{
    amount::AssetId,
    envelope::Verified,
    identity::Roster,
    ids::{DomainId, PublicKey, TransferId},
};

impl Ledger {
    /// Whether this key may speak for another domain: a voter of the highest of this roster, whose own signature the
    /// caller has checked, and the one seen here; of no incarnation older than one seen.
    pub fn speaks_for(&self, incarnation: u64, signed: &Verified<Roster>, key: &PublicKey) -> bool {
        let roster = signed.get();
        match self.settlement.peers.get(&roster.domain) {
            Some(peer) if incarnation < peer.incarnation => false,
            Some(peer) if roster.epoch <= peer.roster_epoch && !peer.voters.is_empty() => peer.voters.contains(key),
            _ => roster.voters.contains(key) && self.judge_root(&roster.domain, signed.signer()).is_ok(),
        }
    }

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

    /// Yes votes in an asset that are not finished here, minor units: they count against the exposure cap.
    pub fn pending_of(&self, asset: &AssetId) -> u128 {
        self.asset_index(asset).map_or(0, |index| self.settlement.pending(index))
    }

    /// Reserve of an asset of this domain behind what a peer holds of it, minor units.
    pub fn reserve_for(&self, peer: &DomainId, asset: AssetIndex) -> u64 {
        self.balance_of(&AccountKey::peer(*peer, asset))
    }

    /// Units of an asset that exist in this ledger, minor units: issued ones of its own, wrapped ones of others.
    pub fn supply_of(&self, asset: &AssetId) -> u64 {
        self.asset_index(asset).map_or(0, |index| self.balance_of(&AccountKey::issuance(index)))
    }
}
