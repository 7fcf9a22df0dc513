//! Words and flags of `endpoint`.

use clap::Subcommand;
use std::path::PathBuf;

/// `endpoint …`
#[derive(Debug, Subcommand)]
pub enum EndpointCommand {
    /// Hand an agent's tasks to its own A2A server.
    Set {
        /// Local key name, id, or unique id prefix.
        agent: String,
        /// Where its server is.
        url: String,
        /// How it is spoken to: JSONRPC or HTTP+JSON.
        #[arg(long, default_value = "JSONRPC")]
        binding: String,
        /// File with a token that the server wants to see, readable by its owner only.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// All of this node, and whether they are reached.
    List,
    /// The agent asks for its work itself again.
    Remove {
        /// Local key name, id, or unique id prefix.
        agent: String,
        /// Why; for people.
        #[arg(long)]
        reason: String,
    },
}
