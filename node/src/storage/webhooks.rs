//! Webhooks of a node: one small file, written whole with each change. Where a delivery stands is in it, so a node that
//! starts again goes on with the first event that it did not know to be taken.

use super::files::{self, Access};
use crate::service::webhooks::Webhook;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Says which form the file has.
const FORM: &str = "comity/webhooks/1";

#[derive(serde::Serialize, serde::Deserialize)]
struct File {
    form: String,
    webhooks: Vec<Webhook>,
}

/// Where they are kept below a data directory.
pub fn path(root: &Path) -> PathBuf {
    root.join("webhooks.json")
}

/// All of them; none without a file.
///
/// # Errors
/// The disk's; another form, which this program does not read.
pub fn read(path: &Path) -> io::Result<Vec<Webhook>> {
    let Some(bytes) = files::read(path)? else { return Ok(Vec::new()) };
    let other = |text: String| io::Error::other(format!("{}: {text}", path.display()));
    let file: File = serde_json::from_slice(&bytes).map_err(|error| other(error.to_string()))?;
    if file.form == FORM { Ok(file.webhooks) } else { Err(other(format!("its form is {}, not {FORM}", file.form))) }
}

/// Writes all of them.
///
/// # Errors
/// The disk's.
pub fn write(path: &Path, webhooks: Vec<Webhook>) -> io::Result<()> {
    let file = File { form: FORM.to_owned(), webhooks };
    let bytes = serde_json::to_vec(&file).map_err(io::Error::other)?;
    files::write(path, &bytes, Access::Secret)
}
