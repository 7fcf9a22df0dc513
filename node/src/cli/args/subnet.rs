//! Words and flags of `subnet`.

use clap::{Args, Subcommand};

/// `subnet …`
#[derive(Debug, Subcommand)]
pub enum SubnetCommand {
    /// The domain above this one, and those below it with their limits.
    List,
    /// One domain below this one.
    Show {
        /// Nickname, id, or unique prefix of the id.
        peer: String,
    },
    /// How the domains below are: seen last, in doubt, drift.
    Health,
    /// Propose to a treaty partner that it stands under this domain; it counts once its operator approves.
    Offer(Limits),
    /// Propose to a treaty partner that this domain stands under it.
    Join(Limits),
    /// Propose that neither stands under the other one any more; leaving the treaty ends it without asking.
    Part {
        /// Nickname, id, or unique prefix of the id.
        peer: String,
    },
}

/// With whom, and what the lower one keeps towards third domains.
#[derive(Debug, Args)]
pub struct Limits {
    /// Nickname, id, or unique prefix of the id.
    pub peer: String,
    /// Most that it accepts of any asset of a third domain, such as 500.00; without it as it likes.
    #[arg(long, value_name = "AMOUNT")]
    pub cap_max: Option<String>,
    /// It shows and hires out to third domains for this capability and those below it; may be repeated; without it as it
    /// likes.
    #[arg(long = "for", value_name = "CAPABILITY")]
    pub capabilities: Vec<String>,
}
