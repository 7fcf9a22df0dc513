//! Bakes the commit into the program, so that a failure file can say what it was found on.
//!
//! With changes that are not committed the name says so and carries a fingerprint of them: two different working trees
//! must not pass for the same program. Without git the program says that, and refuses nothing it can know nothing about.

use std::{io::Write, path::Path, process::Command, process::Stdio};

/// What a run depends on. Documents and tests are not part of it.
const SOURCES: [&str; 6] = ["proto", "consensus", "node", "sim", "Cargo.toml", "Cargo.lock"];

fn main() {
    // Asked when it runs: a target folder may be shared by several clones, and then this program comes from any of them.
    let sim = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the crate lies");
    let root = Path::new(&sim).parent().expect("sim lies one folder below the root");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    for moved in ["HEAD", "index"] {
        if let Some(path) = git(root, &["rev-parse", "--git-path", moved]) {
            println!("cargo::rerun-if-changed={}", root.join(path).display());
        }
    }
    println!("cargo::rustc-env=COMITY_COMMIT={}", commit(root).unwrap_or_else(|| "without-git".to_owned()));
}

fn commit(root: &Path) -> Option<String> {
    let head = git(root, &["rev-parse", "--short=12", "HEAD"])?;
    let mut diff = vec!["diff", "HEAD", "--no-ext-diff", "--binary", "--"];
    diff.extend(SOURCES);
    let mut changes = git(root, &diff)?;
    let mut others = vec!["ls-files", "--others", "--exclude-standard", "--"];
    others.extend(SOURCES);
    for path in git(root, &others)?.lines() {
        changes.push_str(path);
        changes.push_str(&git(root, &["hash-object", "--", path])?);
    }
    if changes.is_empty() {
        return Some(head);
    }
    Some(format!("{head}-dirty-{}", fingerprint(root, &changes)?))
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let out = Command::new("git").args(args).current_dir(root).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}

/// Git's own hash of a text, 8 digits of it.
fn fingerprint(root: &Path, text: &str) -> Option<String> {
    let mut hash = Command::new("git");
    hash.args(["hash-object", "--stdin"]).current_dir(root).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = hash.spawn().ok()?;
    child.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let out = child.wait_with_output().ok()?;
    let digits = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    digits.get(..8).map(str::to_owned)
}
