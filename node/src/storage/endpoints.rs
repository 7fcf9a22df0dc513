//! Agents' own servers: one small file, written whole with each change.

use super::files::{self, Access};
use crate::service::endpoints::Endpoint;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Says which form the file has.
const FORM: &str = "comity/endpoints/1";

#[derive(serde::Serialize, serde::Deserialize)]
struct File {
    form: String,
    endpoints: Vec<Endpoint>,
}

/// Where they are kept below a data directory.
pub fn path(root: &Path) -> PathBuf {
    root.join("endpoints.json")
}

/// All of them; none without a file.
///
/// # Errors
/// The disk's; another form, which this program does not read.
pub fn read(path: &Path) -> io::Result<Vec<Endpoint>> {
    let Some(bytes) = files::read(path)? else { return Ok(Vec::new()) };
    let other = |text: String| io::Error::other(format!("{}: {text}", path.display()));
    let file: File = serde_json::from_slice(&bytes).map_err(|error| other(error.to_string()))?;
    if file.form == FORM { Ok(file.endpoints) } else { Err(other(format!("its form is {}, not {FORM}", file.form))) }
}

/// Writes all of them.
///
/// # Errors
/// The disk's.
pub fn write(path: &Path, endpoints: Vec<Endpoint>) -> io::Result<()> {
    let file = File { form: FORM.to_owned(), endpoints };
    let bytes = serde_json::to_vec(&file).map_err(io::Error::other)?;
    files::write(path, &bytes, Access::Secret)
}
