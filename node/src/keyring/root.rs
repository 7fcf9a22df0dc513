//! The root key in a data directory, with the links that lead to it from the first one.

use super::sealed;
use crate::{
    home::{ROOT_FILE, load_key},
    service::error::{Kind, ServiceError},
    storage::files,
};
use bytes::Bytes;
use comity_proto::{ids::PublicKey, keys::SecretKey, roots::RootKey};
use std::path::Path;

/// The links from the first root key to the one in use.
pub const LINKS_FILE: &str = "domain.links";
/// The next root key.
pub const ROOT_NEXT_FILE: &str = "domain.key.next";
/// The links to it.
pub const LINKS_NEXT_FILE: &str = "domain.links.next";

/// The root key in a data directory, sealed or not, by its public half.
///
/// # Errors
/// `bad_data_directory`, or the system's refusal.
pub fn named_in(dir: &Path) -> Result<Option<PublicKey>, ServiceError> {
    let file = files::read_secret(&dir.join(ROOT_FILE)).map_err(|error| unreadable(&error))?;
    match file.filter(|file| sealed::is_sealed(file)) {
        Some(file) => Ok(sealed::named_in(&file).ok()),
        None => Ok(load_key(&dir.join(ROOT_FILE))?.map(|key| key.public())),
    }
}

/// A root key with the links to it, which lie beside it. A process that ended between the two steps of putting another one
/// in use left them where they were prepared.
///
/// # Errors
/// `bad_data_directory`, or the system's refusal.
pub fn with_links(dir: &Path, secret: SecretKey) -> Result<RootKey, ServiceError> {
    for file in [LINKS_FILE, LINKS_NEXT_FILE] {
        let links = files::read(&dir.join(file)).map_err(|error| unreadable(&error))?.map(Bytes::from);
        if let Some(root) = links.and_then(|links| RootKey::along(links, secret.clone()).ok()) {
            return Ok(root);
        }
    }
    Ok(secret.into())
}

/// The same where the domain's first root key is known.
///
/// # Errors
/// `bad_data_directory`, or the system's refusal.
pub(crate) fn own_root(dir: &Path, secret: SecretKey, first: &PublicKey) -> Result<RootKey, ServiceError> {
    let root = with_links(dir, secret)?;
    if root.first() == *first {
        return Ok(root);
    }
    let detail = format!("{ROOT_FILE} holds the root key of another domain, or {LINKS_FILE} does not lead to it");
    Err(bad_directory(detail))
}

fn bad_directory(detail: String) -> ServiceError {
    ServiceError::new(Kind::BadInput, "bad_data_directory", detail, "mend the file, or restore it from a backup")
}

fn unreadable(error: &std::io::Error) -> ServiceError {
    bad_directory(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Config, HTTP_DEFAULT, MESH_DEFAULT},
        founding::fresh_key,
        home::{Home, save_key},
        storage::files::Access,
    };

    #[test]
    fn the_links_to_a_later_root_key_are_found_wherever_a_stop_left_them() {
        crate::runtime::tests_world();
        let dir = tempfile::tempdir().unwrap();
        let config = Config::alone("acme", HTTP_DEFAULT.parse().unwrap(), MESH_DEFAULT.parse().unwrap());
        let saved = Home::alone(dir.path(), config, 1_700_000_000_000).unwrap();
        saved.save().unwrap();
        let next = fresh_key();
        let links = saved.domain_keys.as_ref().unwrap().root.links_to(&next).unwrap();
        let root = || Home::load(dir.path()).map(|home| (home.domain(), home.root_named()));
        let put = |name: &str, bytes: &[u8]| files::write(&dir.path().join(name), bytes, Access::Public).unwrap();
        put(LINKS_NEXT_FILE, &links);
        assert_eq!(root().unwrap().1, saved.root_named(), "what is prepared is not in use");
        save_key(&dir.path().join(ROOT_FILE), &next).unwrap();
        assert_eq!(root().unwrap(), (saved.domain(), Some(next.public())), "stopped before the links were moved");
        assert_eq!(named_in(dir.path()).unwrap(), Some(next.public()));
        files::rename(&dir.path().join(LINKS_NEXT_FILE), &dir.path().join(LINKS_FILE)).unwrap();
        assert_eq!(root().unwrap(), (saved.domain(), Some(next.public())));
        put(LINKS_FILE, b"no links");
        assert_eq!(root().unwrap_err().code, "bad_data_directory");
    }
}
