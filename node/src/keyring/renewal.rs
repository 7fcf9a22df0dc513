//! The certificate of a node, renewed with overlap: the next one lies beside the one in use, takes its place without a
//! restart, and the one before still holds until its end, so nobody who has not heard yet refuses anything.
//!
//! ```text
//! prepare    node.cert.next       checked: this node, this domain, a higher serial
//! activate   next -> node.cert -> node.cert.before; a running node shows it to every neighbour at once
//! retire     node.cert.before is forgotten
//! ```

use super::request::{chain, judge};
use crate::{
    service::error::{Kind, ServiceError},
    spiffe::CHAIN_NEXT_FILE,
    storage::files::{self, Access},
};
use comity_proto::{envelope::Signed as _, identity::NodeCertificate, ids::PublicKey};
use std::path::{Path, PathBuf};

/// The one in use.
pub const IN_USE: &str = "node.cert";
const NEXT: &str = "node.cert.next";
const BEFORE: &str = "node.cert.before";

/// The three places of a data directory.
#[derive(Clone, Debug)]
pub struct Certificates {
    dir: PathBuf,
    /// Shown to neighbours.
    pub in_use: NodeCertificate,
    /// Prepared.
    pub next: Option<NodeCertificate>,
    /// Replaced, not yet retired.
    pub before: Option<NodeCertificate>,
}

impl Certificates {
    /// Reads them.
    ///
    /// # Errors
    /// `no_node_here`, `bad_data_directory`.
    pub fn of(dir: &Path) -> Result<Certificates, ServiceError> {
        let in_use = read(dir, IN_USE)?.ok_or_else(|| {
            let next = "make one with `comity up`, or name its directory with --data";
            ServiceError::new(Kind::NotFound, "no_node_here", format!("{} holds no node", dir.display()), next)
        })?;
        Ok(Certificates { dir: dir.to_owned(), in_use, next: read(dir, NEXT)?, before: read(dir, BEFORE)? })
    }

    /// Lays the next one beside the one in use.
    ///
    /// # Errors
    /// As [`judge`].
    pub fn prepare(&self, text: &str, root: &PublicKey, node: &PublicKey, now_ms: u64) -> Result<(), ServiceError> {
        let bytes = judge(text, root, node, &self.in_use, now_ms)?;
        let serial = NodeCertificate::open(&bytes).map_or(0, |certificate| certificate.get().serial);
        // First, so that whoever finds the next certificate finds its authority too.
        if let Some(chain) = chain(text, serial)? {
            let written = files::write(&self.dir.join(CHAIN_NEXT_FILE), chain.to_text().as_bytes(), Access::Public);
            written.map_err(|error| unkept(&error))?;
        }
        files::write(&self.dir.join(NEXT), &bytes, Access::Public).map_err(|error| unkept(&error))
    }

    /// Puts the prepared one in use.
    ///
    /// # Errors
    /// `nothing_prepared`; `not_retired` while an earlier one still waits to be retired.
    pub fn activate(&self) -> Result<(), ServiceError> {
        let no = |code: &str, detail: &str, next: &str| Err(ServiceError::new(Kind::Conflict, code, detail, next));
        if self.next.is_none() {
            return no("nothing_prepared", "no certificate was prepared", "comity keyring prepare");
        }
        if self.before.is_some() {
            return Err(not_retired());
        }
        let copy = files::read(&self.dir.join(IN_USE)).map_err(|error| unkept(&error))?.unwrap_or_default();
        // In this order a crash leaves the one in use standing, and the same command ends what it began.
        files::write(&self.dir.join(BEFORE), &copy, Access::Public)
            .and_then(|()| files::rename(&self.dir.join(NEXT), &self.dir.join(IN_USE)))
            .map_err(|error| unkept(&error))
    }

    /// Forgets the one before.
    ///
    /// # Errors
    /// `nothing_to_retire`.
    pub fn retire(&self) -> Result<(), ServiceError> {
        if self.before.is_none() {
            let detail = "no certificate was replaced since the last one was retired";
            return Err(ServiceError::new(Kind::Conflict, "nothing_to_retire", detail, "comity keyring show"));
        }
        files::remove(&self.dir.join(BEFORE)).map_err(|error| unkept(&error))
    }
}

/// The refusal while an earlier certificate waits to be retired.
pub(crate) fn not_retired() -> ServiceError {
    let detail = "the one before the one in use is not retired";
    ServiceError::new(Kind::Conflict, "not_retired", detail, "comity keyring retire")
}

fn read(dir: &Path, name: &str) -> Result<Option<NodeCertificate>, ServiceError> {
    let path = dir.join(name);
    let broken = |detail: String| {
        let next = "mend the file, or restore it from a backup";
        ServiceError::new(Kind::BadInput, "bad_data_directory", detail, next)
    };
    let Some(bytes) = files::read(&path).map_err(|error| broken(error.to_string()))? else { return Ok(None) };
    let opened = NodeCertificate::open(&bytes.into());
    opened
        .map(|certificate| Some(certificate.into_inner()))
        .map_err(|error| broken(format!("{}: {error}", path.display())))
}

fn unkept(error: &std::io::Error) -> ServiceError {
    let next = "make room, or mend the data directory, and try again";
    ServiceError::new(Kind::Internal, "not_kept", error.to_string(), next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Config, HTTP_DEFAULT, MESH_DEFAULT},
        home::Home,
        keyring::request::{ask, certify},
    };

    #[test]
    fn a_certificate_is_prepared_activated_and_retired_in_that_order_only() {
        crate::runtime::tests_world();
        let dir = tempfile::tempdir().unwrap();
        let config = Config::alone("acme", HTTP_DEFAULT.parse().unwrap(), MESH_DEFAULT.parse().unwrap());
        let now_ms = 1_700_000_000_000;
        let home = Home::alone(dir.path(), config, now_ms).unwrap();
        home.save().unwrap();
        let code = |answer: Result<(), ServiceError>| answer.unwrap_err().code;
        let read = || Certificates::of(dir.path()).unwrap();
        assert_eq!(code(read().activate()), "nothing_prepared");
        assert_eq!(code(read().retire()), "nothing_to_retire");

        let root = &home.domain_keys.as_ref().unwrap().root;
        let next = |now_ms| certify(root, &ask(&home.node, home.domain(), now_ms), now_ms).unwrap().0;
        let prepare = |now_ms| read().prepare(&next(now_ms), &home.domain_key, &home.node.public(), now_ms);
        prepare(now_ms).unwrap();
        assert_eq!((read().in_use.serial, read().next.unwrap().serial), (1, now_ms));
        read().activate().unwrap();
        let after = read();
        assert_eq!((after.in_use.serial, after.before.as_ref().unwrap().serial), (now_ms, 1));
        assert!(after.next.is_none());
        assert_eq!(code(prepare(now_ms)), "certificate_older");
        prepare(now_ms + 1).unwrap();
        assert_eq!(code(read().activate()), "not_retired");
        read().retire().unwrap();
        read().activate().unwrap();
        assert_eq!(read().in_use.serial, now_ms + 1);
        assert_eq!(
            Home::load(dir.path()).unwrap().certificate,
            files::read(&dir.path().join(IN_USE)).unwrap().unwrap()
        );
    }
}
