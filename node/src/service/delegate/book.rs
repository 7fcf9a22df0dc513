//! What one delegation leaves behind for the next: who delivered what does not hold, whose claims for payment were false,
//! and who was found last.

use super::state::Candidate;
use crate::service::shape;
use comity_proto::ids::{AgentId, Hash};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Capabilities whose candidates are kept; the list that is oldest makes room.
const KEPT_MAX: usize = 256;
/// Candidates of one list.
const LIST_MAX: usize = 64;
/// Entries about workers; the oldest makes room.
const ENTRIES_MAX: usize = 4_096;
/// False claims in one name from which on somebody should look.
const ALERT_FROM: u32 = 2;

/// A worker that an agent hires no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeniedWorker {
    /// Who denies it.
    #[schema(value_type = shape::AgentIdText)]
    pub owner: AgentId,
    /// Who is denied.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// Ms since the Unix epoch.
    pub since_ms: u64,
    /// What it did, in words.
    pub why: String,
    /// The delegation in which it did.
    #[schema(value_type = shape::ShortIdText)]
    pub delegation: String,
    /// SHA-256 of the evidence, as it stands in the dispute in the domain's log; null when nothing could be disputed.
    #[schema(value_type = Option<shape::HashText>)]
    pub evidence_sha256: Option<Hash>,
}

/// Claims for payment that were not what they said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForgedClaims {
    /// Whose work it was.
    #[schema(value_type = shape::AgentIdText)]
    pub owner: AgentId,
    /// In whose name they came.
    #[schema(value_type = shape::AgentIdText)]
    pub claimed: AgentId,
    /// So many.
    pub count: u32,
    /// The last one, ms since the Unix epoch.
    pub last_ms: u64,
    /// What was wrong with it.
    pub why: String,
    /// It is no accident any more.
    pub alert: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    at_ms: u64,
    candidates: Vec<Candidate>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Book {
    denied: Vec<DeniedWorker>,
    forged: Vec<ForgedClaims>,
    seen: BTreeMap<String, Seen>,
}

impl Book {
    /// Whom an agent hires no more; of all agents without one.
    pub(super) fn denied(&self, owner: Option<AgentId>) -> Vec<DeniedWorker> {
        self.denied.iter().filter(|one| owner.is_none_or(|owner| one.owner == owner)).cloned().collect()
    }

    /// The same as a set.
    pub(super) fn denied_by(&self, owner: AgentId) -> BTreeSet<AgentId> {
        self.denied.iter().filter(|one| one.owner == owner).map(|one| one.agent).collect()
    }

    /// False claims in the work of an agent; of all agents without one.
    pub(super) fn forged(&self, owner: Option<AgentId>) -> Vec<ForgedClaims> {
        self.forged.iter().filter(|one| owner.is_none_or(|owner| one.owner == owner)).cloned().collect()
    }

    /// Denies a worker. The first reason stands.
    pub(super) fn deny(&mut self, entry: DeniedWorker) {
        if self.denied.iter().any(|one| (one.owner, one.agent) == (entry.owner, entry.agent)) {
            return;
        }
        if self.denied.len() >= ENTRIES_MAX {
            self.denied.remove(0);
        }
        self.denied.push(entry);
    }

    /// Takes a denial back; whether there was one.
    pub(super) fn allow(&mut self, owner: AgentId, agent: AgentId) -> bool {
        let before = self.denied.len();
        self.denied.retain(|one| (one.owner, one.agent) != (owner, agent));
        self.denied.len() < before
    }

    /// Counts a false claim; whether somebody should look.
    pub(super) fn forgery(&mut self, owner: AgentId, claimed: AgentId, now_ms: u64, why: &str) -> bool {
        let known = self.forged.iter().position(|one| (one.owner, one.claimed) == (owner, claimed));
        let before = known.map_or(0, |at| self.forged.remove(at).count);
        if self.forged.len() >= ENTRIES_MAX {
            self.forged.remove(0);
        }
        let count = before.saturating_add(1);
        let alert = count >= ALERT_FROM;
        self.forged.push(ForgedClaims { owner, claimed, count, last_ms: now_ms, why: why.to_owned(), alert });
        alert
    }

    /// Keeps who was found.
    pub(super) fn keep(&mut self, capability: &str, at_ms: u64, mut candidates: Vec<Candidate>) {
        if self.seen.len() >= KEPT_MAX && !self.seen.contains_key(capability) {
            let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.at_ms).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.seen.remove(&name));
        }
        candidates.truncate(LIST_MAX);
        self.seen.insert(capability.to_owned(), Seen { at_ms, candidates });
    }

    /// Who was found last, with the age of the list, ms. Cards have grown older with it.
    pub(super) fn kept(&self, capability: &str, now_ms: u64) -> Option<(Vec<Candidate>, u64)> {
        let seen = self.seen.get(capability)?;
        let age_ms = now_ms.saturating_sub(seen.at_ms);
        let older = |one: &Candidate| Candidate { age_ms: one.age_ms.saturating_add(age_ms), ..one.clone() };
        Some((seen.candidates.iter().map(older).collect(), age_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::{command::Party, ids::DomainId, keys::SecretKey};

    fn candidate(n: u8) -> Candidate {
        let party = Party { domain: DomainId([1; 32]), agent: AgentId([n; 32]) };
        Candidate { party, key: SecretKey::from_seed(&[n; 32]).public(), name: n.to_string(), price: 1, age_ms: 5 }
    }

    #[test]
    fn a_list_grows_old_and_the_oldest_makes_room() {
        let mut book = Book::default();
        book.keep("a", 1, vec![candidate(1)]);
        let (kept, age_ms) = book.kept("a", 11).unwrap();
        assert_eq!((kept[0].age_ms, age_ms), (15, 10));
        for n in 0..KEPT_MAX {
            book.keep(&format!("c{n}"), 2, vec![candidate(2); LIST_MAX + 1]);
        }
        assert_eq!((book.kept("a", 11), book.seen.len()), (None, KEPT_MAX));
        assert_eq!(book.kept("c1", 2).unwrap().0.len(), LIST_MAX);
    }

    #[test]
    fn denials_are_their_owners_own_and_claims_are_counted_by_the_name_they_came_in() {
        let mut book = Book::default();
        let [alice, bob, carol] = [1, 2, 3].map(|n| AgentId([n; 32]));
        let entry = |owner, why: &str| DeniedWorker {
            owner,
            agent: carol,
            since_ms: 1,
            why: why.to_owned(),
            delegation: String::new(),
            evidence_sha256: None,
        };
        book.deny(entry(alice, "first"));
        book.deny(entry(alice, "second"));
        assert_eq!(book.denied(Some(alice)), [entry(alice, "first")]);
        assert!(book.denied_by(bob).is_empty() && book.denied(None).len() == 1);
        assert!(!book.allow(bob, carol) && book.allow(alice, carol) && !book.allow(alice, carol));
        let counted = [(); 2].map(|()| book.forgery(alice, carol, 1, "no"));
        assert_eq!((counted, book.forgery(bob, carol, 1, "no")), ([false, true], false));
        assert_eq!(book.forged(Some(alice))[0].count, 2);
    }
}
