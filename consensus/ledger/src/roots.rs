//! The root key of this domain and those of its peers: which of them counts, and how another one follows.
//!
//! ```text
//! prepare    the active key signs the link to the next one, which agrees       known as next: nothing else may follow
//! activate   the next key says so itself: the one before may be lost by then   acts; the one before counts for a while
//! retire, revoke   the active key                                              the one before counts no more
//! ```
//! Every word of a root key carries the links to it, so a peer that was away follows from any newer step; it hears this
//! domain's steps in their order and last, after all that an earlier key has signed. Only where a prepared key was taken
//! back it hears so first of all: until then it refuses whatever the one that follows instead has signed. [`Ledger::judge_root`] is asked wherever such a word
//! changes anything. What is kept here already, such as an agreed treaty, stands whichever key signed it.

use crate::{
    apply::{Answer, Out},
    keys::CheckedStep,
    outcome::Outcome,
    state::Ledger,
};
use alloc::vec::Vec;
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::Roster,
    ids::{DomainId, PublicKey},
    key_step::{KeyChange, KeyStep},
    limits as l,
    roots::{NotRoot, RootKeys, Signer},
};
use serde::{Deserialize, Serialize};

/// A step of this domain's root key, for its peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootWord {
    /// Which step.
    pub serial: u64,
    /// What it says.
    pub change: KeyChange,
    /// Whether it is about a key that acts, or has acted.
    pub acted: bool,
    /// Its envelope.
    pub word: Bytes,
}

impl RootWord {
    /// Whether a key that never acted was taken back.
    pub(crate) fn takes_back(&self) -> bool {
        self.change == KeyChange::Revoke && !self.acted
    }

    /// Whether every key that counted before counts after it too.
    pub(crate) fn ends_nothing(&self) -> bool {
        self.change == KeyChange::Prepare || self.takes_back()
    }
}

/// What a key that is no root key now is answered.
const fn refusal(not: NotRoot) -> Outcome {
    match not {
        NotRoot::Foreign => Outcome::BadSignature,
        NotRoot::Forked => Outcome::RootKeyForked,
        NotRoot::Retired => Outcome::RootKeyRetired,
    }
}

/// Whether a domain's own step may be the next one, given the key before while it counts. Who may sign it is judged
/// elsewhere.
///
/// # Errors
/// Why it may not.
pub fn may_follow(root: &RootKeys, said: &KeyStep, before: Option<&PublicKey>) -> Result<(), Outcome> {
    let (key, active) = (&said.key, root.active());
    match said.change {
        KeyChange::Prepare if root.keys.contains(key) || root.revoked.contains(key) => Err(Outcome::KeyUsed),
        KeyChange::Prepare if root.next.is_some() => Err(Outcome::RootKeyForked),
        KeyChange::Prepare if before.is_some() => Err(Outcome::KeyNotRetired),
        KeyChange::Prepare if root.number() >= l::ROOT_LINKS_MAX || root.revoked.len() >= l::KEYS_REVOKED_MAX => {
            Err(Outcome::LimitExceededKeys)
        }
        KeyChange::Activate if root.next != Some(*key) => Err(Outcome::KeyNotPrepared),
        KeyChange::Activate if said.overlap_ms > l::KEY_OVERLAP_MAX_MS => Err(Outcome::LimitExceededKeys),
        KeyChange::Retire | KeyChange::Revoke if active == Some(key) => Err(Outcome::KeyActive),
        KeyChange::Retire if before != Some(key) => Err(Outcome::UnknownKey),
        KeyChange::Revoke if before != Some(key) && root.next != Some(*key) => Err(Outcome::UnknownKey),
        _ => Ok(()),
    }
}

/// The record after a step.
#[must_use]
pub fn after(root: &RootKeys, said: &KeyStep, now_ms: u64) -> RootKeys {
    let mut after = RootKeys { serial: said.serial, ..root.clone() };
    match said.change {
        KeyChange::Prepare => after.next = Some(said.key),
        KeyChange::Activate => {
            if after.active() != Some(&said.key) {
                after.keys.push(said.key);
                after.next = None;
            }
            after.before_until_ms = Some(now_ms.saturating_add(said.overlap_ms.min(l::KEY_OVERLAP_MAX_MS)));
        }
        KeyChange::Retire => after.before_until_ms = None,
        KeyChange::Revoke => {
            if after.before(now_ms) == Some(&said.key) {
                after.before_until_ms = None;
            }
            after.next = after.next.filter(|next| *next != said.key);
            if !after.keys.contains(&said.key) && after.revoked.len() < l::KEYS_REVOKED_MAX {
                after.revoked.push(said.key);
            }
        }
    }
    after
}

/// The same of a domain whose steps before this one may have been missed: the step carries the links to its signer.
fn followed(root: &RootKeys, step: &Verified<KeyStep>, now_ms: u64) -> RootKeys {
    let signer = step.signer();
    let mut known = root.clone();
    if signer.number() > root.number() {
        known.keys = signer.keys().copied().collect();
        (known.next, known.before_until_ms) = (None, None);
    }
    RootKeys { word: step.envelope_bytes().clone(), ..after(&known, step.get(), now_ms) }
}

impl Ledger {
    /// Whether this signer is a root key of that domain now. Of a domain that was never dealt with the bytes alone prove
    /// it.
    pub fn judge_root(&self, domain: &DomainId, signer: &Signer) -> Result<(), Outcome> {
        match self.root_keys(domain) {
            Some(known) => known.judge(signer, self.head.stamp_ms).map_err(refusal),
            None if DomainId::of_key(signer.first()) == *domain => Ok(()),
            None => Err(Outcome::BadSignature),
        }
    }

    /// Whether this signer is or once was a root key of a domain that was ever dealt with: then that domain said it.
    pub(crate) fn said_by(&self, domain: &DomainId, signer: &Signer) -> Result<(), Outcome> {
        self.root_keys(domain).ok_or(Outcome::PeerNotTrusted)?.has_line_of(signer).map_err(refusal)
    }

    /// What is known of the root keys of this domain, or of one that was ever dealt with.
    pub fn root_keys(&self, domain: &DomainId) -> Option<&RootKeys> {
        let own = self.head.domain.as_ref().filter(|own| own.id == *domain).map(|own| &own.root);
        own.or_else(|| self.head.treaties.get(domain).map(|treaty| &treaty.root))
    }

    /// Whether this key signed the roster in force.
    fn roster_is_by(&self, key: Option<&PublicKey>) -> bool {
        let roster = self.head.domain.as_ref().and_then(|domain| Roster::open(&domain.roster).ok());
        roster.is_some_and(|roster| key == Some(roster.key()))
    }

    /// Takes a step of this domain's own root key.
    pub(crate) fn change_root(&mut self, checked: &CheckedStep, out: &mut Out) -> Answer {
        let (step, now_ms) = (&checked.step, self.head.stamp_ms);
        let said = step.get();
        let root = &self.head.domain.as_ref().ok_or(Outcome::NotInitialized)?.root;
        if root.word == *step.envelope_bytes() {
            return Ok(Outcome::Exists);
        }
        if root.serial.checked_add(1) != Some(said.serial) {
            return Err(Outcome::KeySerial);
        }
        if !checked.proved {
            return Err(Outcome::BadSignature);
        }
        self.judge_root(&said.domain, step.signer())?;
        if said.change != KeyChange::Activate && root.active() != Some(step.key()) {
            return Err(Outcome::RootKeyRetired);
        }
        may_follow(root, said, root.before(now_ms))?;
        // Peers would refuse whoever speaks under a roster of the key before.
        let ends_before = match said.change {
            KeyChange::Retire => true,
            KeyChange::Revoke => root.before(now_ms) == Some(&said.key),
            KeyChange::Prepare | KeyChange::Activate => false,
        };
        if ends_before && !self.roster_is_by(root.active()) {
            return Err(Outcome::KeyNotInRoster);
        }
        let after = followed(root, step, now_ms);
        let KeyStep { serial, change, key, .. } = *said;
        let told = self.head.treaties.values().filter(|treaty| treaty.is_bound()).map(|treaty| treaty.root_told).min();
        if let Some(domain) = self.head.domain.as_mut() {
            let acted = after.keys.contains(&key);
            domain.root = after;
            domain.root_words.push(RootWord { serial, change, acted, word: step.envelope_bytes().clone() });
            domain.forget_root_words(told);
        }
        self.told_of_key(said, out);
        Ok(Outcome::Applied)
    }

    /// A peer tells of its root key. Missed steps do not matter; an older key, or one that follows beside the known one,
    /// tells nothing.
    pub(crate) fn take_root(&mut self, checked: &CheckedStep, out: &mut Out) -> Answer {
        let (step, now_ms) = (&checked.step, self.head.stamp_ms);
        let said = step.get();
        let treaty = self.head.treaties.get(&said.domain).filter(|treaty| treaty.agreed.is_some());
        let known = &treaty.ok_or(Outcome::UnknownTreaty)?.root;
        if known.word == *step.envelope_bytes() {
            return Ok(Outcome::Exists);
        }
        self.judge_root(&said.domain, step.signer())?;
        if said.serial <= known.serial {
            return Err(Outcome::KeySerial);
        }
        if !checked.proved {
            return Err(Outcome::BadSignature);
        }
        if step.signer().number() < known.number() {
            return Err(Outcome::RootKeyRetired);
        }
        let after = followed(known, step, now_ms);
        if let Some(treaty) = self.head.treaties.get_mut(&said.domain) {
            treaty.root = after;
        }
        self.told_of_key(said, out);
        Ok(Outcome::Applied)
    }
}

/// Whether a step of a root key is signed by whom it must be: the next key itself activates, and what is prepared follows
/// the key that signs.
pub(crate) fn proved(step: &Verified<KeyStep>) -> bool {
    let said = step.get();
    match said.change {
        KeyChange::Prepare => {
            let next = comity_proto::roots::follow_links(&said.proof, &said.key, &said.domain);
            let keys = step.signer().keys().chain([&said.key]);
            next.is_ok_and(|next| next.keys().collect::<Vec<_>>() == keys.collect::<Vec<_>>())
        }
        KeyChange::Activate => *step.key() == said.key && step.signer().number() > 0,
        KeyChange::Retire | KeyChange::Revoke => true,
    }
}
