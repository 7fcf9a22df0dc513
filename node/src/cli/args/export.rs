//! Words and flags of `export`.

use clap::{Args, Subcommand, ValueEnum};

/// `export …`
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// Let a peer see and hire agents of this domain, or be hired by them. Without a rule nothing is let.
    Add(ExportRuleArgs),
    /// Take a rule back, as it was given. What has begun is finished.
    Remove(ExportRuleArgs),
    /// All rules, and whether they count now.
    List,
    /// Exactly what a peer is shown now, and what its agents may ask for.
    Preview {
        /// Nickname, id, or unique prefix of the id.
        peer: String,
    },
}

/// One rule, and why.
#[derive(Debug, Args)]
pub struct ExportRuleArgs {
    /// Nickname, id, or unique prefix of the id; or `everyone`.
    pub peer: String,
    /// An agent at home here. Default: all of them.
    #[arg(long)]
    pub agent: Option<String>,
    /// This capability and those below it. Default: all.
    #[arg(long)]
    pub capability: Option<String>,
    /// Who hires whom: `in` is theirs ours, `out` is ours theirs.
    #[arg(long, value_enum, default_value = "both")]
    pub direction: Way,
    /// Kept in the domain's history.
    #[arg(long)]
    pub reason: String,
}

/// Which way work goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    /// The peer's agents see ours and hire them.
    In,
    /// Our agents hire the peer's.
    Out,
    /// Both.
    Both,
}

impl Way {
    /// As REST names it.
    pub const fn name(self) -> &'static str {
        match self {
            Way::In => "in",
            Way::Out => "out",
            Way::Both => "both",
        }
    }
}

/// What is admitted along with a treaty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Admit {
    /// Nothing; see `comity export add`.
    None,
    /// All agents of both domains may see and hire each other.
    All,
    /// Theirs may see and hire ours.
    In,
    /// Ours may hire theirs.
    Out,
}

impl Admit {
    /// The direction as REST names it.
    pub const fn direction(self) -> Option<&'static str> {
        match self {
            Admit::None => None,
            Admit::All => Some("both"),
            Admit::In => Some("in"),
            Admit::Out => Some("out"),
        }
    }
}
