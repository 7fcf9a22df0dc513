//! A node's data directory: what it must know before it can start.
//!
//! | file | what | secret |
//! |---|---|---|
//! | `config.toml` | addresses, timing, founders | |
//! | `revocations` | certificates of the domain that are taken back | |
//! | `card.toml` | what the operator adds to the domain card | |
//! | `node.key` | the node's identity | yes |
//! | `node.place` | the node's first key, once it has another one | |
//! | `node.cert` | certificate by the domain | |
//! | `node.x509` | the same in X.509, and the domain's authority, for the HTTPS door | |
//! | `domain.pub` | the domain's first root key, which names it | |
//! | `domain.links` | the links from the first root key to the one in use, once another one acts | |
//! | `roster` | the roster known at the start | |
//! | `genesis` | founding node only | |
//! | `domain.key`, `operator.key` | founding node only; the former may be sealed with a passphrase | yes |
//! | `api.token`, `admission.token` | who may use the doors | yes |
//! | `metrics.token` | who may read the metrics, and nothing else; made when a door first opens | yes |
//! | `agents/NAME.key` | keys of local agents, used by the command line | yes |
//! | `custody/` | keys of agents that cannot sign, each sealed under its token, and what was signed with them | sealed |
//! | `disk/` | log, vote, snapshots, events | |

use crate::{
    config::{CONFIG_FILE, Config},
    founding::{DomainKeys, Founding, first_policy, fresh_key},
    keyring::{
        revocation::REVOCATIONS_FILE,
        root::own_root,
        rotation::{NODE, NODE_NEXT, PLACE},
        sealed,
    },
    registry::profile::{PROFILE_FILE, Profile},
    service::{
        error::{Kind, ServiceError},
        principal::fresh_token,
    },
    storage::files::{self, Access},
};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    identity::{NodeCertificate, Roles},
    ids::{DomainId, PublicKey},
    keys::SecretKey,
};
use data_encoding::HEXLOWER;
use std::path::{Path, PathBuf};

/// The root key's file: plain, or sealed with a passphrase.
pub const ROOT_FILE: &str = "domain.key";
/// The file of the token that reads the metrics.
const WATCHER_TOKEN: &str = "metrics.token";

/// Everything a node is started with.
pub struct Home {
    /// The data directory.
    pub dir: PathBuf,
    /// What it was told.
    pub config: Config,
    /// Its identity.
    pub node: SecretKey,
    /// The key that names its place among the voters: its first one.
    pub place: PublicKey,
    /// Envelope of its certificate.
    pub certificate: Bytes,
    /// The domain's first root key, pinned.
    pub domain_key: PublicKey,
    /// Envelope of the roster known at the start.
    pub roster: Bytes,
    /// Envelope of the genesis, on the founding node.
    pub genesis: Option<Bytes>,
    /// The domain's secrets, on the founding node; `None` there too while the root key is sealed.
    pub domain_keys: Option<DomainKeys>,
    /// The file of a root key that is sealed with a passphrase.
    pub sealed_root: Option<Bytes>,
    /// Opens the doors for the operator.
    pub operator_token: String,
    /// Lets newcomers register.
    pub admission_token: String,
    /// Envelope of the list of revoked certificates, as this node knew it at the start.
    pub revocations: Option<Bytes>,
    /// What the operator adds to the domain card, as this node knew it at the start.
    pub profile: Profile,
}

impl Home {
    /// The domain that this node belongs to.
    pub fn domain(&self) -> DomainId {
        DomainId::of_key(&self.domain_key)
    }

    /// A new domain of one.
    ///
    /// # Errors
    /// A nickname that is none.
    pub fn alone(dir: &Path, config: Config, now_ms: u64) -> Result<Home, ServiceError> {
        let keys = DomainKeys::fresh();
        let node = fresh_key();
        Home::founder(dir, config, keys, node, &[], first_policy(), now_ms)
    }

    /// The founding node of a new domain; `others` are further first voters.
    ///
    /// # Errors
    /// A nickname that is none.
    pub fn founder(
        dir: &Path,
        config: Config,
        keys: DomainKeys,
        node: SecretKey,
        others: &[PublicKey],
        founding: impl Into<Founding>,
        now_ms: u64,
    ) -> Result<Home, ServiceError> {
        let mut voters = others.to_vec();
        voters.push(node.public());
        let roster = keys.roster(1, &voters);
        let genesis = keys
            .genesis(&config.domain, roster.clone(), founding)
            .map_err(|reject| ServiceError::bad_input("bad_nickname", format!("{}: {reject}", config.domain)))?;
        let certificate = keys.certify(node.public(), voter(), 1, now_ms);
        Ok(Home {
            dir: dir.to_owned(),
            config,
            certificate,
            place: node.public(),
            node,
            domain_key: keys.root.first(),
            roster,
            genesis: Some(genesis),
            domain_keys: Some(keys),
            sealed_root: None,
            operator_token: fresh_token(),
            admission_token: fresh_token(),
            revocations: None,
            profile: Profile::default(),
        })
    }

    /// A further node of a domain that certified it.
    pub fn member(
        dir: &Path,
        config: Config,
        node: SecretKey,
        certificate: Bytes,
        domain_key: PublicKey,
        roster: Bytes,
    ) -> Home {
        Home {
            dir: dir.to_owned(),
            config,
            place: node.public(),
            node,
            certificate,
            domain_key,
            roster,
            genesis: None,
            domain_keys: None,
            sealed_root: None,
            operator_token: fresh_token(),
            admission_token: fresh_token(),
            revocations: None,
            profile: Profile::default(),
        }
    }

    /// Whether a directory holds a node already.
    pub fn exists(dir: &Path) -> bool {
        matches!(files::read(&dir.join("node.key")), Ok(Some(_)) | Err(_))
    }

    /// Writes everything; the node key last, for it marks the directory as complete.
    ///
    /// # Errors
    /// `data_directory_taken`, or the system's refusal.
    pub fn save(&self) -> Result<(), ServiceError> {
        if Home::exists(&self.dir) {
            return Err(ServiceError::new(
                Kind::Conflict,
                "data_directory_taken",
                format!("{} already holds a node", self.dir.display()),
                "start it with `comity up`, or name another directory with --data",
            ));
        }
        self.put(CONFIG_FILE, self.config.to_text().as_bytes(), Access::Public)?;
        self.put("node.cert", &self.certificate, Access::Public)?;
        self.put("domain.pub", self.domain_key.to_string().as_bytes(), Access::Public)?;
        self.put("roster", &self.roster, Access::Public)?;
        if let Some(genesis) = &self.genesis {
            self.put("genesis", genesis, Access::Public)?;
        }
        if let Some(keys) = &self.domain_keys {
            match &self.sealed_root {
                Some(sealed) => self.put(ROOT_FILE, sealed, Access::Secret)?,
                None => self.put_key(ROOT_FILE, keys.root.secret())?,
            }
            self.put_key("operator.key", &keys.operator)?;
        }
        self.put("api.token", self.operator_token.as_bytes(), Access::Secret)?;
        self.put("admission.token", self.admission_token.as_bytes(), Access::Secret)?;
        self.put_key("node.key", &self.node)
    }

    /// Reads what [`Home::save`] wrote.
    ///
    /// # Errors
    /// `no_node_here`, `bad_config`, `bad_data_directory` naming the file.
    pub fn load(dir: &Path) -> Result<Home, ServiceError> {
        let config = text(dir, CONFIG_FILE)?;
        let domain_key = text(dir, "domain.pub")?;
        let domain_key = domain_key.trim().parse().map_err(|error| broken(dir, "domain.pub", &error))?;
        let root = files::read_secret(&dir.join(ROOT_FILE)).map_err(io)?;
        let sealed_root = root.filter(|file| sealed::is_sealed(file)).map(Bytes::from);
        let root = if sealed_root.is_some() { None } else { key_if_any(dir, ROOT_FILE)? };
        let root = root.map(|secret| own_root(dir, secret, &domain_key)).transpose()?;
        let domain_keys = match (root, key_if_any(dir, "operator.key")?) {
            (Some(root), Some(operator)) => Some(DomainKeys { root, operator }),
            _ => None,
        };
        let certificate = bytes(dir, "node.cert")?;
        let node = node_key(dir, &certificate)?;
        let place = match files::read(&dir.join(PLACE)).map_err(io)? {
            Some(text) => String::from_utf8_lossy(&text).trim().parse().map_err(|error| broken(dir, PLACE, &error))?,
            None => node.public(),
        };
        Ok(Home {
            dir: dir.to_owned(),
            config: Config::parse(&config)?,
            node,
            place,
            certificate,
            domain_key,
            roster: bytes(dir, "roster")?,
            genesis: files::read(&dir.join("genesis")).map_err(io)?.map(Bytes::from),
            domain_keys,
            sealed_root,
            operator_token: secret_text(dir, "api.token")?,
            admission_token: secret_text(dir, "admission.token")?,
            revocations: files::read(&dir.join(REVOCATIONS_FILE)).map_err(io)?.map(Bytes::from),
            profile: match files::read(&dir.join(PROFILE_FILE)).map_err(io)? {
                Some(text) => Profile::parse(&String::from_utf8_lossy(&text))?,
                None => Profile::default(),
            },
        })
    }

    /// Seals the root key, to be written by [`Home::save`].
    ///
    /// # Errors
    /// Without the memory that it costs.
    pub fn seal(&mut self, passphrase: &str) -> Result<(), ServiceError> {
        if let Some(keys) = &self.domain_keys {
            let text =
                sealed::seal(keys.root.secret(), passphrase).map_err(|closed| bad_directory(closed.to_string()))?;
            self.sealed_root = Some(text.into());
        }
        Ok(())
    }

    /// Opens a sealed root key for the life of this process.
    ///
    /// # Errors
    /// `wrong_passphrase` and the other names of [`sealed::Closed`].
    pub fn unseal(&mut self, passphrase: &str) -> Result<(), ServiceError> {
        let Some(file) = &self.sealed_root else { return Ok(()) };
        let root = sealed::open(file, passphrase).map_err(|closed| {
            let next = "give the passphrase with which it was sealed, or start without one";
            ServiceError::new(Kind::Refused, closed.code(), format!("{ROOT_FILE}: {closed}"), next)
        })?;
        let root = own_root(&self.dir, root, &self.domain_key)?;
        let operator = key_if_any(&self.dir, "operator.key")?;
        self.domain_keys = operator.map(|operator| DomainKeys { root, operator });
        Ok(())
    }

    /// The root key with which this process was started, sealed or not.
    pub fn root_named(&self) -> Option<PublicKey> {
        let plain = self.domain_keys.as_ref().map(|keys| keys.root.public());
        plain.or_else(|| sealed::named_in(self.sealed_root.as_ref()?).ok())
    }

    /// `plain`, `sealed`, `open` (sealed, and opened in this process) or `absent`.
    pub fn root_state(&self) -> &'static str {
        match (&self.domain_keys, &self.sealed_root) {
            (Some(_), None) => "plain",
            (Some(_), Some(_)) => "open",
            (None, Some(_)) => "sealed",
            (None, None) => "absent",
        }
    }

    /// The refusal of what needs the root key: `root_key_sealed` or `no_domain_key`.
    pub fn no_root_key(&self, cannot: &str) -> ServiceError {
        match self.sealed_root {
            Some(_) => {
                let detail = format!("the root key is sealed in this node, so it cannot {cannot}");
                let next = "start the node with its passphrase: --passphrase-file, COMITY_PASSPHRASE, or typed";
                ServiceError::new(Kind::Forbidden, "root_key_sealed", detail, next)
            }
            None => {
                let detail = format!("this node does not hold the domain's root key, so it cannot {cannot}");
                let next = "ask the node that founded the domain";
                ServiceError::new(Kind::Forbidden, "no_domain_key", detail, next)
            }
        }
    }

    /// The token of whoever watches this node, made when there is none yet.
    ///
    /// # Errors
    /// `bad_data_directory`.
    pub fn watcher_token(&self) -> Result<String, ServiceError> {
        if let Some(token) = files::read_secret(&self.dir.join(WATCHER_TOKEN)).map_err(io)? {
            return String::from_utf8(token.trim_ascii().to_vec())
                .map_err(|error| broken(&self.dir, WATCHER_TOKEN, &error));
        }
        let token = fresh_token();
        self.put(WATCHER_TOKEN, token.as_bytes(), Access::Secret)?;
        Ok(token)
    }

    fn put(&self, name: &str, bytes: &[u8], access: Access) -> Result<(), ServiceError> {
        files::write(&self.dir.join(name), bytes, access).map_err(io)
    }

    fn put_key(&self, name: &str, key: &SecretKey) -> Result<(), ServiceError> {
        save_key(&self.dir.join(name), key)
    }
}

/// The roles of a voter that also speaks with other domains.
pub fn voter() -> Roles {
    Roles { voter: true, learner: false, gateway: true }
}

/// Writes a secret key as 64 hex characters, readable by its owner only.
///
/// # Errors
/// The system's refusal.
pub fn save_key(path: &Path, key: &SecretKey) -> Result<(), ServiceError> {
    files::write(path, HEXLOWER.encode(&key.seed()).as_bytes(), Access::Secret).map_err(io)
}

/// Reads a secret key; `None` when there is no such file.
///
/// # Errors
/// `bad_data_directory` for a file that others may read or that holds no key.
pub fn load_key(path: &Path) -> Result<Option<SecretKey>, ServiceError> {
    let Some(bytes) = files::read_secret(path).map_err(io)? else { return Ok(None) };
    let seed: Option<[u8; 32]> =
        HEXLOWER.decode(bytes.trim_ascii()).ok().and_then(|seed| seed.as_slice().try_into().ok());
    match seed {
        Some(seed) => Ok(Some(SecretKey::from_seed(&seed))),
        None => Err(bad_directory(format!("{}: not 64 hex characters", path.display()))),
    }
}

/// The token of the operator of the node in `dir`, for the command line.
///
/// # Errors
/// `no_node_here`.
pub fn operator_token(dir: &Path) -> Result<String, ServiceError> {
    secret_text(dir, "api.token")
}

/// The node's key. A process that ended between the two steps of putting another one in use left a certificate of the
/// next one: then that one counts.
pub(crate) fn node_key(dir: &Path, certificate: &Bytes) -> Result<SecretKey, ServiceError> {
    let key = key_if_any(dir, NODE)?.ok_or_else(|| no_node(dir))?;
    let certified = NodeCertificate::open(certificate).map(|certificate| certificate.get().node);
    let next = key_if_any(dir, NODE_NEXT)?.filter(|next| certified == Ok(next.public()));
    Ok(next.unwrap_or(key))
}

fn key_if_any(dir: &Path, name: &str) -> Result<Option<SecretKey>, ServiceError> {
    load_key(&dir.join(name))
}

fn bytes(dir: &Path, name: &str) -> Result<Bytes, ServiceError> {
    files::read(&dir.join(name)).map_err(io)?.map(Bytes::from).ok_or_else(|| no_node(dir))
}

fn text(dir: &Path, name: &str) -> Result<String, ServiceError> {
    String::from_utf8(bytes(dir, name)?.to_vec()).map_err(|error| broken(dir, name, &error))
}

fn secret_text(dir: &Path, name: &str) -> Result<String, ServiceError> {
    let bytes = files::read_secret(&dir.join(name)).map_err(io)?.ok_or_else(|| no_node(dir))?;
    String::from_utf8(bytes.trim_ascii().to_vec()).map_err(|error| broken(dir, name, &error))
}

fn broken(dir: &Path, name: &str, error: &dyn std::fmt::Display) -> ServiceError {
    bad_directory(format!("{}: {error}", dir.join(name).display()))
}

fn no_node(dir: &Path) -> ServiceError {
    ServiceError::new(
        Kind::NotFound,
        "no_node_here",
        format!("{} holds no node", dir.display()),
        "make one with `comity up`, or name its directory with --data",
    )
}

fn bad_directory(detail: String) -> ServiceError {
    ServiceError::new(Kind::BadInput, "bad_data_directory", detail, "mend the file, or restore it from a backup")
}

fn io(error: std::io::Error) -> ServiceError {
    bad_directory(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HTTP_DEFAULT, MESH_DEFAULT};

    fn home(dir: &Path) -> Home {
        let config = Config::alone("acme", HTTP_DEFAULT.parse().unwrap(), MESH_DEFAULT.parse().unwrap());
        let keys = DomainKeys { root: SecretKey::from_seed(&[1; 32]).into(), operator: SecretKey::from_seed(&[2; 32]) };
        let node = SecretKey::from_seed(&[3; 32]);
        let roster = keys.roster(1, &[node.public()]);
        let mut home = Home::member(dir, config, node, Bytes::new(), keys.root.public(), roster);
        home.domain_keys = Some(keys);
        home
    }

    #[test]
    fn a_saved_home_loads_the_same_and_is_not_overwritten() {
        crate::runtime::tests_world();
        let dir = tempfile::tempdir().unwrap();
        let saved = home(dir.path());
        saved.save().unwrap();
        let loaded = Home::load(dir.path()).unwrap();
        assert_eq!(loaded.node.public(), saved.node.public());
        assert_eq!(loaded.domain(), saved.domain());
        assert_eq!(loaded.operator_token, saved.operator_token);
        assert_eq!(loaded.watcher_token().unwrap(), saved.watcher_token().unwrap());
        assert_eq!(saved.save().unwrap_err().code, "data_directory_taken");
    }

    #[test]
    fn an_empty_directory_holds_no_node() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Home::exists(dir.path()));
        assert_eq!(Home::load(dir.path()).err().unwrap().code, "no_node_here");
    }

    #[test]
    fn a_damaged_key_is_named() {
        crate::runtime::tests_world();
        let dir = tempfile::tempdir().unwrap();
        home(dir.path()).save().unwrap();
        files::write(&dir.path().join("node.key"), b"zz", Access::Secret).unwrap();
        let error = Home::load(dir.path()).err().unwrap();
        assert!(error.code == "bad_data_directory" && error.detail.contains("node.key"), "{error}");
    }
}
