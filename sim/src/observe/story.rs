//! One domain's log as all its replicas told it, and the balances that follow from its events.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use comity_ledger::{AccountKey, AccountKind, AssetIndex, Event, EventKind, Outcome, event::Event as Told};
use comity_proto::{amount::AssetId, ids::AgentId};

use super::{Apply, Item, items};
use crate::world::{HostId, TimeNs};

/// One applied entry, as the first replica told it that applied it.
#[derive(Clone, Debug)]
pub struct EntryTold {
    /// Ledger time, ms.
    pub stamp_ms: u64,
    /// Number of its first event's leaf, or of the next one.
    pub first_leaf: u64,
    /// What happened.
    pub events: Arc<[Event]>,
    /// What was answered.
    pub outcomes: Arc<[Outcome]>,
    /// Who told it first.
    pub host: HostId,
    /// When.
    pub at: TimeNs,
}

/// One domain.
#[derive(Default)]
pub struct Story {
    entries: BTreeMap<u64, EntryTold>,
    items: BTreeMap<u64, Option<Vec<Item>>>,
    events: Vec<Told>,
    /// Entries whose events cannot be placed yet: those before them are missing.
    ahead: BTreeMap<u64, Arc<[Event]>>,
    holes: bool,
    /// Entries that replicas told differently: index, first teller, other teller.
    differing: Vec<(u64, HostId, HostId)>,
    assets: Vec<AssetId>,
    balances: BTreeMap<AccountKey, i128>,
    /// Balances of agents after each entry that changed them.
    courses: BTreeMap<(AgentId, AssetIndex), Vec<(u64, i128)>>,
}

impl Story {
    pub(super) fn has_items(&self, index: u64) -> bool {
        self.items.contains_key(&index)
    }

    pub(super) fn keep_items(&mut self, index: u64, entry: Option<&Bytes>, outcomes: &[Outcome]) {
        self.items.insert(index, entry.and_then(|entry| items::read(entry, outcomes)));
    }

    pub(super) fn take_in(&mut self, apply: &Apply) {
        if let Some(known) = self.entries.get(&apply.index) {
            let same = known.stamp_ms == apply.stamp_ms
                && known.first_leaf == apply.first_leaf
                && known.outcomes == apply.outcomes
                && known.events == apply.events;
            if !same {
                self.differing.push((apply.index, known.host, apply.host));
            }
            return;
        }
        let told = EntryTold {
            stamp_ms: apply.stamp_ms,
            first_leaf: apply.first_leaf,
            events: apply.events.clone(),
            outcomes: apply.outcomes.clone(),
            host: apply.host,
            at: apply.at,
        };
        self.entries.insert(apply.index, told);
        if !apply.events.is_empty() {
            self.ahead.insert(apply.first_leaf, apply.events.clone());
        }
        while let Some(events) = self.ahead.remove(&(self.events.len() as u64)) {
            events.iter().for_each(|event| self.add(event.clone()));
        }
    }

    /// Adds an event that no replica told, read from an event store: all had ended before it was heard.
    pub fn fill(&mut self, event: Event) {
        self.holes = true;
        self.add(event);
        while let Some(events) = self.ahead.remove(&(self.events.len() as u64)) {
            events.iter().for_each(|event| self.add(event.clone()));
        }
    }

    /// The domain went on from a snapshot of all up to entry `index`, with so many events: what came later is not its
    /// history any more.
    pub(super) fn cut(&mut self, index: u64, events: u64) {
        self.entries.split_off(&index.saturating_add(1));
        self.items.split_off(&index.saturating_add(1));
        self.ahead.split_off(&events);
        let kept = std::mem::take(&mut self.events);
        self.assets.clear();
        self.balances.clear();
        self.courses.clear();
        kept.into_iter().take(events as usize).for_each(|event| self.add(event));
    }

    /// The first leaf that is missing, if later ones were told.
    pub fn gap(&self) -> Option<u64> {
        self.ahead.first_key_value().map(|_| self.events.len() as u64)
    }

    /// Whether there are entries of which only the events are known.
    pub fn has_holes(&self) -> bool {
        self.holes
    }

    fn add(&mut self, event: Event) {
        if let EventKind::AssetKnown { asset, .. } = event.kind {
            self.assets.push(asset);
        }
        for leg in &event.legs {
            let balance = self.balances.entry(leg.account).or_default();
            *balance += leg.delta;
            if let AccountKind::Agent(agent) = leg.account.kind {
                let course = self.courses.entry((agent, leg.account.asset)).or_default();
                match course.last_mut() {
                    Some((index, last)) if *index == event.log_index => *last = *balance,
                    _ => course.push((event.log_index, *balance)),
                }
            }
        }
        self.events.push(event);
    }

    /// All events, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Index of the newest entry.
    pub fn newest(&self) -> u64 {
        self.entries.last_key_value().map_or(0, |(index, _)| *index)
    }

    /// Entries from an index on. Entries without a command or message are not told.
    pub fn entries(&self, from: u64) -> impl Iterator<Item = (u64, &EntryTold)> {
        self.entries.range(from..).map(|(index, told)| (*index, told))
    }

    /// The newest entry before an index.
    pub fn before(&self, index: u64) -> Option<&EntryTold> {
        self.entries.range(..index).next_back().map(|(_, told)| told)
    }

    /// One entry.
    pub fn entry(&self, index: u64) -> Option<&EntryTold> {
        self.entries.get(&index)
    }

    /// What stood in an entry; `None` when it could not be read any more.
    pub fn items(&self, index: u64) -> Option<&[Item]> {
        self.items.get(&index)?.as_deref()
    }

    /// Entries that replicas told differently.
    pub fn differing(&self) -> &[(u64, HostId, HostId)] {
        &self.differing
    }

    /// The asset behind a number.
    pub fn asset(&self, index: AssetIndex) -> Option<AssetId> {
        self.assets.get(index.0 as usize).copied()
    }

    /// The number of an asset.
    pub fn asset_index(&self, asset: &AssetId) -> Option<AssetIndex> {
        let at = self.assets.iter().position(|known| known == asset)?;
        Some(AssetIndex(at as u32))
    }

    /// Every account that was ever posted to, with the sum of its postings.
    pub fn balances(&self) -> &BTreeMap<AccountKey, i128> {
        &self.balances
    }

    /// Sum of all postings to an account.
    pub fn balance(&self, account: &AccountKey) -> i128 {
        self.balances.get(account).copied().unwrap_or(0)
    }

    /// An agent's balance after the entry at `index`.
    pub fn balance_at(&self, agent: AgentId, asset: AssetIndex, index: u64) -> i128 {
        let Some(course) = self.courses.get(&(agent, asset)) else { return 0 };
        let after = course.partition_point(|(at, _)| *at <= index);
        after.checked_sub(1).map_or(0, |last| course[last].1)
    }

    /// Entries after which an agent's balance was `amount`: from the first index to before the second.
    pub fn when_balance(&self, agent: AgentId, asset: AssetIndex, amount: i128) -> Vec<(u64, u64)> {
        let course = self.courses.get(&(agent, asset)).map_or(&[][..], |course| course);
        let before = [(0, 0)];
        let points: Vec<(u64, i128)> = before.iter().chain(course).copied().collect();
        let ends = points.iter().skip(1).map(|(index, _)| *index).chain([u64::MAX]);
        points.iter().zip(ends).filter(|((_, held), _)| *held == amount).map(|((from, _), end)| (*from, end)).collect()
    }
}
