//! One domain: an ordered log and replicas that apply it in their own time.
//!
//! What Raft promises is modelled as kept: a committed entry is in every later leader's log, and replicas apply entries
//! in order. What Raft leaves open is drawn: who leads, how far a new leader has applied, whether what a crashed leader
//! was about to commit survives, and how long a deposed leader goes on speaking.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use comity_ledger::{Applied, CheckedItem, Ledger};
use comity_node::settle::speech::Speech;
use comity_proto::ids::Hash;
use comity_replica::Stamp;

use crate::{
    core::cast::{Cast, START_MS},
    world::Chance,
};

/// Who waits for the answer to an item: a request of a client.
pub(super) type Asker = Option<u64>;

/// One committed entry.
pub(super) struct Logged {
    pub(super) stamp_ms: u64,
    pub(super) items: Vec<CheckedItem>,
    pub(super) askers: Vec<Asker>,
    /// What the first replica made of it: every other one must make the same.
    pub(super) applied: Option<Applied>,
}

/// One machine of a domain.
pub(super) struct Replica {
    pub(super) ledger: Ledger,
    /// Entries applied.
    pub(super) applied: u64,
    pub(super) up: bool,
    /// Reaches neither its domain nor others.
    pub(super) isolated: bool,
    /// Its wall clock beside universe time, ms.
    pub(super) skew_ms: i64,
    /// Counts its starts: what an earlier life was about to do is void.
    pub(super) boot: u64,
    /// Counts its elections and its deaths: the looks of an earlier term end.
    pub(super) term: u64,
    /// Believes that it leads; a deposed one does for a while.
    pub(super) leads: bool,
    pub(super) speech: Speech,
    /// What is on its disk besides the log.
    pub(super) snapshot: (u64, Ledger),
    /// Whether that snapshot was read back from its bytes already. The same bytes read the same again, and reading costs
    /// more than everything else that a restart does.
    pub(super) is_read: bool,
    /// An application is on its way.
    pub(super) applying: bool,
}

/// One domain.
pub(super) struct Domain {
    pub(super) replicas: Vec<Replica>,
    pub(super) leader: Option<usize>,
    /// Entries before the first one kept.
    base: u64,
    log: VecDeque<Logged>,
    pub(super) waiting: Vec<(CheckedItem, Asker)>,
    pub(super) proposing: bool,
    last_stamp_ms: u64,
    /// The ledger of a machine that died when it had applied more than any other: what the domain's log makes is known
    /// from it until others are as far.
    witness: Option<(u64, Ledger)>,
    /// Signed batches that a query may have to show.
    evidence: BTreeMap<Hash, Bytes>,
}

/// Evidence kept before it is looked through.
const EVIDENCE_MAX: usize = 4_096;
/// Entries between two snapshots of a replica.
const SNAPSHOT_EVERY: u64 = 500;

impl Domain {
    /// Every replica has applied the first entry.
    pub(super) fn new(cast: &Cast, index: usize, chance: &mut Chance) -> (Domain, Applied) {
        let items = cast.first_entry(index);
        let mut first = Ledger::empty();
        let applied = first.apply(1, START_MS, items);
        let replicas = (0..cast.domains[index].voters.len()).map(|_| Replica {
            ledger: first.clone(),
            applied: 1,
            up: true,
            isolated: false,
            skew_ms: chance.between(0, 1_000) as i64 - 500,
            boot: 0,
            term: 0,
            leads: false,
            speech: speech(chance),
            snapshot: (1, first.clone()),
            is_read: false,
            applying: false,
        });
        let domain = Domain {
            replicas: replicas.collect(),
            leader: None,
            base: 1,
            log: VecDeque::new(),
            waiting: Vec::new(),
            proposing: false,
            last_stamp_ms: START_MS,
            witness: None,
            evidence: BTreeMap::new(),
        };
        (domain, applied)
    }

    /// Whether a majority of the replicas is up and can reach each other.
    pub(super) fn has_majority(&self) -> bool {
        let well = self.replicas.iter().filter(|replica| replica.up && !replica.isolated).count();
        2 * well > self.replicas.len()
    }

    /// The leader, if it can commit.
    pub(super) fn working_leader(&self) -> Option<usize> {
        let leader = self.leader?;
        let replica = &self.replicas[leader];
        (replica.up && !replica.isolated && self.has_majority()).then_some(leader)
    }

    fn clock_ms(&self, replica: usize, now_ms: u64) -> u64 {
        (START_MS + now_ms).saturating_add_signed(self.replicas[replica].skew_ms)
    }

    /// What a leader would stamp now.
    pub(super) fn stamp(&self, leader: usize, now_ms: u64) -> Stamp {
        let others = (0..self.replicas.len())
            .filter(|other| *other != leader && self.replicas[*other].up && !self.replicas[*other].isolated)
            .map(|other| self.clock_ms(other, now_ms));
        let (own, voters) = (self.clock_ms(leader, now_ms), self.replicas.len());
        comity_replica::stamp(self.last_stamp_ms, own, others.collect(), voters, 0)
    }

    /// Makes one entry of everything that waits. `false` when there is nothing, or nobody to do it.
    pub(super) fn commit(&mut self, now_ms: u64) -> bool {
        self.proposing = false;
        let Some(leader) = self.working_leader() else { return false };
        if self.waiting.is_empty() {
            return false;
        }
        let stamp_ms = match self.stamp(leader, now_ms) {
            Stamp::Moves(stamp_ms) | Stamp::StandsStill(stamp_ms) => stamp_ms,
            Stamp::Jumped(_) => {
                self.waiting.clear();
                return false;
            }
        };
        self.last_stamp_ms = stamp_ms;
        let (items, askers) = self.waiting.drain(..).unzip();
        self.log.push_back(Logged { stamp_ms, items, askers, applied: None });
        true
    }

    /// A replica applies its next entry. Gives the entry's number and what this replica made of it, and whether it was
    /// the first to do so.
    ///
    /// # Errors
    /// It made something else of it than another replica.
    pub(super) fn apply_next(&mut self, replica: usize) -> Result<Option<(u64, Applied, bool)>, String> {
        let at = self.replicas[replica].applied;
        let Some(entry) = at.checked_sub(self.base).and_then(|offset| self.log.get_mut(offset as usize)) else {
            return Ok(None);
        };
        let machine = &mut self.replicas[replica];
        let applied = machine.ledger.apply(at + 1, entry.stamp_ms, entry.items.clone());
        machine.applied = at + 1;
        if machine.applied.is_multiple_of(SNAPSHOT_EVERY) {
            machine.snapshot = (machine.applied, machine.ledger.freeze());
            machine.is_read = false;
        }
        let first = match &entry.applied {
            Some(known) if *known != applied => {
                return Err(format!("agreement: replica {replica} made something else of entry {}", at + 1));
            }
            Some(_) => false,
            None => {
                entry.applied = Some(applied.clone());
                true
            }
        };
        if first {
            self.evidence.extend(applied.evidence.iter().cloned());
            self.forget(replica);
        }
        Ok(Some((at + 1, applied, first)))
    }

    /// Who asked for the items of an entry.
    pub(super) fn askers(&self, entry: u64) -> &[Asker] {
        let at = entry.checked_sub(self.base + 1).and_then(|offset| self.log.get(offset as usize));
        at.map_or(&[], |entry| &entry.askers)
    }

    /// Drops entries that no replica needs any more, and evidence of what has ended.
    fn forget(&mut self, replica: usize) {
        let needed = self.replicas.iter().map(|replica| replica.snapshot.0.min(replica.applied)).min().unwrap_or(0);
        while self.base < needed && self.log.front().is_some_and(|entry| entry.applied.is_some()) {
            self.log.pop_front();
            self.base += 1;
        }
        if self.evidence.len() > EVIDENCE_MAX {
            let ledger = &self.replicas[replica].ledger;
            let open: std::collections::BTreeSet<Hash> =
                ledger.owed_all().iter().filter_map(|owed| owed.message.evidence()).collect();
            self.evidence.retain(|digest, _| open.contains(digest));
        }
    }

    /// A signed batch, if it is kept.
    pub(super) fn evidence(&self, digest: &Hash) -> Option<Bytes> {
        self.evidence.get(digest).cloned()
    }

    /// A machine loses its power: everything in memory is gone.
    pub(super) fn crash(&mut self, replica: usize, chance: &mut Chance) {
        let machine = &mut self.replicas[replica];
        if self.witness.as_ref().is_none_or(|(applied, _)| *applied < machine.applied) {
            self.witness = Some((machine.applied, machine.ledger.freeze()));
        }
        machine.up = false;
        machine.leads = false;
        machine.boot += 1;
        machine.term += 1;
        machine.applying = false;
        if self.leader == Some(replica) {
            self.leader = None;
            // What it was about to commit may have reached a majority before it died, or not.
            self.waiting.retain(|_| chance.below(2) == 0);
        }
    }

    /// A machine is back with what its disk holds: the snapshot as it is read from its bytes, and the log behind it.
    ///
    /// # Errors
    /// The snapshot does not read back.
    pub(super) fn restart(&mut self, replica: usize, chance: &mut Chance) -> Result<(), String> {
        let machine = &mut self.replicas[replica];
        let (at, frozen) = &mut machine.snapshot;
        if !machine.is_read {
            let read = Ledger::from_chunks(frozen.snapshot_chunks())
                .map_err(|error| format!("durability: a snapshot does not read back: {error:?}"))?;
            if read != *frozen {
                return Err(format!("durability: the snapshot of entry {at} reads back as another ledger"));
            }
            *frozen = read;
            machine.is_read = true;
        }
        machine.ledger = frozen.freeze();
        machine.applied = *at;
        machine.up = true;
        machine.boot += 1;
        machine.speech = speech(chance);
        Ok(())
    }

    /// Draws a leader among those that can lead.
    pub(super) fn elect(&mut self, chance: &mut Chance) -> Option<usize> {
        if !self.has_majority() {
            return None;
        }
        let well: Vec<usize> = (0..self.replicas.len())
            .filter(|replica| self.replicas[*replica].up && !self.replicas[*replica].isolated)
            .collect();
        let leader = *chance.pick(&well)?;
        self.leader = Some(leader);
        self.replicas[leader].leads = true;
        self.replicas[leader].term += 1;
        self.replicas[leader].speech.fall_silent();
        Some(leader)
    }

    /// What the domain's log makes, as far as any machine has ever applied it.
    pub(super) fn foremost(&self) -> &Ledger {
        let running = self.replicas.iter().map(|replica| (replica.applied, &replica.ledger));
        let dead = self.witness.iter().map(|(applied, ledger)| (*applied, ledger));
        let foremost = running.chain(dead).max_by_key(|(applied, _)| *applied);
        // A domain has at least one replica.
        foremost.expect("a replica").1
    }

    /// Replicas that applied as much hold the same bytes.
    ///
    /// # Errors
    /// Two that do not.
    pub(super) fn agree(&self) -> Result<(), String> {
        let mut digests: BTreeMap<u64, (usize, Hash)> = BTreeMap::new();
        for (number, replica) in self.replicas.iter().enumerate() {
            let digest = replica.ledger.digest();
            let (first, known) = *digests.entry(replica.applied).or_insert((number, digest));
            if known != digest {
                return Err(format!("agreement: replicas {first} and {number} differ after entry {}", replica.applied));
            }
        }
        Ok(())
    }
}

fn speech(chance: &mut Chance) -> Speech {
    let mut own = Chance::stream(chance.any(), "jitter");
    Speech::new(Box::new(move || own.below(256) as u8))
}
