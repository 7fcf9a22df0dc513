//! `keyring … --key root`: another root key for the same domain. Made and kept where the one in use is; the running node
//! takes each signed step into the ledger, and the domain's other nodes want a certificate by the new key before the old one
//! is retired.

use super::{
    args::{Cli, KeyArgs},
    context::Context,
    keyring::{open_root, root_key},
    rotation,
};
use crate::{
    founding::fresh_key,
    home::{Home, ROOT_FILE},
    keyring::{
        renewal::{self, Certificates},
        request,
        revocation::{self, REVOCATIONS_FILE},
        root::{LINKS_FILE, LINKS_NEXT_FILE, ROOT_NEXT_FILE, with_links},
        rotation::Holder,
        sealed,
    },
    service::{
        error::{Kind, ServiceError},
        keys::KeysView,
    },
    spiffe,
    storage::files::{self, Access},
};
use bytes::Bytes;
use comity_proto::{
    envelope::{Sealer, Signed as _},
    identity::NodeCertificate,
    ids::PublicKey,
    key_step::KeyChange,
    keys::SecretKey,
    limits::HOUR_MS,
    roots::RootKey,
};
use data_encoding::HEXLOWER;
use std::path::{Path, PathBuf};

const PATH: &str = "/api/v1/keyring";

/// The root keys, here and in the ledger.
pub(super) struct RootRotation<'a> {
    context: Context,
    home: Home,
    args: &'a KeyArgs,
    known: KeysView,
    /// Where the root key lies.
    dir: PathBuf,
}

fn conflict(code: &str, detail: impl Into<String>, next: &str) -> ServiceError {
    ServiceError::new(Kind::Conflict, code, detail, next)
}

fn unkept(error: &std::io::Error) -> ServiceError {
    ServiceError::bad_input("bad_data_directory", error.to_string())
}

impl<'a> RootRotation<'a> {
    /// What the running node knows of it.
    pub(super) fn of(cli: &Cli, args: &'a KeyArgs) -> Result<RootRotation<'a>, ServiceError> {
        let context = Context::of(cli)?;
        let home = Home::load(&context.data)?;
        let known = context.client.get(PATH)?;
        let file = args.root_in(&context.data);
        if file.file_name().is_none_or(|name| name != ROOT_FILE) {
            let detail = format!("{} is not named {ROOT_FILE}: what follows it lies beside it", file.display());
            return Err(ServiceError::bad_input("bad_root_file", detail));
        }
        let dir = file.parent().map_or_else(|| context.data.clone(), Path::to_owned);
        Ok(RootRotation { context, home, args, known, dir })
    }

    fn root(&self) -> Result<RootKey, ServiceError> {
        root_key(&self.dir.join(ROOT_FILE), &self.args.passphrase)
    }

    /// Signs the next step and has it taken.
    fn say(
        &self,
        change: KeyChange,
        key: PublicKey,
        with: (u64, Bytes),
        signer: &dyn Sealer,
    ) -> Result<(), ServiceError> {
        let holder =
            Holder { domain: self.home.domain(), place: Some(self.home.domain_key), serial: self.known.root.serial };
        rotation::say(&self.context, &self.args.reason, |reason| holder.step(change, key, with, reason, signer))
    }

    /// The next key, made if there is none yet: sealed with the same passphrase if the one in use is.
    fn next(&self) -> Result<SecretKey, ServiceError> {
        let path = self.dir.join(ROOT_NEXT_FILE);
        if files::read_secret(&path).map_err(|error| unkept(&error))?.is_some() {
            return open_root(&path, &self.args.passphrase).map(|(key, _)| key);
        }
        let (_, passphrase) = open_root(&self.dir.join(ROOT_FILE), &self.args.passphrase)?;
        let key = fresh_key();
        let text = match passphrase {
            Some(passphrase) => sealed::seal(&key, &passphrase)
                .map_err(|closed| ServiceError::new(Kind::Refused, closed.code(), closed.to_string(), "try again"))?,
            None => HEXLOWER.encode(&key.seed()),
        };
        files::write(&path, text.as_bytes(), Access::Secret).map_err(|error| unkept(&error))?;
        Ok(key)
    }

    /// Makes the next key known: from here on no other one can follow.
    pub(super) fn prepare(&self) -> Result<(), ServiceError> {
        let (root, next) = (self.root()?, self.next()?);
        let bad = |reject: comity_proto::reject::Reject| {
            conflict("root_key_not_linked", reject.to_string(), "comity keyring show")
        };
        let links = root.links_to(&next).map_err(bad)?;
        let path = self.dir.join(LINKS_NEXT_FILE);
        files::write(&path, &links, Access::Public).map_err(|error| unkept(&error))?;
        spiffe::announce(&self.home.dir, &RootKey::along(links.clone(), next.clone()).map_err(bad)?)?;
        if self.known.root.next == Some(next.public()) {
            return Ok(());
        }
        self.say(KeyChange::Prepare, next.public(), (0, links), &root)
    }

    /// The prepared key acts from here on; it alone is needed. This node's certificate and the list of revoked ones are
    /// signed anew; the roster by the node that holds the key.
    pub(super) fn activate(&self) -> Result<(), ServiceError> {
        let file = self.dir.join(ROOT_NEXT_FILE);
        if files::read_secret(&file).map_err(|error| unkept(&error))?.is_none() {
            let detail = format!("there is no {ROOT_NEXT_FILE} in {}", self.dir.display());
            return Err(conflict("no_next_key", detail, "comity keyring prepare --key root"));
        }
        if self.args.overlap_hours == 0 {
            let detail = "certificates by the old root key end with it, and other nodes need time for theirs";
            return Err(ServiceError::bad_input("overlap_too_short", detail));
        }
        let next = with_links(&self.dir, open_root(&file, &self.args.passphrase)?.0)?;
        if Certificates::of(&self.home.dir)?.before.is_some() {
            return Err(renewal::not_retired());
        }
        if self.known.root.active != next.public() {
            let overlap_ms = u64::from(self.args.overlap_hours).saturating_mul(HOUR_MS);
            self.say(KeyChange::Activate, next.public(), (overlap_ms, Bytes::new()), &next)?;
        }
        self.certify_here(&next)?;
        let lists = revocation::read(&self.home.domain(), self.home.revocations.as_ref())?;
        if let Some(list) = lists {
            let path = self.home.dir.join(REVOCATIONS_FILE);
            files::write(&path, &revocation::renew(&next, list), Access::Public).map_err(|error| unkept(&error))?;
        }
        // The key first: its links are found in either place.
        let put = |next: &str, in_use: &str| files::rename(&self.dir.join(next), &self.dir.join(in_use));
        put(ROOT_NEXT_FILE, ROOT_FILE).and_then(|()| put(LINKS_NEXT_FILE, LINKS_FILE)).map_err(|error| unkept(&error))
    }

    /// A certificate of this node by the new root key, put in use.
    fn certify_here(&self, root: &RootKey) -> Result<(), ServiceError> {
        let home = Home::load(&self.home.dir)?;
        let is_new = |known: &comity_proto::envelope::Verified<NodeCertificate>| *known.key() == root.public();
        if NodeCertificate::open(&home.certificate).is_ok_and(|known| is_new(&known)) {
            return Ok(());
        }
        let now_ms = comity_runtime::wall_ms();
        let (text, _) = request::certify(root, &request::ask(&home.node, home.domain(), now_ms), now_ms)?;
        Certificates::of(&home.dir)?.prepare(&text, &home.domain_key, &home.node.public(), now_ms)?;
        Certificates::of(&home.dir)?.activate()
    }

    fn nobody_depends_on_the_old_key(&self) -> Result<(), ServiceError> {
        if self.known.old_certificates.is_empty() {
            return Ok(());
        }
        let detail =
            format!("no certificate by the new root key is known of {}", self.known.old_certificates.join(", "));
        let next = "on each: comity keyring request, certify it where the root key is, then prepare and activate";
        Err(conflict("certificates_of_old_root", detail, next))
    }

    /// The key before the active one counts no more.
    pub(super) fn retire(&self) -> Result<(), ServiceError> {
        let before = self.known.root.before.ok_or_else(|| {
            let detail = "no key was replaced, or the one that was counts no more by itself";
            conflict("no_key_to_retire", detail, "comity keyring show")
        })?;
        self.nobody_depends_on_the_old_key()?;
        self.say(KeyChange::Retire, before, (0, Bytes::new()), &self.root()?)?;
        let certificates = Certificates::of(&self.home.dir)?;
        if certificates.before.is_some() { certificates.retire() } else { Ok(()) }
    }

    /// A key that is not the active one counts no more, and never again.
    pub(super) fn revoke(&self, key: &str) -> Result<(), ServiceError> {
        let key: PublicKey =
            key.parse().map_err(|_| ServiceError::bad_input("bad_key", format!("`{key}` is no key")))?;
        if self.known.root.before == Some(key) {
            self.nobody_depends_on_the_old_key()?;
        }
        self.say(KeyChange::Revoke, key, (0, Bytes::new()), &self.root()?)?;
        let file = self.dir.join(ROOT_NEXT_FILE);
        if files::read_secret(&file).map_err(|error| unkept(&error))?.is_none() {
            return Ok(());
        }
        if open_root(&file, &self.args.passphrase)?.0.public() == key {
            let gone = files::remove(&file).and_then(|()| files::remove(&self.dir.join(LINKS_NEXT_FILE)));
            gone.map_err(|error| unkept(&error))?;
        }
        Ok(())
    }
}
