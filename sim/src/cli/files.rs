//! Scenarios, plans and records on the real disk.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::{
    record::Record,
    scenario::{self, Scenario},
};

/// Why nothing was done, in words for the person who asked.
#[derive(Debug)]
pub(super) struct Problem(pub(super) String);

impl<E: std::error::Error> From<E> for Problem {
    fn from(error: E) -> Problem {
        Problem(error.to_string())
    }
}

/// A shipped scenario by name, or one from a file.
pub(super) fn scenario(name: &str) -> Result<Scenario, Problem> {
    if name.ends_with(".toml") || name.contains('/') {
        let text = fs::read_to_string(name).map_err(|error| Problem(format!("{name}: {error}; nothing was run")))?;
        return Ok(scenario::read(name, &text)?);
    }
    if let Some(known) = scenario::named(name) {
        return Ok(known);
    }
    let help = match scenario::nearest(name, scenario::READY.iter().map(|(name, _)| *name)) {
        Some(near) => format!("did you mean {near}?"),
        None => "`comity-sim scenarios` lists them; a file ends in .toml".to_owned(),
    };
    Err(Problem(format!("no scenario is called {name}; {help}; nothing was run")))
}

/// Reads a record.
pub(super) fn record(path: &Path) -> Result<Record, Problem> {
    let named = |error: &dyn std::fmt::Display| Problem(format!("{}: {error}; nothing was run", path.display()));
    let text = fs::read_to_string(path).map_err(|error| named(&error))?;
    let record: Record = serde_json::from_str(&text).map_err(|error| {
        named(&format!("line {} column {}: {error}; no record of a run", error.line(), error.column()))
    })?;
    Ok(record)
}

/// Writes something as JSON, whole or not at all.
pub(super) fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), Problem> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    write(path, &text)
}

/// Writes a file, whole or not at all.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let named = |error: std::io::Error| Problem(format!("{}: {error}; the file was not written", path.display()));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(named)?;
    // As any program's files: the person's own mask decides who may read them.
    let everybody = fs::Permissions::from_mode(0o666);
    let file = tempfile::Builder::new().permissions(everybody).tempfile_in(folder).map_err(named)?;
    fs::write(file.path(), bytes).map_err(named)?;
    file.persist(path).map_err(|error| named(error.error))?;
    Ok(())
}

/// Refuses a record of another program unless that is wanted.
pub(super) fn same_commit(record: &Record, any: bool) -> Result<(), Problem> {
    if record.commit == super::COMMIT || any {
        return Ok(());
    }
    Err(Problem(format!(
        "the record was made by commit {}, this program is {}; the same seed means another universe. Build that commit, \
         or ask again with --any-commit; nothing was run",
        record.commit,
        super::COMMIT
    )))
}
