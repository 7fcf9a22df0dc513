//! `ledger …` and `audit …`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `ledger …`
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Digest and applied index of this replica.
    Digest,
    /// Supply statement towards a peer.
    Statement {
        /// Peer id or nickname.
        peer: String,
    },
    /// The last events.
    Events {
        /// How many.
        #[arg(long, default_value_t = 20)]
        last: u64,
    },
    /// After a restore: what each peer still differs in, and why this ledger is fenced.
    Reconcile {
        /// Take upon the treasury what no evidence settles with this peer: id or nickname.
        #[arg(long, value_name = "PEER", requires = "reason")]
        settle: Option<String>,
        /// Why; audited.
        #[arg(long)]
        reason: Option<String>,
    },
    /// The domain's whole history and its signed checkpoint in one file, which anybody can verify.
    Export {
        /// Where to.
        file: PathBuf,
    },
    /// The signed checkpoint alone: keep it, and later histories are held against it.
    Checkpoint {
        /// Where to.
        file: PathBuf,
    },
    /// Prove in under 2 kB that the log still extends a checkpoint that somebody kept, without the history.
    Extension {
        /// The kept checkpoint, or any document that begins with one.
        #[arg(long, value_name = "CHECKPOINT")]
        since: PathBuf,
        /// Where to.
        file: PathBuf,
    },
    /// Judge an exported file: every leaf, every posting, the root, the signatures. Asks no node.
    Verify(VerifyArgs),
}

/// `audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Judge a file of another domain: a history, a checkpoint, an extension, an equivocation, an event. Asks no node.
    Verify(VerifyArgs),
    /// Per peer: its last checkpoint that this node checked, how old that is, and what the peer cosigned of ours.
    List,
    /// One peer, with the exact signed documents.
    Show {
        /// Peer id or nickname.
        peer: String,
    },
    /// What a peer's log says about this domain (ends of transfers, changes of the treaty), as it stands in ours with its proof.
    Events {
        /// Peer id or nickname.
        peer: String,
        /// How many, newest first.
        #[arg(long, default_value_t = 20)]
        last: u64,
    },
    /// Write one of these events with all that proves it: anybody judges the file alone.
    Export {
        /// Peer id or nickname.
        peer: String,
        /// Its number in the peer's log.
        index: u64,
        /// Where to.
        file: PathBuf,
    },
    /// Hand a checkpoint that somebody gave you to this node: a second history is found out and everybody is told.
    Tell {
        /// A checkpoint document.
        file: PathBuf,
    },
    /// Write the proof that a domain signed two histories, if there is one.
    Proof {
        /// Peer id or nickname.
        peer: String,
        /// Where to.
        file: PathBuf,
    },
    /// Put two signed checkpoints that contradict each other into one file: proof against their domain for everybody.
    Accuse {
        /// A checkpoint, history or extension.
        one: PathBuf,
        /// Another one of the same domain.
        other: PathBuf,
        /// Where to.
        file: PathBuf,
    },
}

/// What to judge.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What `ledger export`, `checkpoint` or `extension`, or `audit accuse` or `export` wrote.
    pub file: PathBuf,
    /// A checkpoint (or an older history) that it must extend.
    #[arg(long, value_name = "CHECKPOINT")]
    pub against: Option<PathBuf>,
}
