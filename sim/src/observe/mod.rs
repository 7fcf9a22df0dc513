//! What happened in the domains, exactly: every applied entry and every change of consensus, of every life of every node.
//!
//! ```text
//! node boots -> two taps on the observer's host: applied entries, consensus -> Seen -> oracles, once per look
//! ```
//! A tap is woken in the same instant of universe time in which its node did something, so nothing falls between two
//! looks. Taps hold no node: a crash ends them, after what was already said is read.
//!
//! | file | holds |
//! |---|---|
//! | `story` | one domain's log as all its replicas told it, and the balances that follow from its events |
//! | `logs` | what each host's log held, and how it changed |
//! | `committed` | what a domain's log holds for good |
//! | `items` | what stands in an entry |
//! | `deals` | transfers, as both sides tell them |
//! | `tap` | the two listeners |
//!
//! Deliberately absent: judgement. What must hold is said by oracles.

mod committed;
mod deals;
mod items;
mod logs;
mod story;
mod tap;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use comity_ledger::{Event, EventKind, Outcome, Owed};
use comity_proto::ids::DomainId;
use comity_replica::RaftSight;
use parking_lot::Mutex;

use crate::{
    hosts::Restore,
    world::{HostId, TimeNs},
};
pub use committed::{Committed, Lost};
pub use deals::{Begun, Deal, DealKey, Deals, Decision, Step};
pub use items::{Asked, Item};
pub use logs::{HostLog, LogChange};
pub use story::{EntryTold, Story};
pub use tap::watch;

/// A replica applied an entry.
#[derive(Clone, Debug)]
pub struct Apply {
    /// When.
    pub at: TimeNs,
    /// Whose replica.
    pub host: HostId,
    /// Which life of it.
    pub boot: u64,
    /// Index of its domain.
    pub domain: usize,
    /// Raft log index.
    pub index: u64,
    /// Ledger time after it, ms.
    pub stamp_ms: u64,
    /// Number of its first event's leaf, or of the next one.
    pub first_leaf: u64,
    /// What happened.
    pub events: Arc<[Event]>,
    /// What was answered, in order.
    pub outcomes: Arc<[Outcome]>,
    /// What is owed from here on.
    pub owed: Arc<[Owed]>,
    /// Whether it led.
    pub is_leader: bool,
}

/// A replica's consensus changed.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: TimeNs,
    /// Whose.
    pub host: HostId,
    /// Which life of it.
    pub boot: u64,
    /// Index of its domain.
    pub domain: usize,
    /// How it is now.
    pub sight: RaftSight,
    /// What changed in its log.
    pub log: LogChange,
}

/// Everything since the last look.
#[derive(Default)]
pub struct Fresh {
    /// In the order in which they were heard.
    pub applies: Vec<Apply>,
    /// In the order in which they were heard.
    pub changes: Vec<Change>,
    /// By domain: the first event and the first entry that are new in its story.
    pub from: Vec<(usize, u64)>,
    /// Domains that were restored: their stories, as far as they are left, are told again from the beginning.
    pub retold: BTreeSet<usize>,
}

/// What was seen so far.
#[derive(Default)]
pub struct Seen {
    /// By domain.
    pub stories: Vec<Story>,
    /// By domain.
    pub committed: Vec<Committed>,
    /// By host.
    pub logs: BTreeMap<HostId, HostLog>,
    /// Between domains.
    pub deals: Deals,
    /// What logs that are lost did to the same transfers.
    pub lost: Deals,
    /// Domains that went on from a snapshot, in their order.
    pub restores: Vec<Restore>,
    /// Since the last look.
    pub fresh: Fresh,
    coming: Fresh,
    ids: Vec<DomainId>,
    /// Restored domains whose fence has not been lifted, with the events that their snapshots had.
    fenced: BTreeMap<usize, u64>,
}

/// Shared between the taps and the looks.
pub type SharedSeen = Arc<Mutex<Seen>>;

impl Seen {
    /// Nothing yet, of so many domains.
    pub fn new(domains: usize) -> Seen {
        let stories = (0..domains).map(|_| Story::default()).collect();
        let committed = (0..domains).map(|_| Committed::default()).collect();
        Seen { stories, committed, ..Seen::default() }
    }

    /// Takes in what the taps heard since the last look: after it `fresh` and the stories are up to now. `ids` are those
    /// of the domains; `read`
    /// reads the event of a leaf from any event store of a domain.
    pub fn take_in(
        &mut self,
        now: TimeNs,
        ids: impl FnOnce() -> Vec<DomainId>,
        read: impl Fn(usize, u64) -> Option<Event>,
    ) {
        if self.ids.is_empty() {
            self.ids = ids();
        }
        self.fresh = std::mem::take(&mut self.coming);
        for (domain, story) in self.stories.iter().enumerate() {
            let is_retold = self.fresh.retold.contains(&domain);
            self.fresh.from.push(if is_retold { (0, 0) } else { (story.events().len(), story.newest() + 1) });
        }
        for apply in &self.fresh.applies {
            self.stories[apply.domain].take_in(apply);
        }
        for (domain, story) in self.stories.iter_mut().enumerate() {
            while let Some(event) = story.gap().and_then(|leaf| read(domain, leaf)) {
                story.fill(event);
            }
        }
        self.deals.forget_touched();
        for (domain, home) in self.ids.iter().enumerate() {
            let from = self.fresh.from[domain].0;
            let story = &self.stories[domain];
            for event in story.events().get(from..).unwrap_or_default() {
                let at = story.entry(event.log_index).map_or(now, |told| told.at);
                self.deals.take_in(*home, event, at);
            }
            let is_lifted = |events: &u64| {
                let own = story.events().iter().skip(from.max(*events as usize));
                own.into_iter().any(|event| matches!(event.kind, EventKind::FenceLifted { .. }))
            };
            if self.fenced.get(&domain).is_some_and(is_lifted) {
                self.fenced.remove(&domain);
            }
        }
    }

    /// A domain goes on from a snapshot: at the next look its story ends there, and is told again from the beginning.
    pub fn restored(&mut self, now: TimeNs, restore: Restore, hosts: &[HostId]) {
        let at_of = |story: &Story, event: &Event| story.entry(event.log_index).map_or(now, |told| told.at);
        let story = &self.stories[restore.domain];
        for event in story.events().iter().skip(restore.events as usize) {
            self.lost.take_in(self.ids[restore.domain], event, at_of(story, event));
        }
        self.stories[restore.domain].cut(restore.index, restore.events);
        self.committed[restore.domain].cut(restore.index);
        self.logs.retain(|host, _| !hosts.contains(host));
        self.deals = Deals::default();
        for (domain, story) in self.stories.iter().enumerate().filter(|(domain, _)| *domain != restore.domain) {
            story.events().iter().for_each(|event| self.deals.take_in(self.ids[domain], event, at_of(story, event)));
        }
        self.coming.retold.insert(restore.domain);
        self.fenced.insert(restore.domain, restore.events);
        self.restores.push(restore);
    }

    /// Restored domains whose fence has not been lifted.
    pub fn fenced(&self) -> impl Iterator<Item = usize> {
        self.fenced.keys().copied()
    }

    /// Ids of the domains.
    pub fn ids(&self) -> &[DomainId] {
        &self.ids
    }

    /// Events that are new in a domain's story.
    pub fn new_events(&self, domain: usize) -> &[Event] {
        let from = self.fresh.from.get(domain).map_or(0, |(events, _)| *events);
        self.stories.get(domain).and_then(|story| story.events().get(from..)).unwrap_or_default()
    }

    /// Entries that are new in a domain's story, by index.
    pub fn new_entries(&self, domain: usize) -> impl Iterator<Item = (u64, &EntryTold)> {
        let from = self.fresh.from.get(domain).map_or(0, |(_, entry)| *entry);
        self.stories.get(domain).into_iter().flat_map(move |story| story.entries(from))
    }
}
