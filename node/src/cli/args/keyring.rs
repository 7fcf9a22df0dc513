//! Words and flags of `keyring`.

use crate::home::ROOT_FILE;
use clap::{Args, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

/// `keyring …`
#[derive(Debug, Subcommand)]
pub enum KeyringCommand {
    /// Keys and certificates of this data directory.
    Show,
    /// Seal the domain's root key with a passphrase.
    Encrypt(PassphraseArgs),
    /// Write a request for this node's next certificate, to be carried to the machine with the root key.
    Request {
        /// Into this file. Default: printed.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// node: for the node's next key, which is made.
        #[arg(long, value_enum, default_value = "certificate")]
        key: KeyKind,
    },
    /// Certify a request with the root key alone; needs no node and no network.
    Certify {
        /// What `keyring request` wrote.
        request: PathBuf,
        /// The file of the root key. Default: the one in the data directory.
        #[arg(long, value_name = "FILE")]
        root: Option<PathBuf>,
        /// The passphrase of the root key.
        #[command(flatten)]
        passphrase: PassphraseArgs,
        /// Into this file. Default: printed.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Lay the next certificate, or the next key, beside the one in use.
    Prepare {
        /// What `keyring certify` wrote. Default: certified here, when the root key is here.
        certificate: Option<PathBuf>,
        /// Of what.
        #[command(flatten)]
        of: KeyArgs,
    },
    /// Put what was prepared in use; a running node takes it up at once, and the one before counts on.
    Activate(KeyArgs),
    /// What was before the one in use counts no more.
    Retire(KeyArgs),
    /// Make an X.509-SVID of this node for another program (curl, a proxy): certificate, key and bundle into a directory.
    Svid {
        /// Into this directory.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How long it holds.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=24))]
        hours: u32,
    },
    /// The SPIFFE bundle of this domain or of a partner.
    Bundle {
        /// Nickname or id. Default: this domain.
        domain: Option<String>,
        /// Into this file. Default: printed.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Its one certificate in PEM, for programs that do not read bundles.
        #[arg(long)]
        pem: bool,
    },
    /// Take a certificate back before its end, at a voter: whoever shows it is a stranger to every node of the mesh. Or
    /// take back a key that is not in use.
    Revoke {
        /// The serial of a certificate, or a key.
        what: String,
        /// Of what, and why: `--reason` is needed.
        #[command(flatten)]
        of: KeyArgs,
    },
}

/// What is renewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// The certificate of this node's key.
    #[default]
    Certificate,
    /// The key that signs the operator's commands.
    Operator,
    /// The key of this node, which keeps its place among the voters.
    Node,
    /// The root key of the domain, which keeps its id.
    Root,
}

/// Of what, and with which root key.
#[derive(Args, Clone, Debug, Default)]
pub struct KeyArgs {
    /// What is renewed.
    #[arg(long, value_enum, default_value = "certificate")]
    pub key: KeyKind,
    /// Why; kept in the ledger, or logged.
    #[arg(long, default_value = "")]
    pub reason: String,
    /// How long an operator's or root key that is replaced still counts.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=720))]
    pub overlap_hours: u32,
    /// The file of the root key. Default: the one in the data directory.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// The passphrase of the root key.
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

impl KeyArgs {
    /// The file of the root key.
    pub fn root_in(&self, dir: &Path) -> PathBuf {
        self.root.clone().unwrap_or_else(|| dir.join(ROOT_FILE))
    }
}

/// Where a passphrase is; else in COMITY_PASSPHRASE, else asked for.
#[derive(Args, Clone, Debug, Default)]
pub struct PassphraseArgs {
    /// A file that only its owner may read, with the passphrase of the root key.
    #[arg(long, value_name = "FILE", env = "COMITY_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,
}
