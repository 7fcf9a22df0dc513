//! The grammar of the command line: noun verb. A command that does not exist yet is not in `--help`.

mod card;
mod delegate;
mod dev;
mod drift;
mod endpoint;
mod escrow;
mod export;
mod keyring;
mod ledger;
mod licence;
mod peer;
mod snapshot;
mod subnet;
mod verdict;

pub use card::{CardCommand, DomainCardCommand, EditArgs, VerifyCardArgs};
use clap::{Args, Parser, Subcommand};
pub use delegate::{DelegateArgs, DelegateCommand};
pub use dev::{DevAgentArgs, DevArgs, WorkerMode};
pub use drift::DriftCommand;
pub use endpoint::EndpointCommand;
pub use escrow::{EscrowAct, EscrowCommand, LockArgs};
pub use export::{Admit, ExportCommand, ExportRuleArgs};
pub use keyring::{KeyArgs, KeyKind, KeyringCommand, PassphraseArgs};
pub use ledger::{AuditCommand, LedgerCommand, VerifyArgs};
pub use licence::{LicenceArgs, LicenceCommand};
pub use peer::{PeerChange, PeerCommand};
pub use snapshot::{RestoreArgs, SnapshotCommand};
use std::path::PathBuf;
pub use subnet::{Limits as SubnetLimits, SubnetCommand};
pub use verdict::VerdictArgs;

/// A node that lets agents of different organisations find, hire and pay each other.
#[derive(Debug, Parser)]
#[command(name = "comity", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Where this node keeps its keys, log and ledger. Default: the platform's data directory.
    #[arg(long, global = true, env = "COMITY_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The node to talk to. Default: the address in the data directory's configuration.
    #[arg(long, global = true, env = "COMITY_API", value_name = "URL")]
    pub api: Option<String>,
    /// The SPIFFE bundle of the domain behind an https address. Default: that of the node in the data directory.
    #[arg(long, global = true, env = "COMITY_BUNDLE", value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Machine-readable output with a stable schema.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every noun.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A whole federation on loopback: two domains of three nodes, agents that trade across them.
    Dev(DevArgs),
    /// Make keys, certificate and configuration of a new domain, without starting it.
    Init(InitArgs),
    /// Run the node. Makes a domain of one first when the data directory is empty.
    Up(UpArgs),
    /// What this node is, what it believes, what it waits for.
    Status,
    /// Who this node is: keys and ids.
    Id,
    /// Nodes that this one has heard.
    Members,
    /// A one-use token with which another machine joins this domain.
    JoinToken(JoinTokenArgs),
    /// Root key and certificates: sealing, renewal, certifying without a network.
    #[command(subcommand)]
    Keyring(KeyringCommand),
    /// The replicas of this domain.
    #[command(subcommand)]
    Raft(RaftCommand),
    /// Agents at home here.
    #[command(subcommand)]
    Agent(AgentCommand),
    /// Agents anywhere, by capability.
    Discover(DiscoverArgs),
    /// Signed cards.
    #[command(subcommand)]
    Card(CardCommand),
    /// Balances.
    #[command(subcommand)]
    Account(AccountCommand),
    /// The start grant.
    #[command(subcommand)]
    Faucet(FaucetCommand),
    /// Names such as translator.acme.
    #[command(subcommand)]
    Name(NameCommand),
    /// Money to an agent at home here or elsewhere.
    #[command(subcommand)]
    Transfer(TransferCommand),
    /// Money that waits for work.
    #[command(subcommand)]
    Escrow(EscrowCommand),
    /// Work handed to the first agent that does it: hired, checked, paid, or the next one.
    #[command(subcommand)]
    Delegate(DelegateCommand),
    /// Agents' own A2A servers, to which this node hands their tasks.
    #[command(subcommand)]
    Endpoint(EndpointCommand),
    /// Domains that this one trades with.
    #[command(subcommand)]
    Peer(PeerCommand),
    /// What other domains may see, hire and be hired for.
    #[command(subcommand)]
    Export(ExportCommand),
    /// How much a peer may ask of this domain.
    #[command(subcommand)]
    Licence(LicenceCommand),
    /// Where peers and this domain disagree about each other.
    #[command(subcommand)]
    Drift(DriftCommand),
    /// Domains under a domain: who stands under whom, and how the children are.
    #[command(subcommand)]
    Subnet(SubnetCommand),
    /// What passes between two meshes through this node, and which gateways lead where.
    Bridge,
    /// What the domain's books say.
    #[command(subcommand)]
    Ledger(LedgerCommand),
    /// The whole ledger in a directory, and back.
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// What other organisations can check of a domain, with no trust in it.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// The Model Context Protocol on standard input and output: for desktop clients, with the token in COMITY_TOKEN.
    Mcp {
        /// File with the agent's token, readable by its owner only, instead of COMITY_TOKEN.
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// How fast it is, on this machine, next to a database.
    #[command(subcommand)]
    Bench(crate::bench::BenchCommand),
    /// An agent process of `comity dev`.
    #[command(hide = true)]
    DevAgent(DevAgentArgs),
}

/// Flags of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Nickname of the domain; lower case, display only.
    #[arg(long, default_value = "home")]
    pub domain: String,
    /// REST address.
    #[arg(long, default_value = crate::config::HTTP_DEFAULT)]
    pub http: std::net::SocketAddr,
    /// Mesh address.
    #[arg(long, default_value = crate::config::MESH_DEFAULT)]
    pub mesh: std::net::SocketAddr,
    /// A domain that issues no money of its own: its agents use that of other domains.
    #[arg(long)]
    pub federated: bool,
    /// Seals the root key of a new domain; opens the one that is there.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// Flags of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Join the domain that printed this token.
    #[arg(long, value_name = "TOKEN")]
    pub join: Option<String>,
    /// What to make when the data directory is empty.
    #[command(flatten)]
    pub init: InitArgs,
    /// One JSON object per log line.
    #[arg(long)]
    pub log_json: bool,
}

/// Flags of `join-token`.
#[derive(Debug, Args)]
pub struct JoinTokenArgs {
    /// Hours until the token expires.
    #[arg(long, default_value_t = 24)]
    pub hours: u32,
    /// Print the token only.
    #[arg(short, long)]
    pub quiet: bool,
}

/// `raft …`
#[derive(Debug, Subcommand)]
pub enum RaftCommand {
    /// Voters and learners with their lag.
    List,
    /// Make a learner a voter.
    Add {
        /// Its key, or a unique prefix.
        node: String,
    },
    /// Take a replica out.
    Remove {
        /// Its key, or a unique prefix.
        node: String,
        /// Why; audited.
        #[arg(long)]
        reason: String,
    },
}

/// `agent …`
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Make a key here and register it with the domain.
    Register {
        /// Nickname; also the name of the key file.
        name: String,
        /// Who brought it: a code, or AGENT@DOMAIN.
        #[arg(long)]
        referred_by: Option<String>,
        /// Code that it will hand out.
        #[arg(long)]
        own_code: Option<String>,
        /// Sub-network label.
        #[arg(long)]
        group: Option<String>,
        /// For an agent that cannot sign: the node keeps the key, its operator can spend, and a token is printed once.
        #[arg(long)]
        custodial: bool,
        /// What the token may spend in a day (UTC), such as 5.00; default: no bound.
        #[arg(long, requires = "custodial", value_name = "AMOUNT")]
        per_day: Option<String>,
        /// What the token may spend in all.
        #[arg(long, requires = "custodial", value_name = "AMOUNT")]
        total: Option<String>,
    },
    /// Move a custodial agent to a key of its own, kept here.
    Claim {
        /// What to call the key.
        name: String,
        /// File with the account's token, readable by its owner only.
        #[arg(long, value_name = "FILE")]
        token_file: PathBuf,
    },
    /// Replace its key by a new one.
    Rotate {
        /// Which local key.
        name: String,
    },
    /// No more debits.
    Retire {
        /// Which local key.
        name: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// What the ledger knows of it.
    Show {
        /// Local key name, id, or unique id prefix.
        agent: String,
    },
    /// Keys in this data directory.
    List,
}

/// Flags of `discover`.
#[derive(Debug, Args)]
pub struct DiscoverArgs {
    /// What the agent must be able to do.
    pub capability: String,
    /// Only agents of this domain.
    #[arg(long)]
    pub domain: Option<String>,
}

/// `account …`
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// All balances of an agent.
    Show {
        /// Local key name, id, or unique id prefix.
        agent: String,
    },
    /// Balances of the domain's own accounts.
    List,
}

/// `faucet …`
#[derive(Debug, Subcommand)]
pub enum FaucetCommand {
    /// Once per agent.
    Claim {
        /// Local key name.
        name: String,
    },
    /// Operator: treasury to faucet.
    Fund {
        /// Such as 100.00.
        amount: String,
    },
}

/// `name …`
#[derive(Debug, Subcommand)]
pub enum NameCommand {
    /// Yearly fee to the treasury.
    Register {
        /// The name, without the domain.
        name: String,
        /// Local key name of the owner.
        #[arg(long = "as")]
        owner: String,
        /// How long.
        #[arg(long, default_value_t = 1)]
        years: u8,
    },
    /// Who it names.
    Resolve {
        /// The name, without the domain.
        name: String,
    },
    /// Give it up.
    Release {
        /// The name, without the domain.
        name: String,
        /// Local key name of the owner.
        #[arg(long = "as")]
        owner: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// `transfer …`
#[derive(Debug, Subcommand)]
pub enum TransferCommand {
    /// Pay.
    Send {
        /// Local key name of the payer.
        #[arg(long = "from")]
        from: String,
        /// Agent id, local key name, or AGENT@DOMAIN.
        #[arg(long)]
        to: String,
        /// Such as 1.25.
        amount: String,
        /// For people.
        #[arg(long, default_value = "")]
        memo: String,
        /// Reuse on retry; default: a fresh one, printed.
        #[arg(long)]
        id: Option<String>,
    },
    /// One transfer to another domain.
    Show {
        /// Its id or unique prefix.
        id: String,
    },
    /// Transfers to and from other domains.
    List {
        /// Only those without a posted decision.
        #[arg(long)]
        in_doubt: bool,
    },
    /// Say by hand how a transfer of this domain ended, for a participant that waits because our log is lost.
    Verdict(VerdictArgs),
    /// End a transfer that is in doubt here by its origin's verdict.
    Resolve {
        /// What the origin's operator handed over.
        verdict: String,
    },
}
