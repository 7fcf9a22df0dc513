//! Words and flags of `drift`.

use clap::Subcommand;

/// `drift …`
#[derive(Debug, Subcommand)]
pub enum DriftCommand {
    /// Compare with every peer now: treaty, policies, standing, reserve and wrapped units.
    Scan {
        /// Say what quarantine would refuse, whether it is switched on or off.
        #[arg(long)]
        dry_run: bool,
    },
    /// One peer: what differs, since when, what follows.
    Show {
        /// Peer id or nickname.
        peer: String,
    },
}
