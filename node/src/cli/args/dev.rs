//! Flags of `dev` and of its agent processes.

use clap::Args;
use std::path::PathBuf;

/// Flags of `dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// The file that the hired agent works on.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Keep disks and logs here. Default: a temporary directory, removed at the end.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// End after the story.
    #[arg(long)]
    pub once: bool,
    /// Kill alpha's leader between vote and decision and show the transfer finish.
    #[arg(long)]
    pub kill_leader: bool,
    /// Make the worker misbehave and show what the escrow does.
    #[arg(long, value_enum)]
    pub worker: Option<WorkerMode>,
}

/// How the hired agent behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum WorkerMode {
    /// Does the work.
    Honest,
    /// Returns another result than the one it signed for.
    WrongHash,
    /// Dies after accepting.
    Dies,
}

/// Flags of `dev-agent`.
#[derive(Debug, Args)]
pub struct DevAgentArgs {
    /// orchestrator or worker.
    pub role: String,
    /// A JSON file with everything the agent may know.
    pub config: PathBuf,
}
