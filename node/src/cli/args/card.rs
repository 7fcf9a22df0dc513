//! Words and flags of `card`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `card …`
#[derive(Debug, Subcommand)]
pub enum CardCommand {
    /// Sign and gossip a card.
    Publish {
        /// Local key name.
        name: String,
        /// What it does, in a sentence.
        #[arg(long)]
        description: String,
        /// May be given several times.
        #[arg(long = "capability", required = true)]
        capabilities: Vec<String>,
        /// Price of a task, such as 5.00.
        #[arg(long)]
        price: String,
        /// Days until it expires.
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// Whoever holds it may pass it on, if the domain exports it to everyone. Else peers that it is exported to see it.
        #[arg(long)]
        public: bool,
    },
    /// One card with its origin and age.
    Get {
        /// Agent id or unique prefix.
        agent: String,
    },
    /// The card of a whole domain.
    #[command(subcommand)]
    Domain(DomainCardCommand),
}

/// `card domain …`
#[derive(Debug, Subcommand)]
pub enum DomainCardCommand {
    /// A domain's card as this node has it.
    Show {
        /// Nickname or id. Default: this domain.
        domain: Option<String>,
        /// Write the signed document into this file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Judge a card in a file, with no trust in what it says about keys. Needs no node when the domain is an id.
    Verify(VerifyCardArgs),
    /// What the operator adds to the own domain's card; an empty text takes a word back.
    Edit(EditArgs),
}

/// Flags of `card domain verify`.
#[derive(Debug, Args)]
pub struct VerifyCardArgs {
    /// The card.
    pub file: PathBuf,
    /// The domain that it must be of: its id, or the nickname of one that this node has pinned. Default: whichever of the
    /// pinned ones it says.
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// A card of the same domain that was kept: an older one than that is refused.
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
}

/// Flags of `card domain edit`.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// How people reach the operator.
    #[arg(long)]
    pub contact: Option<String>,
    /// Degrees north, such as 52.5200.
    #[arg(long, allow_hyphen_values = true)]
    pub latitude: Option<String>,
    /// Degrees east, such as 13.4050.
    #[arg(long, allow_hyphen_values = true)]
    pub longitude: Option<String>,
    /// Where an auditor of one's choice publishes.
    #[arg(long, value_name = "URL")]
    pub auditor: Option<String>,
    /// Address of a public door; may be given several times, in place of those before.
    #[arg(long = "endpoint", value_name = "URL")]
    pub endpoints: Vec<String>,
    /// Name this peer on the card: nickname or id; may be given several times.
    #[arg(long = "show-peer", value_name = "PEER")]
    pub show: Vec<String>,
    /// Name it no longer.
    #[arg(long = "hide-peer", value_name = "PEER")]
    pub hide: Vec<String>,
}
