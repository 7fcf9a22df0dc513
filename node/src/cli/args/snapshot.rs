//! Words and flags of `snapshot`.

use super::PassphraseArgs;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `snapshot …`
#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Write the ledger of the running node, with its events, into its data directory under `snapshots/`.
    Save {
        /// Name of the new directory. Default: the index of the last entry.
        name: Option<String>,
    },
    /// What is in a saved snapshot; needs no node.
    Inspect {
        /// The directory that `snapshot save` printed, or a copy of it.
        snapshot: PathBuf,
    },
    /// Put a saved snapshot in the place of this node's ledger: the domain's log is lost, and goes on from there.
    Restore(RestoreArgs),
}

/// Flags of `snapshot restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The directory that `snapshot save` printed, or a copy of it.
    pub snapshot: PathBuf,
    /// The passphrase of the root key, which signs the next roster.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}
