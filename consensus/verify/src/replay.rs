//! The books, recomputed from events alone: what every history must be, whatever commands made it.

use crate::{
    closing::{self, Stated},
    keyring::Keyring,
    projected::{self, HeldOf, Told},
    wrong::Rule,
};
use comity_ledger::{AccountKey, AccountKind, AssetIndex, Event, EventKind};
use comity_proto::{
    amount::AssetId,
    ids::{AgentId, DomainId},
};
use std::collections::{BTreeMap, BTreeSet};

/// Which rule an event breaks, and what was seen.
pub type Broken = (Rule, String);

/// An asset as the history names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetRecord {
    /// Code and issuer.
    pub id: AssetId,
    /// Decimals shown to people; `None` for another domain's asset.
    pub scale: Option<u8>,
    /// Published bound of the supply; `None` for another domain's asset.
    pub cap: Option<u64>,
}

/// Everything that the events so far say. Its size is that of the books, not of the history.
#[derive(Debug)]
pub struct Replay {
    domain: DomainId,
    /// Magnitudes; an issuance stands for a negative number. Zero is absent.
    balances: BTreeMap<AccountKey, u64>,
    assets: Vec<AssetRecord>,
    agents: BTreeSet<AgentId>,
    last: Option<Position>,
    roster_epoch: Option<u64>,
    keyring: Keyring,
    entries: u64,
    postings: u64,
    taken: u64,
    stated: Stated,
    held: HeldOf,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    log_index: u64,
    n: u32,
    stamp_ms: u64,
}

impl Replay {
    /// Before the first event of this domain.
    #[must_use]
    pub const fn of(domain: DomainId) -> Replay {
        Replay {
            domain,
            balances: BTreeMap::new(),
            assets: Vec::new(),
            agents: BTreeSet::new(),
            last: None,
            roster_epoch: None,
            keyring: Keyring::new(),
            entries: 0,
            postings: 0,
            taken: 0,
            stated: Stated::new(),
            held: HeldOf::new(),
        }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// The first rule that it breaks; the books are of no use then.
    pub fn take(&mut self, event: &Event) -> Result<(), Broken> {
        let first = self.last.is_none();
        self.place(event)?;
        match (&event.kind, first) {
            (EventKind::DomainBegan { domain, .. }, true) if *domain == self.domain => {}
            (EventKind::DomainBegan { domain, .. }, true) => {
                return Err((Rule::Genesis, format!("the history is of {domain}")));
            }
            (EventKind::DomainBegan { .. }, false) => return Err((Rule::Genesis, "the domain begins twice".into())),
            (_, true) => return Err((Rule::Genesis, "the first event is not the domain's beginning".into())),
            (EventKind::AssetKnown { index, asset, scale, supply_cap }, _) => {
                self.know(*index, AssetRecord { id: *asset, scale: *scale, cap: *supply_cap })?;
            }
            (EventKind::AgentRegistered { agent, .. }, _) => {
                self.agents.insert(*agent);
            }
            (EventKind::RosterChanged { epoch }, _) => {
                if self.roster_epoch.is_some_and(|last| last >= *epoch) {
                    return Err((Rule::RosterEpoch, format!("epoch {epoch} follows {:?}", self.roster_epoch)));
                }
                self.roster_epoch = Some(*epoch);
            }
            (kind @ EventKind::KeyChanged { .. }, _) => self.keyring.take(self.domain, kind, event.stamp_ms)?,
            (kind, _) => {
                let mut stated = std::mem::take(&mut self.stated);
                closing::take(self, &mut stated, kind)?;
                self.stated = stated;
                projected::take(self.domain, &mut self.held, kind)?;
            }
        }
        self.taken = self.taken.saturating_add(1);
        self.post(event)
    }

    /// Which keys act by now.
    pub(crate) const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Entries in order, the events of each numbered from 0, one time per entry and none before the last one's.
    fn place(&mut self, event: &Event) -> Result<(), Broken> {
        let Event { log_index, n, stamp_ms, .. } = *event;
        if let Some(last) = self.last {
            let same_entry = log_index == last.log_index;
            let follows =
                if same_entry { last.n.checked_add(1) == Some(n) } else { log_index > last.log_index && n == 0 };
            if !follows {
                let detail = format!("{log_index}.{n} follows {}.{}", last.log_index, last.n);
                return Err((Rule::Order, detail));
            }
            if stamp_ms < last.stamp_ms || (same_entry && stamp_ms != last.stamp_ms) {
                return Err((Rule::Time, format!("{stamp_ms} follows {}", last.stamp_ms)));
            }
        } else if n != 0 {
            return Err((Rule::Order, format!("the first event is {log_index}.{n}")));
        }
        if n == 0 {
            self.entries = self.entries.saturating_add(1);
        }
        self.last = Some(Position { log_index, n, stamp_ms });
        Ok(())
    }

    fn know(&mut self, index: AssetIndex, asset: AssetRecord) -> Result<(), Broken> {
        if usize::try_from(index.0) != Ok(self.assets.len()) {
            return Err((Rule::Asset, format!("{} is number {}, not {}", asset.id, index.0, self.assets.len())));
        }
        if self.assets.iter().any(|known| known.id == asset.id) {
            return Err((Rule::Asset, format!("{} is known already", asset.id)));
        }
        let own = asset.id.issuer == self.domain;
        if asset.cap.is_some() != own || asset.scale.is_some() != own {
            return Err((Rule::Asset, format!("{}: decimals and cap are of an own asset, and only of one", asset.id)));
        }
        self.assets.push(asset);
        Ok(())
    }

    /// Legs of one account count together, as they were posted.
    fn post(&mut self, event: &Event) -> Result<(), Broken> {
        let mut totals: BTreeMap<AccountKey, i128> = BTreeMap::new();
        let mut sums: BTreeMap<AssetIndex, i128> = BTreeMap::new();
        for leg in &event.legs {
            let add = |sum: &mut i128| -> Result<(), Broken> {
                let beyond = || (Rule::Overflow, format!("{:?}", leg.account));
                *sum = sum.checked_add(leg.delta).ok_or_else(beyond)?;
                Ok(())
            };
            add(totals.entry(leg.account).or_default())?;
            add(sums.entry(leg.account.asset).or_default())?;
        }
        for (asset, sum) in sums {
            let record = self.asset(asset).ok_or_else(|| (Rule::Asset, format!("asset {} is not known", asset.0)))?;
            if sum != 0 {
                return Err((Rule::SumZero, format!("the legs in {} sum to {sum}", record.id)));
            }
        }
        self.supply_is_explained(event, &totals)?;
        for (account, delta) in totals {
            self.change(account, delta)?;
        }
        self.postings = self.postings.saturating_add(u64::from(!event.legs.is_empty()));
        Ok(())
    }

    /// Own money is made by an issue and ended by a burn, of exactly the amount that is named, and by nothing else.
    fn supply_is_explained(&self, event: &Event, totals: &BTreeMap<AccountKey, i128>) -> Result<(), Broken> {
        let named = match event.kind {
            EventKind::Issued { asset, amount } => Some((asset, -i128::from(amount))),
            EventKind::Burned { asset, amount } => Some((asset, i128::from(amount))),
            _ => None,
        };
        for (position, record) in self.assets.iter().enumerate().filter(|(_, asset)| asset.id.issuer == self.domain) {
            let Ok(index) = u32::try_from(position).map(AssetIndex) else { continue };
            let moved = totals.get(&AccountKey::issuance(index)).copied().unwrap_or(0);
            let expected = named.filter(|(asset, _)| *asset == index).map_or(0, |(_, delta)| delta);
            if moved != expected {
                let detail = format!("the issuance of {} moves by {moved}, the event explains {expected}", record.id);
                return Err((Rule::Supply, detail));
            }
        }
        Ok(())
    }

    fn change(&mut self, account: AccountKey, delta: i128) -> Result<(), Broken> {
        if let AccountKind::Agent(agent) = account.kind
            && !self.agents.contains(&agent)
        {
            return Err((Rule::UnknownAgent, format!("{agent} never registered")));
        }
        let issuance = account.kind == AccountKind::Issuance;
        let held = i128::from(self.balances.get(&account).copied().unwrap_or(0));
        let change = if issuance { delta.checked_neg() } else { Some(delta) };
        let next = change.and_then(|change| held.checked_add(change));
        let next = next.ok_or_else(|| (Rule::Overflow, format!("{account:?}")))?;
        if next < 0 {
            return Err((Rule::NegativeBalance, format!("{account:?} would be {next}")));
        }
        let next = u64::try_from(next).map_err(|_| (Rule::Overflow, format!("{account:?} would be {next}")))?;
        let cap = self.asset(account.asset).and_then(|asset| asset.cap).filter(|_| issuance);
        if cap.is_some_and(|cap| next > cap) {
            return Err((Rule::SupplyCap, format!("supply {next}, cap {}", cap.unwrap_or_default())));
        }
        if next == 0 {
            self.balances.remove(&account);
        } else {
            self.balances.insert(account, next);
        }
        Ok(())
    }

    fn asset(&self, index: AssetIndex) -> Option<&AssetRecord> {
        self.assets.get(usize::try_from(index.0).ok()?)
    }

    /// Whose history it is.
    pub(crate) const fn domain(&self) -> DomainId {
        self.domain
    }

    /// Events so far.
    pub(crate) const fn taken(&self) -> u64 {
        self.taken
    }

    /// One balance, as a magnitude.
    pub(crate) fn balance(&self, account: &AccountKey) -> u64 {
        self.balances.get(account).copied().unwrap_or(0)
    }

    /// Balances that are not zero, as magnitudes; of an issuance it is the supply.
    pub fn balances(&self) -> impl Iterator<Item = (&AccountKey, u64)> {
        self.balances.iter().map(|(account, balance)| (account, *balance))
    }

    /// Assets with their number.
    pub fn assets(&self) -> impl Iterator<Item = (AssetIndex, &AssetRecord)> {
        (0_u32..).map(AssetIndex).zip(&self.assets)
    }

    /// Agents that ever registered.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Entries of the domain's log that left an event.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// Events that moved money.
    #[must_use]
    pub const fn postings(&self) -> u64 {
        self.postings
    }

    /// What the history holds of the logs of other domains.
    #[must_use]
    pub fn projected(&self) -> Vec<Told> {
        projected::told(&self.held)
    }

    /// Log index and time of the last event.
    #[must_use]
    pub fn last(&self) -> Option<(u64, u64)> {
        self.last.map(|last| (last.log_index, last.stamp_ms))
    }

    /// The last roster that the history names; `None` while it is the first one.
    #[must_use]
    pub const fn roster_epoch(&self) -> Option<u64> {
        self.roster_epoch
    }
}
