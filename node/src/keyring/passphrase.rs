//! Where a passphrase comes from: a file, the environment, or a person at a terminal. Never an argument: those stand in
//! every list of processes.

use super::sealed::PASSPHRASE_CHARS_MIN;
use crate::{
    service::error::{Kind, ServiceError},
    storage::{files, terminal},
};
use std::path::Path;

/// The variable that may hold it.
pub const VARIABLE: &str = "COMITY_PASSPHRASE";

/// The passphrase for opening: from the file, else from the variable, else asked for. `None` where nobody can be asked
/// or nothing was typed.
///
/// # Errors
/// `bad_passphrase_file`.
pub fn find(file: Option<&Path>, question: &str) -> Result<Option<String>, ServiceError> {
    if let Some(path) = file {
        let wrong = |detail: String| ServiceError::bad_input("bad_passphrase_file", detail);
        let bytes = files::read_secret(path).map_err(|error| wrong(error.to_string()))?;
        let bytes = bytes.ok_or_else(|| wrong(format!("there is no file {}", path.display())))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong(format!("{} is not text", path.display())))?;
        return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()).filter(|text| !text.is_empty()));
    }
    if let Ok(text) = std::env::var(VARIABLE) {
        return Ok(Some(text).filter(|text| !text.is_empty()));
    }
    let asked = terminal::ask_hidden(question);
    asked.map_err(|error| ServiceError::bad_input("bad_passphrase", error.to_string()))
}

/// A passphrase for a new seal: asked for twice where a person types it.
///
/// # Errors
/// As [`find`]; `passphrase_missing`, `passphrase_too_short`, `passphrases_differ`.
pub fn choose(file: Option<&Path>) -> Result<String, ServiceError> {
    let text = find(file, "new passphrase for the root key: ")?.ok_or_else(|| {
        let next = "name a file with --passphrase-file, set COMITY_PASSPHRASE, or run this in a terminal";
        ServiceError::new(Kind::BadInput, "passphrase_missing", "nobody said one", next)
    })?;
    if text.chars().count() < PASSPHRASE_CHARS_MIN {
        let detail = format!("a passphrase has at least {PASSPHRASE_CHARS_MIN} characters");
        return Err(ServiceError::bad_input("passphrase_too_short", detail));
    }
    if file.is_none() && std::env::var_os(VARIABLE).is_none() {
        let again = find(None, "the same again: ")?;
        if again.as_deref() != Some(text.as_str()) {
            return Err(ServiceError::bad_input("passphrases_differ", "the two are not the same"));
        }
    }
    Ok(text)
}
