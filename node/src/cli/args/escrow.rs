//! Words and flags of `escrow`.

use clap::{Args, Subcommand};

/// `escrow …`
#[derive(Debug, Subcommand)]
pub enum EscrowCommand {
    /// Put money aside for work.
    Lock(Box<LockArgs>),
    /// Payee: agree to the terms.
    Accept(EscrowAct),
    /// Payee: deliver.
    Submit {
        /// Which escrow, as whom.
        #[command(flatten)]
        act: EscrowAct,
        /// The result's file, or its SHA-256 in hex.
        #[arg(long)]
        result: String,
        /// Which milestone.
        #[arg(long)]
        milestone: Option<u16>,
    },
    /// Payer: pay.
    Release {
        /// Which escrow, as whom.
        #[command(flatten)]
        act: EscrowAct,
        /// Which milestone.
        #[arg(long)]
        milestone: Option<u16>,
        /// The result that was verified: file or SHA-256 in hex.
        #[arg(long)]
        verified: Option<String>,
    },
    /// Either side: call the arbiter.
    Dispute {
        /// Which escrow, as whom.
        #[command(flatten)]
        act: EscrowAct,
        /// Evidence: file or SHA-256 in hex.
        #[arg(long)]
        evidence: String,
    },
    /// Arbiter: split.
    Rule {
        /// Which escrow, as whom.
        #[command(flatten)]
        act: EscrowAct,
        /// The payees' share in basis points.
        #[arg(long)]
        payee_bps: u16,
    },
    /// Payee: give everything back.
    Cancel {
        /// Which escrow, as whom.
        #[command(flatten)]
        act: EscrowAct,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// One escrow.
    Show {
        /// Its id or unique prefix.
        id: String,
    },
    /// Escrows of an agent.
    List {
        /// Local key name, id, or unique id prefix.
        agent: String,
    },
}

/// Who does something to which escrow.
#[derive(Debug, Args)]
pub struct EscrowAct {
    /// Escrow id or unique prefix.
    pub id: String,
    /// Local key name.
    #[arg(long = "as")]
    pub agent: String,
    /// The escrow's home when it is another domain: id or nickname.
    #[arg(long)]
    pub home: Option<String>,
}

/// Flags of `escrow lock`.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// Local key name of the payer.
    #[arg(long = "from")]
    pub from: String,
    /// Agent id, local key name, or AGENT@DOMAIN.
    #[arg(long)]
    pub to: String,
    /// Such as 5.00.
    pub amount: String,
    /// What is to be done: a file, or the words themselves.
    #[arg(long)]
    pub task: String,
    /// Minutes until delivery is late.
    #[arg(long, default_value_t = 60)]
    pub deliver_minutes: u64,
    /// Minutes for the payer to answer a submission.
    #[arg(long, default_value_t = 60)]
    pub review_minutes: u64,
    /// What silence after a submission means: release, refund, or the payee's basis points.
    #[arg(long)]
    pub on_silence: String,
    /// Agent that rules a dispute.
    #[arg(long)]
    pub arbiter: Option<String>,
    /// Who brought the payer: a code, or AGENT@DOMAIN.
    #[arg(long)]
    pub referral: Option<String>,
    /// Amounts of milestones; given once each.
    #[arg(long = "milestone")]
    pub milestones: Vec<String>,
    /// Reuse on retry; default: a fresh one, printed.
    #[arg(long)]
    pub id: Option<String>,
}
