//! Words and flags of `licence`.

use super::PeerChange;
use clap::{Args, Subcommand};

/// `licence …`
#[derive(Debug, Subcommand)]
pub enum LicenceCommand {
    /// Grant a peer so much in a minute, and so many agents, in place of what it had. Without one it has no quotas.
    Issue(LicenceArgs),
    /// Let nothing new in, until resumed.
    Suspend(PeerChange),
    /// Let in up to the quotas again.
    Resume(PeerChange),
    /// Let nothing new in, until another one is issued.
    Revoke(PeerChange),
}

/// What is granted, and why.
#[derive(Debug, Args)]
pub struct LicenceArgs {
    /// Nickname, id, or unique prefix of the id.
    pub peer: String,
    /// A name for people.
    #[arg(long, default_value = "basic")]
    pub tier: String,
    /// Agents of the peer whose cards are kept.
    #[arg(long, default_value_t = 100)]
    pub agents: u32,
    /// Tasks, payments begun, relayed commands and cards that each node takes in a minute.
    #[arg(long, default_value_t = 1000)]
    pub events: u32,
    /// How long.
    #[arg(long, default_value_t = 365)]
    pub days: u32,
    /// Give a token with it, shown this once, for a peer that cannot show an SVID: it opens reads over HTTP.
    #[arg(long)]
    pub bearer: bool,
    /// Told to the peer and kept by both sides.
    #[arg(long)]
    pub reason: String,
}
