//! Words and flags of `delegate`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `delegate …`
#[derive(Debug, Subcommand)]
pub enum DelegateCommand {
    /// Hand work to the first agent that does it, and wait for what comes of it.
    Start(Box<DelegateArgs>),
    /// One delegation: how it stands, and its result.
    Show {
        /// Its id.
        id: String,
    },
    /// All of them, newest first.
    List,
    /// No further candidate; what is under way is finished.
    Cancel {
        /// Its id.
        id: String,
        /// Why; for people.
        #[arg(long)]
        reason: String,
    },
    /// Workers that are hired no more, and false claims for payment.
    Denied,
    /// Hire a worker again.
    Allow {
        /// Its agent id.
        agent: String,
        /// Why; for people.
        #[arg(long)]
        reason: String,
    },
}

/// Flags of `delegate start`.
#[derive(Debug, Args)]
pub struct DelegateArgs {
    /// Who can do it, such as `text.count`.
    pub capability: String,
    /// What is to be done: a file, or the words themselves.
    #[arg(long)]
    pub task: String,
    /// What one worker may cost at most, such as 5.00.
    #[arg(long)]
    pub max_price: String,
    /// Name of the payer's key in the node's data directory. Without it the payer is the agent whose token is in
    /// COMITY_TOKEN.
    #[arg(long)]
    pub from: Option<String>,
    /// File with a JSON Schema that the result must meet.
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// Seconds for each worker.
    #[arg(long, default_value_t = 300)]
    pub timeout: u32,
    /// Minutes for this side to answer a delivery.
    #[arg(long, default_value_t = 60)]
    pub review_minutes: u32,
    /// What this side's silence means after a delivery: refund, release, or the payee's basis points.
    #[arg(long, default_value = "refund")]
    pub on_silence: String,
    /// Agent that rules disputes.
    #[arg(long)]
    pub arbiter: Option<String>,
    /// Reuse on retry; default: a fresh one.
    #[arg(long)]
    pub key: Option<String>,
    /// Do not wait.
    #[arg(long)]
    pub detach: bool,
}
