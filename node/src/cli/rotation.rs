//! `keyring … --key operator | node`: another key, step by step. Keys are made and kept here; the running node takes each
//! signed step into the ledger.

use super::{
    args::{Cli, KeyArgs, KeyKind},
    context::Context,
};
use crate::{
    home::Home,
    keyring::{
        renewal::{self, Certificates},
        request,
        rotation::{self, Holder, NODE, NODE_NEXT, OPERATOR, OPERATOR_NEXT, PLACE},
    },
    service::{
        error::{Kind, ServiceError},
        keys::{HeldView, KeysView},
    },
    storage::files::{self, Access},
};
use bytes::Bytes;
use comity_proto::{
    envelope::Sealer,
    ids::PublicKey,
    key_step::{KeyChange, KeyStep},
    limits::HOUR_MS,
    roots::RootKey,
    text::Reason,
};
use data_encoding::BASE64;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const PATH: &str = "/api/v1/keyring";
/// How long a new key may wait for the roster that the holder of the root key makes by itself.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(250);

/// Has a signed step taken by the running node.
pub(super) fn say(context: &Context, reason: &str, sign: impl FnOnce(&Reason) -> Bytes) -> Result<(), ServiceError> {
    let reason = Reason::new(reason).map_err(|reject| ServiceError::bad_input("bad_text", reject.to_string()))?;
    let body = json!({ "envelope": BASE64.encode(&sign(&reason)) });
    context.client.post::<KeysView>(&format!("{PATH}/steps"), &body).map(|_| ())
}

/// The keys of one holder, here and in the ledger.
pub(super) struct Rotation<'a> {
    context: Context,
    home: Home,
    args: &'a KeyArgs,
    is_node: bool,
    held: HeldView,
}

impl<'a> Rotation<'a> {
    /// What the running node knows of it.
    pub(super) fn of(cli: &Cli, args: &'a KeyArgs) -> Result<Rotation<'a>, ServiceError> {
        let context = Context::of(cli)?;
        let home = Home::load(&context.data)?;
        let view: KeysView = context.client.get(PATH)?;
        let is_node = args.key == KeyKind::Node;
        let held = if is_node { view.node } else { view.operator };
        Ok(Rotation { context, home, args, is_node, held })
    }

    fn dir(&self) -> &Path {
        &self.home.dir
    }

    fn root(&self) -> Result<RootKey, ServiceError> {
        super::keyring::root_key(&self.args.root_in(self.dir()), &self.args.passphrase)
    }

    /// Signs the next step and has it taken.
    fn say(
        &self,
        change: KeyChange,
        key: PublicKey,
        with: (u64, Bytes),
        signer: &dyn Sealer,
    ) -> Result<(), ServiceError> {
        let place = if self.is_node { self.held.place } else { None };
        let holder = Holder { domain: self.home.domain(), place, serial: self.held.serial };
        say(&self.context, &self.args.reason, |reason| holder.step(change, key, with, reason, signer))
    }

    /// Makes the next key known.
    pub(super) fn prepare(&self, certificate: Option<&PathBuf>) -> Result<(), ServiceError> {
        let next = rotation::next_key(self.dir(), if self.is_node { NODE_NEXT } else { OPERATOR_NEXT })?;
        let known = self.held.next == Some(next.public());
        if !self.is_node {
            if known {
                return Ok(());
            }
            let proof = KeyStep::prove(&self.home.domain(), &next);
            return self.say(KeyChange::Prepare, next.public(), (0, proof), &self.root()?);
        }
        let now_ms = comity_runtime::wall_ms();
        let text = match certificate {
            Some(path) => super::keyring::words_of(path)?,
            None => request::certify(&self.root()?, &request::ask(&next, self.home.domain(), now_ms), now_ms)?.0,
        };
        let certificates = Certificates::of(self.dir())?;
        let proof = request::judge(&text, &self.home.domain_key, &next.public(), &certificates.in_use, now_ms)?;
        certificates.prepare(&text, &self.home.domain_key, &next.public(), now_ms)?;
        // The place is named by the first key for ever.
        let place = self.home.place.to_string();
        files::write(&self.dir().join(PLACE), place.as_bytes(), Access::Public).map_err(|error| unkept(&error))?;
        if known { Ok(()) } else { self.say(KeyChange::Prepare, next.public(), (0, proof), &self.home.node) }
    }

    /// The prepared key acts from here on.
    pub(super) fn activate(&self) -> Result<(), ServiceError> {
        let (next_file, in_use) = if self.is_node { (NODE_NEXT, NODE) } else { (OPERATOR_NEXT, OPERATOR) };
        let next = rotation::made(self.dir(), next_file)?;
        let certificates = if self.is_node { Some(self.certificates(&next.public())?) } else { None };
        // Before the ledger is told: a step that it took is not taken back.
        if certificates.as_ref().is_some_and(|known| known.next.is_some() && known.before.is_some()) {
            return Err(renewal::not_retired());
        }
        if self.held.active != next.public() {
            let signer: Box<dyn Sealer> = if self.is_node { Box::new(next.clone()) } else { Box::new(self.root()?) };
            let overlap_ms = u64::from(self.args.overlap_hours).saturating_mul(HOUR_MS);
            let begun = comity_runtime::now();
            loop {
                match self.say(KeyChange::Activate, next.public(), (overlap_ms, Bytes::new()), &*signer) {
                    Err(error) if error.code == "key_not_in_roster" && begun.elapsed() < PATIENCE => {
                        crate::dev::processes::pause(LOOK);
                    }
                    answer => break answer?,
                }
            }
        }
        // The ledger knows both keys: whatever stops here is ended by the same command.
        if let Some(certificates) = certificates.filter(|certificates| certificates.next.is_some()) {
            certificates.activate()?;
        }
        rotation::put_in_use(self.dir(), next_file, in_use)
    }

    /// Certificates among which the next one, or the one in use already, is the next key's.
    fn certificates(&self, next: &PublicKey) -> Result<Certificates, ServiceError> {
        let certificates = Certificates::of(self.dir())?;
        let certified = certificates.next.as_ref().unwrap_or(&certificates.in_use);
        if certified.node != *next {
            let detail = "no certificate of the next key was prepared";
            let next = "comity keyring prepare --key node";
            return Err(ServiceError::new(Kind::Conflict, "next_key_not_certified", detail, next));
        }
        Ok(certificates)
    }

    /// The key before the active one counts no more.
    pub(super) fn retire(&self) -> Result<(), ServiceError> {
        let before = self.held.before.ok_or_else(|| {
            let detail = "no key was replaced, or the one that was counts no more by itself";
            ServiceError::new(Kind::Conflict, "no_key_to_retire", detail, "comity keyring show")
        })?;
        let signer: Box<dyn Sealer> =
            if self.is_node { Box::new(self.home.node.clone()) } else { Box::new(self.root()?) };
        self.say(KeyChange::Retire, before, (0, Bytes::new()), &*signer)?;
        let certificates = Certificates::of(self.dir())?;
        // Kept until now, that its serial can still be read and revoked.
        if self.is_node && certificates.before.is_some() { certificates.retire() } else { Ok(()) }
    }

    /// A key that is not the active one counts no more, and never again.
    pub(super) fn revoke(&self, key: &str) -> Result<(), ServiceError> {
        let key = key.parse().map_err(|_| ServiceError::bad_input("bad_key", format!("`{key}` is no key")))?;
        let said = self.say(KeyChange::Revoke, key, (0, Bytes::new()), &self.root()?);
        // Typed again after a stop in between, the ledger knows the key no more and the directory still does.
        if said.as_ref().err().is_none_or(|error| error.code == "unknown_key") {
            rotation::forget_next(self.dir(), if self.is_node { NODE_NEXT } else { OPERATOR_NEXT }, &key)?;
        }
        said
    }
}

/// The next key of the node, and a request for its certificate.
pub(super) fn request(dir: &Path) -> Result<(String, PublicKey), ServiceError> {
    let home = Home::load(dir)?;
    let next = rotation::next_key(dir, NODE_NEXT)?;
    Ok((request::ask(&next, home.domain(), comity_runtime::wall_ms()), next.public()))
}

fn unkept(error: &std::io::Error) -> ServiceError {
    ServiceError::bad_input("bad_data_directory", error.to_string())
}
