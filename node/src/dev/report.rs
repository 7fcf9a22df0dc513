//! How the story is told: lines with their time for people, one JSON object per line for programs.

use crate::cli::output::Output;
use comity_runtime::Instant;
use serde_json::{Value, json};

/// Tells steps as they happen.
pub(super) struct Report {
    output: Output,
    begun: Instant,
}

impl Report {
    /// The clock of the story starts now.
    pub(super) fn begin(output: Output) -> Report {
        Report { output, begun: comity_runtime::now() }
    }

    /// Since the beginning, ms.
    pub(super) fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A heading; nothing for programs.
    pub(super) fn heading(&self, text: &str) {
        if !self.output.json {
            println!("\n{text}");
        }
    }

    /// One step: its name and facts for programs, its sentence for people.
    pub(super) fn step(&self, step: &str, facts: Value, sentence: &str) {
        let at_ms = self.elapsed_ms();
        if self.output.json {
            println!("{}", json!({ "step": step, "at_ms": at_ms, "facts": facts }));
        } else {
            println!("{:>7.3} s  {sentence}", at_ms as f64 / 1000.0);
        }
    }

    /// A block of text for people; nothing for programs.
    pub(super) fn block(&self, text: &str) {
        if !self.output.json {
            for line in text.lines() {
                println!("           {line}");
            }
        }
    }

    /// The last line for programs.
    pub(super) fn verdict(&self, document: &Value) {
        if self.output.json {
            println!("{document}");
        }
    }
}
