//! The command line as a program uses it: `comity … --json`.

use super::process::Process;
use serde_json::Value;
use std::{path::Path, time::Duration};

/// What a command answered.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Standard output, line by line, as JSON.
    pub documents: Vec<Value>,
    /// Standard output and standard error as they are.
    pub text: String,
}

impl Said {
    /// The last document.
    pub fn last(&self) -> &Value {
        self.documents.last().unwrap_or(&Value::Null)
    }

    /// The name of its refusal.
    pub fn refusal(&self) -> &str {
        self.last()["error"]["code"].as_str().unwrap_or_default()
    }
}

/// Runs a command to its end.
///
/// # Panics
/// When it has not ended after `patience`.
pub fn run(args: &[&str], patience: Duration) -> Said {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut process = Process::start_apart(args, &dir.path().join("out"));
    let code = process.wait(patience);
    let (out, err) = (process.said(), process.complained());
    let code = code.unwrap_or_else(|| panic!("comity {args:?} has not ended after {patience:?}:\n{out}{err}"));
    // One document over many lines, or one a line.
    let documents = match serde_json::from_str(&out) {
        Ok(document) => vec![document],
        Err(_) => out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
    };
    Said { code, documents, text: format!("{out}{err}") }
}

/// Asks the node of a data directory; the answer must be a success.
///
/// # Panics
/// When it is refused, with what was said.
pub fn ask(data: &Path, args: &[&str]) -> Value {
    let said = try_ask(data, args);
    assert_eq!(said.code, 0, "comity {args:?}: {}", said.text);
    said.last().clone()
}

/// Asks the node of a data directory.
pub fn try_ask(data: &Path, args: &[&str]) -> Said {
    let data = data.display().to_string();
    let mut all = vec!["--json", "--data", &data];
    all.extend(args);
    run(&all, super::PATIENCE)
}
