//! Flags of `transfer verdict`.

use clap::Args;

/// Flags of `transfer verdict`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("end").required(true))]
pub struct VerdictArgs {
    /// The transfer's whole id.
    pub id: String,
    /// Id of the participant's domain.
    #[arg(long, value_name = "DOMAIN")]
    pub to: String,
    /// Digest of what was asked, as `transfer show` prints it there.
    #[arg(long, value_name = "HASH")]
    pub content: String,
    /// It was committed.
    #[arg(long, group = "end")]
    pub commit: bool,
    /// It was aborted.
    #[arg(long, group = "end")]
    pub abort: bool,
    /// For the people of both sides.
    #[arg(long)]
    pub reason: String,
}
