//! Asks a person at a terminal for something that must not be seen.

use std::io::{self, IsTerminal as _};

/// One line, typed without being shown; `None` where there is no terminal, or an empty line.
///
/// # Errors
/// The terminal's.
pub fn ask_hidden(question: &str) -> io::Result<Option<String>> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Ok(None);
    }
    eprint!("{question}");
    let mut text = String::new();
    let read = hidden(&stdin, || stdin.read_line(&mut text));
    eprintln!();
    read?;
    let text = text.trim_end_matches(['\r', '\n']);
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(unix)]
fn hidden<T>(stdin: &io::Stdin, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let shown = tcgetattr(stdin)?;
    let mut silent = shown.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(stdin, OptionalActions::Now, &silent)?;
    let read = read();
    tcsetattr(stdin, OptionalActions::Now, &shown)?;
    read
}

#[cfg(not(unix))]
fn hidden<T>(_: &io::Stdin, read: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    read()
}
