//! Lines for people. A reader that went away (`| head`) ends nothing.

use std::io::Write;

/// Prints a line.
pub(super) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a line with a name in front.
pub(super) fn item(name: &str, text: impl std::fmt::Display) {
    line(format_args!("{name:<10}{text}"));
}

/// A duration in the unit that fits.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        ..0.0 => "0 s".to_owned(),
        ..10.0 => format!("{seconds:.1} s"),
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// Virtual time as `12.345 s`.
pub(super) fn moment(at_ms: u64) -> String {
    format!("{}.{:03} s", at_ms / 1_000, at_ms % 1_000)
}

/// A word of a command line, quoted if a shell needs it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
