//! Plays `scripts/*.txt`: what people and time do to a ledger, readable without this program.
//!
//! A line is a step; the lines behind it that begin with `->` are its answer. `COMITY_BLESS=1` writes the answers that
//! the ledger gives into the files, to be read as a diff. The words of a step are in `scripts/README.txt`.

mod script;
mod support;

use comity_ledger::Outcome;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn files(folder: &str, ends: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.is_file() && path.to_string_lossy().ends_with(ends));
    files.sort();
    files
}

fn scripts() -> Vec<PathBuf> {
    files("scripts", ".txt").into_iter().filter(|path| !path.ends_with("README.txt")).collect()
}

#[test]
fn every_script_ends_as_it_says() {
    let bless = std::env::var_os("COMITY_BLESS").is_some();
    let mut wrong = String::new();
    for path in scripts() {
        let before = fs::read_to_string(&path).expect("a readable script");
        let after = script::play(&path.display().to_string(), &before);
        if before == after {
            continue;
        }
        if bless {
            fs::write(&path, &after).expect("a writable script");
            continue;
        }
        for (n, (old, new)) in
            before.lines().zip(after.lines()).enumerate().filter(|(_, (old, new))| old != new).take(5)
        {
            wrong.push_str(&format!("{}:{}\n  - {old}\n  + {new}\n", path.display(), n + 1));
        }
        wrong.push_str(&format!(
            "{}: {} lines, now {}\n",
            path.display(),
            before.lines().count(),
            after.lines().count()
        ));
    }
    assert!(wrong.is_empty(), "COMITY_BLESS=1 accepts this:\n{wrong}");
}

#[test]
fn every_outcome_occurs_in_a_script_or_a_test() {
    let read =
        |paths: Vec<PathBuf>| paths.iter().map(|path| fs::read_to_string(path).expect("readable")).collect::<String>();
    let played = read(scripts());
    let mut tested = read(files("tests", ".rs"));
    tested.push_str(&read(files("src", "_tests.rs")));
    tested.push_str(&read(files("src/apply", "_tests.rs")));
    tested.push_str(&read(files("src/settlement/tests", ".rs")));
    let missing: Vec<&str> = Outcome::ALL
        .iter()
        .filter(|outcome| {
            let line = format!("-> {}\n", outcome.name());
            let variant = format!("Outcome::{outcome:?}");
            let named = tested.match_indices(&variant).any(|(at, _)| {
                let next = tested[at + variant.len()..].chars().next();
                !next.is_some_and(|c| c.is_alphanumeric())
            });
            !played.contains(&line) && !named
        })
        .map(|outcome| outcome.name())
        .collect();
    assert!(missing.is_empty(), "nothing provokes {missing:?}");
}
