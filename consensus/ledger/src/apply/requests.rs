//! Request ids: the client chooses them, the ledger answers the same id with the same answer until it forgets.

use crate::{
    cow::SHARDS_HOT,
    outcome::Outcome,
    state::{Ledger, Remembered, Usage},
};
use alloc::vec::Vec;
use comity_proto::{
    ids::{AgentId, RequestId},
    limits as l,
    planted::{Plant, planted},
};

/// Records looked at by the sweep of one entry besides two per answer: forgetting outruns remembering.
const SWEEP_MIN: usize = 8;
/// Shards looked at by the sweep of one entry: empty ones cost little, but not nothing.
const SWEEP_SHARDS_MAX: usize = 64;

impl Ledger {
    /// The answer that this request already has: the remembered one, or a refusal that needs no execution.
    pub(super) fn answered(
        &self,
        signer: AgentId,
        request: RequestId,
        digest: &[u8; 16],
        valid_until_ms: u64,
    ) -> Option<Outcome> {
        let stamp_ms = self.head.stamp_ms;
        if valid_until_ms < stamp_ms {
            return Some(Outcome::Expired);
        }
        if valid_until_ms > stamp_ms.saturating_add(l::VALID_UNTIL_MAX_MS) {
            return Some(Outcome::ValidUntilTooFar);
        }
        if planted(Plant::NoRequestMemory) {
            return None;
        }
        let known = self.remembered.get(&(signer, request)).filter(|known| known.valid_until_ms >= stamp_ms)?;
        let same = known.digest == *digest;
        Some(if same { known.outcome } else { Outcome::ExistsWithDifferentContent })
    }

    /// Whether this signer may have one more request id remembered.
    pub(super) fn may_remember(&self, signer: &AgentId) -> bool {
        (self.usage_of(signer).requests as usize) < l::REMEMBERED_PER_SIGNER_MAX
    }

    /// Remembers an answer.
    pub(super) fn remember(&mut self, signer: AgentId, request: RequestId, answer: Remembered) {
        if self.remembered.insert((signer, request), answer).is_none() {
            self.count(signer, |usage| usage.requests = usage.requests.saturating_add(1));
        }
    }

    /// Forgets answers whose time is over, some shards per entry, in a round over all of them: no queue, no stop.
    pub(super) fn sweep(&mut self, answered: usize) {
        let budget = answered.saturating_mul(2).saturating_add(SWEEP_MIN);
        let stamp_ms = self.head.stamp_ms;
        let mut seen = 0usize;
        for _ in 0..SWEEP_SHARDS_MAX {
            let shard = usize::from(self.head.sweep_shard);
            // All that is over goes, whatever the order in which it is found.
            let mut over = Vec::new();
            for (key, known) in self.remembered.shard_scan(shard) {
                seen = seen.saturating_add(1);
                if known.valid_until_ms < stamp_ms {
                    over.push(*key);
                }
            }
            for key in over {
                self.remembered.remove(&key);
                self.count(key.0, |usage| usage.requests = usage.requests.saturating_sub(1));
            }
            let next = shard.saturating_add(1);
            self.head.sweep_shard = if next < SHARDS_HOT { u16::try_from(next).unwrap_or(0) } else { 0 };
            if seen >= budget {
                return;
            }
        }
    }

    /// What an agent has open.
    pub(crate) fn usage_of(&self, agent: &AgentId) -> Usage {
        self.usage.get(agent).copied().unwrap_or_default()
    }

    /// Changes a count; a record of zeros is not kept.
    pub(crate) fn count(&mut self, agent: AgentId, change: impl FnOnce(&mut Usage)) {
        let usage = match self.usage.get_mut(&agent) {
            Some(usage) => usage,
            None => self.usage.get_or_insert_with(agent, Usage::default),
        };
        change(usage);
        if *usage == Usage::default() {
            self.usage.remove(&agent);
        }
    }
}
