//! Delegations of a node: one small file each, written whole with each step before the step is taken, so that a node that
//! starts again knows what it may have done. Beside them the book: who is denied, whose claims were false, who was found
//! last.

use super::{files, kept};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Says which form the files have.
const FORM: &str = "comity/delegations/1";
/// A task and a result of full length in base64, and what is said about them.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// The file that is no delegation.
const BOOK: &str = "book";

/// Where they are kept below a data directory.
pub fn folder(root: &Path) -> PathBuf {
    root.join("delegations")
}

fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.json"))
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    kept::read(path, FORM, FILE_BYTES_MAX)
}

fn write<T: Serialize>(path: &Path, content: T) -> io::Result<()> {
    kept::write(path, FORM, content)
}

/// Every delegation that is kept.
///
/// # Errors
/// The disk's; another form, which this program does not read.
pub fn read_all<T: DeserializeOwned>(dir: &Path) -> io::Result<Vec<T>> {
    let names = files::list(dir)?;
    let names = names.iter().filter_map(|name| name.strip_suffix(".json")).filter(|name| *name != BOOK);
    names.filter_map(|name| read(&path(dir, name)).transpose()).collect()
}

/// Keeps one.
///
/// # Errors
/// The disk's.
pub fn write_one<T: Serialize>(dir: &Path, name: &str, content: &T) -> io::Result<()> {
    write(&path(dir, name), content)
}

/// Forgets one.
///
/// # Errors
/// The disk's.
pub fn remove(dir: &Path, name: &str) -> io::Result<()> {
    files::remove(&path(dir, name))
}

/// The book, if there is one.
///
/// # Errors
/// As [`read_all`].
pub fn read_book<T: DeserializeOwned>(dir: &Path) -> io::Result<Option<T>> {
    read(&path(dir, BOOK))
}

/// Keeps the book.
///
/// # Errors
/// The disk's.
pub fn write_book<T: Serialize>(dir: &Path, book: &T) -> io::Result<()> {
    write(&path(dir, BOOK), book)
}
