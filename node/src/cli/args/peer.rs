//! Words and flags of `peer`.

use super::export::Admit;
use clap::{Args, Subcommand};

/// `peer …`
#[derive(Debug, Subcommand)]
pub enum PeerCommand {
    /// Print a token with which one other domain may propose a treaty.
    Invite {
        /// How much of its asset to accept, such as 1000.00.
        #[arg(long)]
        cap: String,
        /// Above this amount of its asset a decision counts only when most voters of its origin have signed it.
        #[arg(long, value_name = "AMOUNT")]
        majority_above: Option<String>,
        /// How long it can be used.
        #[arg(long, default_value_t = 24)]
        hours: u32,
        /// Nobody but this domain may use it: its id.
        #[arg(long = "for")]
        invitee: Option<String>,
    },
    /// Sign a treaty with the domain that gave the token.
    Accept {
        /// What the other operator's `peer invite` printed.
        token: String,
        /// How much of its asset to accept, such as 1000.00.
        #[arg(long)]
        cap: String,
        /// Above this amount of its asset a decision counts only when most voters of its origin have signed it.
        #[arg(long, value_name = "AMOUNT")]
        majority_above: Option<String>,
        /// Who may see and hire whom, besides: see `comity export`.
        #[arg(long, value_enum, default_value = "none")]
        export: Admit,
    },
    /// Sign what a peer has proposed, after comparing the fingerprint with its operator.
    Approve {
        /// Nickname, id, or unique prefix of the id.
        peer: String,
        /// Who may see and hire whom, besides: see `comity export`.
        #[arg(long, value_enum, default_value = "none")]
        export: Admit,
    },
    /// Refuse what a peer has proposed.
    Deny(PeerChange),
    /// Treaties with their state and exposure.
    List,
    /// One treaty: state, fingerprint, terms, what each side does and why.
    Show {
        /// Nickname, id, or unique prefix of the id.
        peer: String,
    },
    /// Propose the next version: the policy in force now, and another cap if given.
    Refresh {
        /// Nickname, id, or unique prefix of the id.
        peer: String,
        /// How much of its asset to accept from then on.
        #[arg(long)]
        cap: Option<String>,
    },
    /// Begin nothing with a peer and vote no, until resumed; what is open is finished.
    Suspend(PeerChange),
    /// Take part again.
    Resume(PeerChange),
    /// Begin nothing new for good; what is open is finished, then paper only goes back to its issuer.
    Drain(PeerChange),
    /// Leave; what is open is finished, paper stays where it is.
    Revoke(PeerChange),
}

/// Which peer, and why.
#[derive(Debug, Args)]
pub struct PeerChange {
    /// Nickname, id, or unique prefix of the id.
    pub peer: String,
    /// Told to the peer and kept by both sides.
    #[arg(long)]
    pub reason: String,
}
