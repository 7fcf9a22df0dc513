//! Log lines: one subscriber for the process, chosen by `COMITY_LOG` (default: what a person running a node wants).

use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. Later calls change nothing.
pub fn start(json: bool) {
    let filter = EnvFilter::try_from_env("COMITY_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,openraft=error,libp2p=warn,libp2p_gossipsub=warn,yamux=warn"));
    // Colours are for people: a log file gets none.
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    // A subscriber that is there already stays: tests install their own.
    let _installed = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}
