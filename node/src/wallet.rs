//! Keys of local agents in the data directory: `agents/NAME.key`, and the agent ids that they speak for.
//!
//! The first key names the agent; `agents/NAME.id` keeps that id when the key has rotated.

use crate::{
    founding::fresh_key,
    home::{load_key, save_key},
    service::error::{Kind, ServiceError},
    signer::Signer,
    storage::files::{self, Access},
};
use comity_proto::{
    ids::{AgentId, DomainId},
    keys::SecretKey,
    text::Nickname,
};
use std::path::{Path, PathBuf};

/// The folder of one data directory's agents.
pub struct Wallet {
    dir: PathBuf,
}

impl Wallet {
    /// Of this data directory.
    pub fn of(data: &Path) -> Wallet {
        Wallet { dir: data.join("agents") }
    }

    /// Names of all local agents.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn names(&self) -> Result<Vec<String>, ServiceError> {
        let names = files::list(&self.dir).map_err(io)?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".key")).map(str::to_owned).collect())
    }

    /// Makes a key under a name that is free.
    ///
    /// # Errors
    /// `agent_exists_here`, `bad_nickname`.
    pub fn create(&self, name: &str) -> Result<SecretKey, ServiceError> {
        let path = self.path(name)?;
        if load_key(&path)?.is_some() {
            return Err(ServiceError::new(
                Kind::Conflict,
                "agent_exists_here",
                format!("{} holds a key of {name}", self.dir.display()),
                "choose another name, or use that agent",
            ));
        }
        let key = fresh_key();
        save_key(&path, &key)?;
        Ok(key)
    }

    /// The id that a local name stands for, if it is one.
    ///
    /// # Errors
    /// A damaged key file.
    pub fn id(&self, name: &str) -> Result<Option<AgentId>, ServiceError> {
        let Ok(path) = self.path(name) else { return Ok(None) };
        let Some(key) = load_key(&path)? else { return Ok(None) };
        let kept = files::read(&path.with_extension("id")).map_err(io)?;
        let kept = kept.and_then(|text| String::from_utf8(text).ok()).and_then(|text| text.trim().parse().ok());
        Ok(Some(kept.unwrap_or_else(|| AgentId::of_key(&key.public()))))
    }

    /// A signer for a local agent.
    ///
    /// # Errors
    /// `no_such_key`.
    pub fn signer(&self, name: &str, home: DomainId) -> Result<Signer, ServiceError> {
        let key = load_key(&self.path(name)?)?.ok_or_else(|| {
            ServiceError::new(
                Kind::NotFound,
                "no_such_key",
                format!("no key of {name} in {}", self.dir.display()),
                format!("make one with `comity agent register {name}`"),
            )
        })?;
        let agent = self.id(name)?.unwrap_or_else(|| AgentId::of_key(&key.public()));
        Ok(Signer::agent(key, agent, home))
    }

    /// Puts the next key in place of the old one, which is kept beside it until the ledger has agreed.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn replace(&self, name: &str, agent: AgentId, next: &SecretKey) -> Result<(), ServiceError> {
        let path = self.path(name)?;
        files::write(&path.with_extension("id"), agent.to_string().as_bytes(), Access::Public).map_err(io)?;
        save_key(&path, next)
    }

    /// Keeps a key that is about to be announced, so that a crash in between loses nothing.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn keep_next(&self, name: &str, next: &SecretKey) -> Result<(), ServiceError> {
        save_key(&self.path(name)?.with_extension("next"), next)
    }

    fn path(&self, name: &str) -> Result<PathBuf, ServiceError> {
        let plain = Nickname::new(name).is_ok() && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
        if !plain {
            let detail = format!("{name}: letters, digits, - and _ only");
            return Err(ServiceError::bad_input("bad_nickname", detail));
        }
        Ok(self.dir.join(format!("{name}.key")))
    }
}

fn io(error: std::io::Error) -> ServiceError {
    ServiceError::new(Kind::BadInput, "bad_data_directory", error.to_string(), "check the directory's owner and mode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_key_still_speaks_for_the_first_id() {
        crate::runtime::tests_world();
        let dir = tempfile::tempdir().unwrap();
        let wallet = Wallet::of(dir.path());
        let first = wallet.create("scout").unwrap();
        let id = AgentId::of_key(&first.public());
        assert_eq!(wallet.id("scout").unwrap(), Some(id));
        let next = fresh_key();
        wallet.replace("scout", id, &next).unwrap();
        let signer = wallet.signer("scout", DomainId([0; 32])).unwrap();
        assert_eq!(signer.agent_id(), Some(id));
        assert_eq!(signer.key().public(), next.public());
        assert_eq!(wallet.names().unwrap(), ["scout"]);
    }

    #[test]
    fn a_name_cannot_leave_the_folder_or_be_taken_twice() {
        crate::runtime::tests_world();
        let dir = tempfile::tempdir().unwrap();
        let wallet = Wallet::of(dir.path());
        assert_eq!(wallet.create("../x").err().unwrap().code, "bad_nickname");
        wallet.create("x").unwrap();
        assert_eq!(wallet.create("x").err().unwrap().code, "agent_exists_here");
        assert_eq!(wallet.signer("y", DomainId([0; 32])).err().unwrap().code, "no_such_key");
    }
}
