//! What the rules read: the files of the workspace as text, and what cargo says about its packages.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// Files larger than this are data, not text that a rule reads.
const MAX_TEXT_BYTES: u64 = 2 << 20;

/// Text files by their path from the workspace's root, with `/` between folders.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, String>,
}

impl Tree {
    /// The working tree: what git tracks and what is new and not ignored. Without git: every file outside `target`.
    pub(crate) fn workspace() -> Tree {
        let root = workspace_root();
        let mut tree = Tree::default();
        for path in git_files(&root).unwrap_or_else(|| walk(&root)) {
            let full = root.join(&path);
            if !full.metadata().is_ok_and(|m| m.is_file() && m.len() <= MAX_TEXT_BYTES) {
                continue;
            }
            if let Ok(text) = std::fs::read_to_string(&full) {
                tree.files.insert(path, text);
            }
        }
        assert!(tree.files.len() > 20, "the workspace was not found at {}", root.display());
        tree
    }

    /// A made-up tree for the test of a rule.
    pub(crate) fn of(files: &[(&str, &str)]) -> Tree {
        Tree { files: files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect() }
    }

    /// All Rust sources.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

/// The folder that holds the root `Cargo.toml`.
pub(crate) fn workspace_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests crate lies one folder below the root").to_path_buf()
}

fn git_files(root: &Path) -> Option<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|out| out.status.success())?;
    let text = String::from_utf8(listed.stdout).ok()?;
    let files: Vec<String> = text.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    (!files.is_empty()).then_some(files)
}

fn walk(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if entry.file_name() != "target" && entry.file_name() != ".git" {
                    folders.push(path);
                }
            } else if let Ok(inside) = path.strip_prefix(root) {
                found.push(inside.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found
}

/// What `cargo metadata --no-deps` says: the packages of this workspace.
pub(crate) fn metadata() -> serde_json::Value {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(workspace_root())
        .output()
        .expect("cargo runs this test, so cargo can be run");
    assert!(out.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).expect("cargo metadata prints JSON")
}

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    /// Path from the workspace's root.
    pub(crate) file: String,
    /// First line is 1; 0 where no line applies.
    pub(crate) line: usize,
    /// What is wrong, with the rule.
    pub(crate) rule: String,
    /// What to do.
    pub(crate) remedy: &'static str,
}

impl Breach {
    pub(crate) fn new(file: &str, line: usize, rule: impl Into<String>, remedy: &'static str) -> Breach {
        Breach { file: file.to_owned(), line, rule: rule.into(), remedy }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    -> {}", self.file, self.line, self.rule, self.remedy)
    }
}

/// Fails the test with all breaches, one per paragraph.
#[track_caller]
pub(crate) fn none(breaches: Vec<Breach>) {
    let text: Vec<String> = breaches.iter().map(ToString::to_string).collect();
    assert!(breaches.is_empty(), "\n{}\n({} in all)", text.join("\n"), text.len());
}

/// Fails unless the rule found something on exactly these `(file, line)` pairs, in this order.
#[track_caller]
pub(crate) fn found_at(breaches: &[Breach], expected: &[(&str, usize)]) {
    let places: Vec<(&str, usize)> = breaches.iter().map(|b| (b.file.as_str(), b.line)).collect();
    assert_eq!(places, expected, "{breaches:#?}");
}

#[test]
fn a_breach_names_file_line_rule_and_remedy() {
    let breach = Breach::new("node/src/lib.rs", 7, "a rule", "do this");
    assert_eq!(breach.to_string(), "node/src/lib.rs:7: a rule\n    -> do this");
}

#[test]
#[should_panic(expected = "(1 in all)")]
fn one_breach_is_enough_to_fail() {
    none(vec![Breach::new("a.rs", 1, "a rule", "do this")]);
}
