//! What a command prints: tables and sentences for people, one JSON document for programs.

use crate::service::error::{Changed, ServiceError};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

/// How to print.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// One JSON document on standard output instead of text.
    pub json: bool,
}

impl Output {
    /// Prints `document` for programs, or what `text` makes of it for people.
    pub fn show(self, document: &Value, text: impl FnOnce(&Value) -> String) {
        if self.json {
            println!("{document}");
        } else {
            println!("{}", text(document).trim_end());
        }
    }

    /// Prints a refusal on standard error and gives the exit code.
    pub fn refuse(self, error: &ServiceError) -> std::process::ExitCode {
        if self.json {
            let document = json!({
                "error": { "code": error.code, "detail": error.detail, "next": error.next,
                    "changed": if error.changed == Changed::No { "no" } else { "unknown" } }
            });
            println!("{document}");
        } else {
            eprintln!("comity: {}: {}", error.code, error.detail);
            match error.changed {
                Changed::No => eprintln!("  nothing changed"),
                Changed::Unknown => eprintln!("  it may or may not have happened"),
            }
            eprintln!("  next: {}", error.next);
        }
        std::process::ExitCode::from(1)
    }
}

/// A plain table: a header line, aligned columns, no drawing; without rows it says so.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    let lines: String = table.lines().map(|line| format!("{}\n", line.trim())).collect();
    if table.is_empty() { lines + "none\n" } else { lines }
}

/// The field as text; a dash when it is absent.
pub fn field(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_rows_says_so() {
        assert_eq!(table(&["CHILD", "STATE"], []), "CHILD  STATE\nnone\n");
        assert_eq!(table(&["CHILD"], [vec!["acme".to_owned()]]), "CHILD\nacme\n");
    }
}
