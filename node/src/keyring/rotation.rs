//! Another key for the operator, or for this node: made and kept here, taken step by step by the ledger.
//!
//! ```text
//! prepare    operator.key.next | node.key.next      the ledger knows it; a node's is certified by the root key
//! activate   it takes the place of the one in use, which counts on for a while; a running node takes it up by itself
//! retire, revoke                                    said to the ledger alone
//! ```
//! A root key is prepared and put in use the same way, with the links to it (`domain.key.next`, `domain.links.next`).
//! A node keeps its place among the voters, its addresses and its data: `node.place` has the key that names the place.

use crate::{
    founding::fresh_key,
    home::{load_key, save_key},
    service::error::{Kind, ServiceError},
    storage::files,
};
use bytes::Bytes;
use comity_proto::{
    envelope::{Sealer, Signed as _},
    ids::{DomainId, PublicKey},
    key_step::{KeyChange, KeyStep},
    keys::SecretKey,
    text::Reason,
};
use std::path::Path;

/// The operator's key in use.
pub const OPERATOR: &str = "operator.key";
/// The operator's next key.
pub const OPERATOR_NEXT: &str = "operator.key.next";
/// The node's key in use.
pub const NODE: &str = "node.key";
/// The node's next key.
pub const NODE_NEXT: &str = "node.key.next";
/// The key that names the node's place, once it has another one.
pub const PLACE: &str = "node.place";

/// Whose key a step is about, and the serial of the step before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Of which domain.
    pub domain: DomainId,
    /// A node's place, the domain's first root key; `None` for the operator.
    pub place: Option<PublicKey>,
    /// Of its newest step.
    pub serial: u64,
}

impl Holder {
    /// Signs the next step. `proof`: of a preparation.
    pub fn step(
        &self,
        change: KeyChange,
        key: PublicKey,
        (overlap_ms, proof): (u64, Bytes),
        reason: &Reason,
        signer: &(impl Sealer + ?Sized),
    ) -> Bytes {
        let Holder { domain, place, serial } = *self;
        let serial = serial.saturating_add(1);
        KeyStep { domain, place, serial, change, key, overlap_ms, proof, reason: reason.clone() }.seal(signer)
    }
}

/// The next key, made if there is none yet.
///
/// # Errors
/// `bad_data_directory`, or the system's refusal.
pub fn next_key(dir: &Path, file: &str) -> Result<SecretKey, ServiceError> {
    if let Some(key) = load_key(&dir.join(file))? {
        return Ok(key);
    }
    let key = fresh_key();
    save_key(&dir.join(file), &key)?;
    Ok(key)
}

/// The next key that was made.
///
/// # Errors
/// `no_next_key`.
pub fn made(dir: &Path, file: &str) -> Result<SecretKey, ServiceError> {
    load_key(&dir.join(file))?.ok_or_else(|| {
        let detail = format!("there is no {} in {}", file, dir.display());
        ServiceError::new(Kind::Conflict, "no_next_key", detail, "comity keyring prepare --key operator or node")
    })
}

/// The next key takes the place of the one in use, whose secret is gone from then on.
///
/// # Errors
/// The system's refusal.
pub fn put_in_use(dir: &Path, next: &str, in_use: &str) -> Result<(), ServiceError> {
    files::rename(&dir.join(next), &dir.join(in_use)).map_err(|error| unkept(&error))
}

/// Forgets the next key if it is this one: a key that was revoked is never taken again, so another one must be made.
///
/// # Errors
/// `bad_data_directory`, or the system's refusal.
pub fn forget_next(dir: &Path, file: &str, revoked: &PublicKey) -> Result<(), ServiceError> {
    if load_key(&dir.join(file))?.is_none_or(|key| key.public() != *revoked) {
        return Ok(());
    }
    files::remove(&dir.join(file)).map_err(|error| unkept(&error))
}

fn unkept(error: &std::io::Error) -> ServiceError {
    let again = "make room, or mend the data directory, and try again";
    ServiceError::new(Kind::Internal, "not_kept", error.to_string(), again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_next_key_is_made_once_and_found_until_it_is_in_use() {
        crate::runtime::tests_world();
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(made(dir.path(), OPERATOR_NEXT).unwrap_err().code, "no_next_key");
        let key = next_key(dir.path(), OPERATOR_NEXT).unwrap().public();
        assert_eq!(next_key(dir.path(), OPERATOR_NEXT).unwrap().public(), key);
        assert_eq!(made(dir.path(), OPERATOR_NEXT).unwrap().public(), key);
        put_in_use(dir.path(), OPERATOR_NEXT, OPERATOR).unwrap();
        assert_eq!(load_key(&dir.path().join(OPERATOR)).unwrap().unwrap().public(), key);
        assert_eq!(made(dir.path(), OPERATOR_NEXT).unwrap_err().code, "no_next_key");
    }

    #[test]
    fn only_the_key_that_was_revoked_makes_room_for_another_one() {
        crate::runtime::tests_world();
        let dir = tempfile::tempdir().unwrap();
        forget_next(dir.path(), NODE_NEXT, &fresh_key().public()).unwrap();
        let first = next_key(dir.path(), NODE_NEXT).unwrap().public();
        forget_next(dir.path(), NODE_NEXT, &fresh_key().public()).unwrap();
        assert_eq!(next_key(dir.path(), NODE_NEXT).unwrap().public(), first);
        forget_next(dir.path(), NODE_NEXT, &first).unwrap();
        assert_ne!(next_key(dir.path(), NODE_NEXT).unwrap().public(), first);
    }
}
