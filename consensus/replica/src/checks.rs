//! The parallel pre-check of items, and the memory of what this process has judged already.
//!
//! A verdict is a function of the item's bytes, so it may be remembered under their hash: the leader judges an item
//! before it proposes it and finds the verdict again when it applies it. A verdict is taken out when it is used.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use comity_ledger::{CheckedItem, Outcome, check};
use comity_proto::{entry::EntryItem, ids::Hash};
use comity_runtime as runtime;
use parking_lot::Mutex;

/// Bytes of envelopes whose verdicts are remembered; the oldest are forgotten first. Two full entries in flight, the
/// next one waiting, and what a follower has been sent.
const REMEMBERED_BYTES: usize = 8 * 1024 * 1024;

/// Items that are judged in one go on one core: about a millisecond.
const CHUNK_ITEMS: usize = 16;

/// The verdicts of this process. See the module's head.
#[derive(Default)]
pub(crate) struct Verdicts {
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    verdicts: BTreeMap<Hash, (CheckedItem, usize)>,
    order: VecDeque<Hash>,
    bytes: usize,
}

impl Memory {
    fn put(&mut self, digest: Hash, bytes: usize, verdict: CheckedItem) {
        if self.verdicts.insert(digest, (verdict, bytes)).is_none() {
            self.order.push_back(digest);
            self.bytes += bytes;
        }
        while self.bytes > REMEMBERED_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, digest: &Hash) -> Option<CheckedItem> {
        let (verdict, bytes) = self.verdicts.remove(digest)?;
        self.bytes -= bytes;
        // `order` may hold digests already taken; they are dropped when they get to its front.
        while self.order.front().is_some_and(|front| !self.verdicts.contains_key(front)) {
            self.order.pop_front();
        }
        Some(verdict)
    }
}

impl Verdicts {
    /// Judges items in parallel, off the async threads, and remembers the verdicts. Answers per item the refusal that
    /// its bytes deserve.
    pub(crate) async fn judge(&self, items: Arc<[EntryItem]>) -> Vec<Option<Outcome>> {
        let judged = judge_all(items.clone()).await;
        let refusals = judged.iter().map(CheckedItem::refused).collect();
        let mut memory = self.memory.lock();
        for (item, verdict) in items.iter().zip(judged) {
            memory.put(digest(item), item.entry_bytes(), verdict);
        }
        refusals
    }

    /// The verdicts of a log entry's items, judged now unless they are remembered.
    pub(crate) async fn recall(&self, items: Vec<EntryItem>) -> Vec<CheckedItem> {
        let digests: Vec<Hash> = items.iter().map(digest).collect();
        let mut found: Vec<Option<CheckedItem>> = {
            let mut memory = self.memory.lock();
            digests.iter().map(|digest| memory.forget(digest)).collect()
        };
        let missing: Arc<[EntryItem]> =
            found.iter().zip(items).filter(|(verdict, _)| verdict.is_none()).map(|(_, item)| item).collect();
        if !missing.is_empty() {
            let mut judged = judge_all(missing).await.into_iter();
            for slot in found.iter_mut().filter(|slot| slot.is_none()) {
                *slot = judged.next();
            }
        }
        found.into_iter().flatten().collect()
    }
}

/// What a verdict is remembered under. The kind is part of it: the same envelope is another item elsewhere.
fn digest(item: &EntryItem) -> Hash {
    let kind = match item {
        EntryItem::Genesis(_) => "comity/v1/verdict/genesis",
        EntryItem::Commands(_) => "comity/v1/verdict/commands",
        EntryItem::Settlement(_) => "comity/v1/verdict/settlement",
        EntryItem::Roster(_) => "comity/v1/verdict/roster",
        EntryItem::Pulse => "comity/v1/verdict/pulse",
        EntryItem::Treaty(_) => "comity/v1/verdict/treaty",
        EntryItem::TreatyReceipt(_) => "comity/v1/verdict/treaty-receipt",
        EntryItem::Key(_) => "comity/v1/verdict/key",
        EntryItem::Contradiction(_) => "comity/v1/verdict/contradiction",
        EntryItem::DriftNote(_) => "comity/v1/verdict/drift-note",
        EntryItem::Projection(_) => "comity/v1/verdict/projection",
    };
    Hash::of_parts(kind, &[item.envelope().map_or(&[][..], |bytes| bytes)])
}

/// One verdict per item, in order.
async fn judge_all(items: Arc<[EntryItem]>) -> Vec<CheckedItem> {
    let chunk = items.len().div_ceil(runtime::parallelism()).max(CHUNK_ITEMS);
    let parts = (0..items.len()).step_by(chunk).map(|start| {
        let items = items.clone();
        let end = (start + chunk).min(items.len());
        async move {
            let part = items.clone();
            let judged = runtime::run_blocking(move || judge_range(&part, start, end)).await;
            // Blocking work is given up only when the process ends; the verdict is the same wherever it is made.
            judged.unwrap_or_else(|_| judge_range(&items, start, end))
        }
    });
    futures::future::join_all(parts).await.into_iter().flatten().collect()
}

fn judge_range(items: &[EntryItem], start: usize, end: usize) -> Vec<CheckedItem> {
    items.iter().take(end).skip(start).map(check).collect()
}
