//! The keys that act for a domain, as its history tells: each step is one that its ledger takes after those before it, and
//! at the end the file's roster is signed by the root key that acts, or by the one before while it counts.
//!
//! An event names neither who signed a step nor how long the key before counts on, and no event names the operator's first
//! key, the voters, or the root key that a restore brought. What is not said is taken in the domain's favour.

use crate::{replay::Broken, wrong::Rule};
use comity_ledger::{EventKind, Outcome, keys::KeyRecord, roots};
use comity_proto::{
    ids::{DomainId, PublicKey},
    key_step::{KeyChange, KeyStep},
    limits::KEY_OVERLAP_MAX_MS,
    roots::{RootKeys, Signer},
};
use std::collections::BTreeMap;

/// Stands for a key that acts and was not named yet. The step that ends it names it.
const UNNAMED: PublicKey = PublicKey([0; 32]);

/// Every key that the events so far tell of.
#[derive(Debug)]
pub(crate) struct Keyring {
    operator: KeyRecord,
    /// By the first key of a place.
    nodes: BTreeMap<PublicKey, KeyRecord>,
    /// `None` before its first step.
    root: Option<RootKeys>,
    /// Serials that peers told last: of the operator's key, and of the root key.
    peers: BTreeMap<(DomainId, bool), u64>,
}

impl Keyring {
    pub(crate) const fn new() -> Keyring {
        Keyring { operator: KeyRecord::first(UNNAMED), nodes: BTreeMap::new(), root: None, peers: BTreeMap::new() }
    }

    /// Takes what one event of this domain says about keys.
    pub(crate) fn take(&mut self, own: DomainId, kind: &EventKind, stamp_ms: u64) -> Result<(), Broken> {
        let EventKind::KeyChanged { domain, place, serial, change, key, reason } = kind else { return Ok(()) };
        let step = KeyStep {
            domain: *domain,
            place: place.as_deref().copied(),
            serial: *serial,
            change: *change,
            key: *key,
            overlap_ms: 0,
            proof: bytes::Bytes::new(),
            reason: reason.clone(),
        };
        let (whose, taken) = match step.place {
            _ if step.domain != own => ("a peer's", self.of_peer(&step)),
            None => ("the operator's", self.of_operator(&step, stamp_ms)),
            Some(first) if step.is_of_root() => ("the root", self.of_root(first, &step, stamp_ms)),
            Some(place) => ("a node's", self.of_node(place, &step, stamp_ms)),
        };
        taken.map_err(|outcome| {
            let detail = format!("{}: step {serial} of {whose} key, {} {key}", outcome.name(), change.name());
            (Rule::KeyStep, detail)
        })
    }

    /// Some steps of a peer may have been missed, and none is told twice.
    fn of_peer(&mut self, step: &KeyStep) -> Result<(), Outcome> {
        let is_of_root = step.is_of_root();
        if step.place.is_some() && !is_of_root {
            return Err(Outcome::UnknownKey);
        }
        match self.peers.insert((step.domain, is_of_root), step.serial) {
            Some(last) if step.serial <= last => Err(Outcome::KeySerial),
            _ => Ok(()),
        }
    }

    fn of_operator(&mut self, step: &KeyStep, stamp_ms: u64) -> Result<(), Outcome> {
        let mut known = self.operator.clone();
        let is_known = known.keys().chain(known.revoked.iter().copied()).any(|key| key == step.key);
        if let Some((before, _)) = &mut known.before
            && *before == UNNAMED
            && ends(step)
            && !is_known
        {
            *before = step.key;
        }
        self.operator = following(&known, step, stamp_ms)?;
        Ok(())
    }

    fn of_node(&mut self, place: PublicKey, step: &KeyStep, stamp_ms: u64) -> Result<(), Outcome> {
        let known = match self.nodes.get(&place) {
            Some(known) if step.serial > 1 => known.clone(),
            // Also of a node that voted no more for a while, or of a restored domain: then it counts from the beginning.
            _ => KeyRecord::first(place),
        };
        self.nodes.insert(place, following(&known, step, stamp_ms)?);
        Ok(())
    }

    fn of_root(&mut self, first: PublicKey, step: &KeyStep, stamp_ms: u64) -> Result<(), Outcome> {
        let mut known = self.root.clone().unwrap_or_else(|| RootKeys::first(first));
        if step.serial <= known.serial {
            return Err(Outcome::KeySerial);
        }
        let is_prepared = step.change == KeyChange::Prepare;
        // After a restore steps are counted from a higher number, and follow the root key that signed its roster.
        if is_prepared && known.serial.checked_add(1) != Some(step.serial) {
            known = RootKeys::first(UNNAMED);
        }
        // The one before counts for a moment at least, and for the longest overlap at most.
        let step = KeyStep { overlap_ms: KEY_OVERLAP_MAX_MS, ..step.clone() };
        let at_ms = if is_prepared { stamp_ms.saturating_add(KEY_OVERLAP_MAX_MS) } else { stamp_ms };
        let is_known = known.keys.iter().chain(&known.next).any(|key| *key == step.key);
        if known.before(at_ms) == Some(&UNNAMED) && ends(&step) && !is_known {
            known.keys.iter_mut().filter(|key| **key == UNNAMED).for_each(|key| *key = step.key);
        }
        roots::may_follow(&known, &step, known.before(at_ms))?;
        self.root = Some(roots::after(&known, &step, stamp_ms));
        Ok(())
    }

    /// Whether the signer of the file's roster fits.
    pub(crate) fn judge(&self, signer: &Signer) -> Result<(), Broken> {
        let Some(root) = &self.root else { return Ok(()) };
        let all_named = root.named_by() == Some(signer.first());
        if all_named && root.keys.iter().zip(signer.keys()).any(|(known, said)| known != said) {
            let detail = format!("{} is not among the root keys of this history", signer.key());
            return Err((Rule::RootKey, detail));
        }
        let least = root.number().saturating_sub(usize::from(root.before_until_ms.is_some()));
        let oldest = root.keys.get(least).filter(|key| !all_named && **key != UNNAMED);
        if signer.number() < least || oldest.is_some_and(|oldest| signer.keys().all(|key| key != oldest)) {
            return Err((Rule::RootKey, format!("{} counts no more at the end of this history", signer.key())));
        }
        Ok(())
    }
}

const fn ends(step: &KeyStep) -> bool {
    matches!(step.change, KeyChange::Retire | KeyChange::Revoke)
}

fn following(known: &KeyRecord, step: &KeyStep, stamp_ms: u64) -> Result<KeyRecord, Outcome> {
    if known.serial.checked_add(1) != Some(step.serial) {
        return Err(Outcome::KeySerial);
    }
    known.after(step, stamp_ms)
}
