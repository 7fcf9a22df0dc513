//! Log lines: one subscriber for the process, chosen by `COMITY_LOG` (default: what a person running a node wants).
//!
//! The last word of a process that fails is its own error: [`end`] closes the log first, so that whoever reads the end of
//! the output, a person or a supervisor, reads the reason.

use parking_lot::Mutex;
use std::io::{self, IsTerminal as _, Write};
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. Later calls change nothing.
pub fn start(json: bool) {
    let filter = EnvFilter::try_from_env("COMITY_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,openraft=error,libp2p=warn,libp2p_gossipsub=warn,yamux=warn"));
    // Colours are for people: a log file gets none.
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| &LOG).with_ansi(colours);
    // A subscriber that is there already stays: tests install their own.
    let _installed = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}

/// No log line follows; one that is being written is whole when this returns.
pub fn end() {
    LOG.end();
}

static LOG: Log<io::Stderr> = Log { open: Mutex::new(true), to: io::stderr };

/// Where log lines go until the log is closed; from then on they are dropped.
struct Log<W> {
    /// Held while a line is written: closing waits for it, so nothing is written after the close.
    open: Mutex<bool>,
    to: fn() -> W,
}

impl<W> Log<W> {
    fn end(&self) {
        *self.open.lock() = false;
    }
}

/// The subscriber hands over whole lines, one `write_all` each.
impl<W: Write> Write for &Log<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let open = self.open.lock();
        if *open {
            (self.to)().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        (self.to)().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static WRITTEN: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    struct Page;

    impl Write for Page {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            WRITTEN.lock().write(line)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_its_end_the_log_takes_lines_and_says_none() {
        let log = Log { open: Mutex::new(true), to: || Page };
        (&log).write_all(b"before\n").expect("a line");
        log.end();
        (&log).write_all(b"after\n").expect("a line for nobody");
        assert_eq!(*WRITTEN.lock(), b"before\n");
    }
}
