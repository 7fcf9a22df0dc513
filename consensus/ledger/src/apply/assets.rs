//! Assets: create, issue within the published cap, burn.

use super::{Answer, Out};
use crate::{
    account::{AccountKey, AssetIndex, Leg},
    event::EventKind,
    outcome::Outcome,
    state::{Asset, Ledger},
};
use alloc::{vec, vec::Vec};
use comity_proto::{
    amount::{AssetCode, AssetId, scale_allowed},
    ids::AgentId,
    limits::{ASSETS_PER_DOMAIN_MAX, SUPPLY_MAX},
};

/// A scale and a cap that an own asset may have. A cap of zero is that of a domain which is founded to issue nothing.
pub(super) const fn check_asset(scale: u8, supply_cap: u64) -> Result<(), Outcome> {
    match (scale_allowed(scale), supply_cap) {
        (false, _) => Err(Outcome::LimitExceededAssets),
        (true, cap) if cap > SUPPLY_MAX => Err(Outcome::LimitExceededSupply),
        _ => Ok(()),
    }
}

impl Ledger {
    /// Operator: a new asset of this domain. Scale and cap never change.
    pub(super) fn create_asset(&mut self, code: AssetCode, scale: u8, supply_cap: u64, out: &mut Out) -> Answer {
        let issuer = self.domain_id().ok_or(Outcome::NotInitialized)?;
        let asset = Asset { id: AssetId { issuer, code }, scale: Some(scale), supply_cap: Some(supply_cap) };
        if let Some(known) = self.head.assets.iter().find(|known| known.id == asset.id) {
            return if *known == asset { Ok(Outcome::Exists) } else { Err(Outcome::DuplicateName) };
        }
        check_asset(scale, supply_cap)?;
        if supply_cap == 0 {
            return Err(Outcome::AmountZero);
        }
        let own = self.head.assets.iter().filter(|known| known.id.issuer == issuer).count();
        if own >= ASSETS_PER_DOMAIN_MAX {
            return Err(Outcome::LimitExceededAssets);
        }
        self.know_asset(asset, out);
        Ok(Outcome::Created)
    }

    /// Gives an asset its index. The caller has checked that it is new.
    pub(crate) fn know_asset(&mut self, asset: Asset, out: &mut Out) -> AssetIndex {
        let index = AssetIndex(u32::try_from(self.head.assets.len()).unwrap_or(u32::MAX));
        let Asset { id, scale, supply_cap } = asset;
        self.head.assets.push(asset);
        self.emit(out, EventKind::AssetKnown { index, asset: id, scale, supply_cap }, Vec::new());
        index
    }

    /// Operator: mints to a local agent or to the treasury.
    pub(super) fn issue(&mut self, code: &AssetCode, to: Option<AgentId>, amount: u64, out: &mut Out) -> Answer {
        let asset = self.own_asset(code).ok_or(Outcome::AssetUnknown)?;
        if amount == 0 {
            return Err(Outcome::AmountZero);
        }
        let receiver = match to {
            Some(agent) if self.agents.contains_key(&agent) => AccountKey::agent(agent, asset),
            Some(_) => return Err(Outcome::UnknownAgent),
            None => AccountKey::treasury(asset),
        };
        let issuance = AccountKey::issuance(asset);
        let supply = self.balance_of(&issuance).checked_add(amount).ok_or(Outcome::AmountOverflow)?;
        let cap = self.asset(asset).and_then(|asset| asset.supply_cap).unwrap_or(0);
        if supply > cap {
            return Err(Outcome::LimitExceededSupply);
        }
        let legs = vec![Leg::debit(issuance, amount), Leg::credit(receiver, amount)];
        self.transact(out, EventKind::Issued { asset, amount }, legs)?;
        Ok(Outcome::Created)
    }

    /// Operator: burns what the treasury holds; nobody else's units.
    pub(super) fn burn(&mut self, code: &AssetCode, amount: u64, out: &mut Out) -> Answer {
        let asset = self.own_asset(code).ok_or(Outcome::AssetUnknown)?;
        if amount == 0 {
            return Err(Outcome::AmountZero);
        }
        let legs =
            vec![Leg::debit(AccountKey::treasury(asset), amount), Leg::credit(AccountKey::issuance(asset), amount)];
        self.transact(out, EventKind::Burned { asset, amount }, legs)?;
        Ok(Outcome::Applied)
    }
}
