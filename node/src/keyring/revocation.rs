//! Certificates that are taken back before their end: one list per domain, signed by its root key, highest epoch first.
//!
//! ```text
//! keyring revoke -> list, signed by the root key -> domain card -> gossip -> every node's trust: the holder is a stranger
//! ```
//! The list travels in the domain card because that reaches every node; a voter that signs the card cannot change it.

use crate::service::error::{Kind, ServiceError};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::Revocations,
    ids::DomainId,
    limits::REVOKED_MAX,
    roots::RootKey,
};
use std::collections::{BTreeMap, BTreeSet};

/// The file's name inside the data directory.
pub const REVOCATIONS_FILE: &str = "revocations";

/// The newest list of each domain that this node has heard.
#[derive(Debug, Default)]
pub struct Revoked {
    newest: BTreeMap<DomainId, Verified<Revocations>>,
}

impl Revoked {
    /// Takes a list of that domain if it is newer.
    pub fn offer(&mut self, domain: &DomainId, envelope: &Bytes) -> bool {
        // Opening it has proved that a root key of the domain that it names signed it.
        let Ok(list) = Revocations::open(envelope) else { return false };
        let newer = self.epoch_of(domain) < list.get().epoch && list.get().domain == *domain;
        if newer {
            self.newest.insert(*domain, list);
        }
        newer
    }

    /// Epoch of a domain's list; 0 while there is none.
    pub fn epoch_of(&self, domain: &DomainId) -> u64 {
        self.newest.get(domain).map_or(0, |list| list.get().epoch)
    }

    /// A domain's list: the exact signed bytes.
    pub fn list_of(&self, domain: &DomainId) -> Option<Bytes> {
        self.newest.get(domain).map(|list| list.envelope_bytes().clone())
    }

    /// Everything that is taken back.
    pub fn all(&self) -> BTreeSet<(DomainId, u64)> {
        let lists = self.newest.iter();
        lists.flat_map(|(domain, list)| list.get().serials.iter().map(|serial| (*domain, *serial))).collect()
    }
}

/// Reads the list of a data directory.
///
/// # Errors
/// `bad_data_directory` for a file that is none.
pub fn read(domain: &DomainId, file: Option<&Bytes>) -> Result<Option<Revocations>, ServiceError> {
    let Some(bytes) = file else { return Ok(None) };
    let opened = Revocations::open(bytes).ok().filter(|list| list.get().domain == *domain);
    opened.map(|list| Some(list.into_inner())).ok_or_else(|| {
        let next = "mend the file, or restore it from a backup";
        ServiceError::new(
            Kind::BadInput,
            "bad_data_directory",
            format!("{REVOCATIONS_FILE}: no list of this domain"),
            next,
        )
    })
}

/// The same list under another root key, which counts when the one that signed it does no more.
pub fn renew(root: &RootKey, list: Revocations) -> Bytes {
    Revocations { epoch: list.epoch.saturating_add(1), ..list }.seal(root)
}

/// The next list: the one before and one serial more.
///
/// # Errors
/// `already_revoked`, `too_many_revoked`, `root_key_of_other_domain`.
pub fn add(root: &RootKey, domain: DomainId, before: Option<Revocations>, serial: u64) -> Result<Bytes, ServiceError> {
    let no = |kind, code: &str, detail: String, next: &str| Err(ServiceError::new(kind, code, detail, next));
    if root.domain() != domain {
        let detail = format!("this root key is of {}", root.domain());
        return no(Kind::Refused, "root_key_of_other_domain", detail, "bring the root key of this node's domain");
    }
    let (epoch, mut serials) = before.map_or((0, Vec::new()), |list| (list.epoch, list.serials));
    if serials.contains(&serial) {
        let next = "see comity keyring show";
        return no(Kind::Conflict, "already_revoked", format!("serial {serial} is taken back already"), next);
    }
    if serials.len() >= REVOKED_MAX {
        let next = "found new nodes: so many lost keys are no accident";
        return no(Kind::Refused, "too_many_revoked", format!("{REVOKED_MAX} are listed"), next);
    }
    serials.push(serial);
    serials.sort_unstable();
    Ok(Revocations { domain, epoch: epoch.saturating_add(1), serials }.seal(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::keys::SecretKey;

    #[test]
    fn lists_grow_and_an_older_or_foreign_one_takes_no_place() {
        let [root, other]: [RootKey; 2] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]).into());
        let domain = root.domain();
        let one = add(&root, domain, None, 7).unwrap();
        let before = read(&domain, Some(&one)).unwrap();
        let two = add(&root, domain, before.clone(), 3).unwrap();
        assert_eq!(read(&domain, Some(&two)).unwrap().unwrap().serials, [3, 7]);
        assert_eq!(add(&root, domain, before.clone(), 7).unwrap_err().code, "already_revoked");
        assert_eq!(add(&other, domain, before, 8).unwrap_err().code, "root_key_of_other_domain");
        let full = Revocations { domain, epoch: 9, serials: (1..=REVOKED_MAX as u64).collect() };
        assert_eq!(add(&root, domain, Some(full), 99).unwrap_err().code, "too_many_revoked");
        assert_eq!(read(&DomainId([9; 32]), Some(&one)).unwrap_err().code, "bad_data_directory");

        let mut revoked = Revoked::default();
        assert!(revoked.offer(&domain, &two) && !revoked.offer(&domain, &one) && !revoked.offer(&domain, &two));
        assert!(!revoked.offer(&DomainId([9; 32]), &two), "of another domain");
        assert_eq!((revoked.epoch_of(&domain), revoked.list_of(&domain)), (2, Some(two)));
        assert_eq!(revoked.all(), [(domain, 3), (domain, 7)].into());
    }
}
