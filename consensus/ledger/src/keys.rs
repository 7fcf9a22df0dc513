//! The keys that act for this domain, step by step, with overlap: the operator's, and that of each node. Its root key:
//! [`crate::roots`].
//!
//! ```text
//! prepare -> next    activate -> active, and the one before counts on    retire -> it counts no more    revoke
//! ```
//! | | operator | node |
//! |---|---|---|
//! | signs the steps | root key, the next one agrees | the node's own keys; its next one is certified by the root key |
//! | the one before counts | until a ledger time, or until it is retired | until it is retired and the roster follows |
//! | what peers are told | each step | the roster |
//!
//! A node keeps its place among the voters, which its first key names; the roster lists all keys that a voter may sign
//! with now, and whose each is. What happened to a key stays in the event log.

use crate::{
    apply::{Answer, Out},
    event::EventKind,
    outcome::Outcome,
    roots::{self, RootWord},
    state::{Domain, Ledger},
    treaty::Treaty,
};
use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::{NodeCertificate, seats_of},
    ids::{DomainId, PublicKey},
    key_step::{KeyChange, KeyStep},
    limits as l,
    planted::{Plant, planted},
    reject::Reject,
};
use serde::{Deserialize, Serialize};

/// The keys of one holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Of the newest step; 0 before the first.
    pub serial: u64,
    /// Acts.
    pub active: PublicKey,
    /// Prepared.
    pub next: Option<PublicKey>,
    /// Acted before, and counts until then; ledger time, ms.
    pub before: Option<(PublicKey, u64)>,
    /// Taken back; the newest of them.
    pub revoked: Vec<PublicKey>,
    /// Envelope of the newest step.
    pub word: Bytes,
}

impl KeyRecord {
    /// Before the first step.
    pub const fn first(active: PublicKey) -> KeyRecord {
        KeyRecord { serial: 0, active, next: None, before: None, revoked: Vec::new(), word: Bytes::new() }
    }

    /// Whether what this key signs counts now.
    pub fn accepts(&self, key: &PublicKey, now_ms: u64) -> bool {
        self.active == *key || self.overlap().is_some_and(|(before, until_ms)| before == *key && now_ms <= until_ms)
    }

    fn overlap(&self) -> Option<(PublicKey, u64)> {
        self.before.filter(|_| !planted(Plant::NoOverlap))
    }

    /// Keys that count or soon will: the active one first.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> + '_ {
        let before = self.overlap().map(|(key, _)| key);
        core::iter::once(self.active).chain(self.next).chain(before)
    }

    fn votes(&self, voters: &[PublicKey]) -> bool {
        self.keys().any(|key| voters.contains(&key))
    }

    /// The record after a step, if that may follow. Who may sign it is judged elsewhere.
    ///
    /// # Errors
    /// Why it may not.
    pub fn after(&self, said: &KeyStep, now_ms: u64) -> Result<KeyRecord, Outcome> {
        let mut after = KeyRecord { serial: said.serial, ..self.clone() };
        let key = said.key;
        let before = self.before.map(|(before, _)| before) == Some(key);
        match said.change {
            KeyChange::Prepare if self.revoked.contains(&key) || self.active == key || before => {
                return Err(Outcome::KeyUsed);
            }
            KeyChange::Prepare => after.next = Some(key),
            KeyChange::Activate if self.next != Some(key) => return Err(Outcome::KeyNotPrepared),
            KeyChange::Activate if self.before.is_some_and(|(_, until_ms)| now_ms <= until_ms) => {
                return Err(Outcome::KeyNotRetired);
            }
            KeyChange::Activate if said.place.is_none() && said.overlap_ms > l::KEY_OVERLAP_MAX_MS => {
                return Err(Outcome::LimitExceededKeys);
            }
            KeyChange::Activate => {
                // A node's counts until it is retired: its roster is changed by nothing else.
                let until_ms = said.place.map_or_else(|| now_ms.saturating_add(said.overlap_ms), |_| u64::MAX);
                (after.active, after.next, after.before) = (key, None, Some((self.active, until_ms)));
            }
            KeyChange::Retire | KeyChange::Revoke if self.active == key => return Err(Outcome::KeyActive),
            KeyChange::Retire if !before => return Err(Outcome::UnknownKey),
            KeyChange::Revoke if !before && self.next != Some(key) => return Err(Outcome::UnknownKey),
            KeyChange::Retire | KeyChange::Revoke => {
                after.next = self.next.filter(|next| *next != key);
                after.before = self.before.filter(|(before, _)| *before != key);
            }
        }
        if said.change == KeyChange::Revoke {
            let too_many = self.revoked.len().saturating_add(1).saturating_sub(l::KEYS_REVOKED_MAX);
            after.revoked.drain(..too_many.min(self.revoked.len()));
            after.revoked.push(key);
        }
        Ok(after)
    }
}

/// A step whose signatures hold. Private inside: [`CheckedStep::open`] is its only source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckedStep {
    pub(crate) step: Verified<KeyStep>,
    /// The proof of a preparation holds, and a root key says what only it may; true for every other change.
    pub(crate) proved: bool,
}

impl CheckedStep {
    pub(crate) fn open(envelope: &Bytes) -> Result<CheckedStep, Reject> {
        let step = KeyStep::open(envelope)?;
        let said = step.get();
        if said.is_of_root() {
            let proved = roots::proved(&step);
            return Ok(CheckedStep { step, proved });
        }
        let proved = said.change != KeyChange::Prepare
            || match said.place {
                None => said.is_agreed(),
                Some(_) => NodeCertificate::open(&said.proof).is_ok_and(|certificate| {
                    let NodeCertificate { domain, node, roles, .. } = *certificate.get();
                    domain == said.domain && node == said.key && roles.voter
                }),
            };
        Ok(CheckedStep { step, proved })
    }
}

/// Who may take this step of a node's keys: its own keys; the root key in place of a node that is gone.
fn may_sign(record: &KeyRecord, said: &KeyStep, signer: &PublicKey, is_root: bool) -> bool {
    match said.change {
        KeyChange::Prepare => record.active == *signer,
        KeyChange::Activate => said.key == *signer,
        KeyChange::Retire => record.active == *signer || is_root,
        KeyChange::Revoke => is_root,
    }
}

impl Domain {
    /// The keys of the voter whose place this is; `None` for one that never had another key.
    pub fn node_keys(&self, place: &PublicKey) -> Option<&KeyRecord> {
        self.nodes.get(place)
    }

    /// Every key that a voter may sign with now, given the places of the voters, and whose each is: what the roster is to
    /// list, in order.
    pub fn voter_keys(&self, places: impl IntoIterator<Item = PublicKey>) -> (Vec<PublicKey>, Vec<u8>) {
        let mut holders = BTreeMap::new();
        for place in places {
            match self.nodes.get(&place) {
                Some(record) => holders.extend(record.keys().map(|key| (key, place))),
                None => drop(holders.insert(place, place)),
            }
        }
        let (keys, places): (Vec<_>, Vec<_>) = holders.into_iter().unzip();
        (keys, seats_of(&places))
    }

    /// The place whose key this is.
    pub fn place_of(&self, key: &PublicKey) -> PublicKey {
        let place = self.nodes.iter().find(|(_, record)| record.keys().any(|known| known == *key));
        place.map_or(*key, |(place, _)| *place)
    }

    /// Steps of the root key that a peer has not acknowledged, in their order.
    pub(crate) fn root_owed_to(&self, treaty: &Treaty) -> impl Iterator<Item = &RootWord> + use<'_> {
        let told = treaty.root_told;
        self.root_words.iter().filter(move |word| word.serial > told)
    }

    /// Whether a prepared root key was taken back and a peer may wait for it: before anything that ends another key.
    pub(crate) fn root_presses(&self, treaty: &Treaty) -> bool {
        self.root_owed_to(treaty).take_while(|word| word.ends_nothing()).any(RootWord::takes_back)
    }

    /// Of the last step that ended another root key; 0 before there was one.
    fn root_ended(&self) -> u64 {
        let last = self.root_words.iter().rfind(|word| !word.ends_nothing());
        last.map_or(0, |word| word.serial)
    }

    /// What a peer that signs its first document need not be told. It hears the newest step in any case: an earlier root
    /// key may have signed our copy.
    pub(crate) fn root_heard_with_document(&self) -> u64 {
        let newest = self.root_words.last().map_or(0, |word| word.serial);
        self.root_ended().min(newest.saturating_sub(1))
    }

    /// Forgets steps that every peer has heard up to `told`. Of the newest one, and of keys that were taken back and could
    /// still be said to follow the acting one, peers that are yet to come are told too.
    pub(crate) fn forget_root_words(&mut self, told: Option<u64>) {
        let (newest, ended) = (self.root_words.last().map_or(0, |word| word.serial), self.root_ended());
        let for_all = |word: &RootWord| word.serial == newest || (word.takes_back() && word.serial > ended);
        self.root_words.retain(|word| for_all(word) || told.is_some_and(|told| word.serial > told));
        let many = self.root_words.len().saturating_sub(l::ROOT_WORDS_MAX);
        self.root_words.drain(..many);
    }

    /// A key may be prepared once, and there is room for it beside the others.
    fn has_room_for(&self, key: &PublicKey) -> Result<(), Outcome> {
        let held = self.nodes.values().filter(|record| record.votes(&self.voters)).flat_map(KeyRecord::keys);
        let known = self.voters.iter().copied().chain(held);
        let known: BTreeSet<PublicKey> = known.collect();
        match () {
            () if known.contains(key) => Err(Outcome::KeyUsed),
            () if known.len() >= l::ROSTER_MAX => Err(Outcome::LimitExceededKeys),
            () => Ok(()),
        }
    }
}

impl Ledger {
    /// Takes a step of the operator's key, of a node's, or of the root key.
    pub(crate) fn change_key(&mut self, checked: &CheckedStep, out: &mut Out) -> Answer {
        let CheckedStep { step, proved } = checked;
        let (said, now_ms) = (step.get(), self.head.stamp_ms);
        if said.domain != self.domain_id().ok_or(Outcome::NotInitialized)? {
            return Err(Outcome::WrongDomain);
        }
        if said.is_of_root() {
            return self.change_root(checked, out);
        }
        let by_root = self.judge_root(&said.domain, step.signer());
        let domain = self.head.domain.as_mut().ok_or(Outcome::NotInitialized)?;
        let record = match said.place {
            None => domain.operator.clone(),
            Some(place) => match domain.nodes.get(&place) {
                Some(record) => record.clone(),
                None if domain.voters.contains(&place) => KeyRecord::first(place),
                None => return Err(Outcome::UnknownKey),
            },
        };
        if record.word == *step.envelope_bytes() {
            return Ok(Outcome::Exists);
        }
        if record.serial.checked_add(1) != Some(said.serial) {
            return Err(Outcome::KeySerial);
        }
        match said.place {
            None => by_root?,
            Some(_) if !may_sign(&record, said, step.key(), by_root.is_ok()) => return Err(Outcome::BadSignature),
            Some(_) => {}
        }
        if !proved {
            return Err(Outcome::BadSignature);
        }
        let after = KeyRecord { word: step.envelope_bytes().clone(), ..record.after(said, now_ms)? };
        match said.place {
            None => domain.operator = after,
            Some(place) => {
                if said.change == KeyChange::Prepare {
                    domain.has_room_for(&said.key)?;
                }
                let named = |key: &PublicKey| domain.voters.contains(key);
                if said.change == KeyChange::Activate && named(&record.active) && !named(&said.key) {
                    return Err(Outcome::KeyNotInRoster);
                }
                // Whoever votes no more needs no keys.
                let voters = &domain.voters;
                domain.nodes.retain(|_, record| record.votes(voters));
                domain.nodes.insert(place, after);
            }
        }
        self.told_of_key(said, out);
        Ok(Outcome::Applied)
    }

    /// A peer tells which key its operator signs with, or of its root key.
    pub(crate) fn take_key(&mut self, checked: &CheckedStep, out: &mut Out) -> Answer {
        let step = &checked.step;
        let said = step.get();
        if said.is_of_root() {
            return self.take_root(checked, out);
        }
        let by_root = self.judge_root(&said.domain, step.signer());
        let treaty = self.head.treaties.get_mut(&said.domain).filter(|treaty| treaty.agreed.is_some());
        let treaty = treaty.ok_or(Outcome::UnknownTreaty)?;
        let digest = step.digest();
        if let Some((serial, known)) = treaty.their_operator.filter(|(serial, _)| said.serial <= *serial) {
            let same = serial == said.serial && known == digest;
            return if same { Ok(Outcome::Exists) } else { Err(Outcome::KeySerial) };
        }
        by_root?;
        treaty.their_operator = Some((said.serial, digest));
        self.told_of_key(said, out);
        Ok(Outcome::Applied)
    }

    pub(crate) fn told_of_key(&mut self, said: &KeyStep, out: &mut Out) {
        let KeyStep { domain, place, serial, change, key, ref reason, .. } = *said;
        let (place, reason) = (place.map(Box::new), reason.clone());
        self.emit(out, EventKind::KeyChanged { domain, place, serial, change, key, reason }, Vec::new());
    }

    /// Treaty peers that have not yet acknowledged the keys in force: of the roster, the operator's key, the root key.
    pub fn keys_not_seen(&self) -> [Vec<DomainId>; 3] {
        let Some(domain) = &self.head.domain else { return Default::default() };
        let bound = || self.head.treaties.values().filter(|treaty| treaty.is_bound());
        let roster = bound().filter(|treaty| treaty.roster_told < domain.roster_epoch);
        let operator = bound().filter(|treaty| treaty.key_told < domain.operator.serial);
        let root = bound().filter(|treaty| domain.root_owed_to(treaty).next().is_some());
        let peers = |treaty: &Treaty| treaty.peer;
        [roster.map(peers).collect(), operator.map(peers).collect(), root.map(peers).collect()]
    }
}
