//! Words and flags of `keyring`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

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
    /// Lay the next certificate beside the one in use.
    Prepare {
        /// What `keyring certify` wrote. Default: certified here, when the root key is here.
        certificate: Option<PathBuf>,
        /// The passphrase of the root key.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Put the prepared certificate in use; a running node shows it at once.
    Activate,
    /// Forget the certificate before the one in use.
    Retire,
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
    /// Take a certificate back before its end, at a voter: whoever shows it is a stranger to every node of the mesh.
    Revoke {
        /// Its serial.
        serial: u64,
        /// Why; logged.
        #[arg(long)]
        reason: String,
        /// The file of the root key. Default: the one in the data directory.
        #[arg(long, value_name = "FILE")]
        root: Option<PathBuf>,
        /// The passphrase of the root key.
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
}

/// Where a passphrase is; else in COMITY_PASSPHRASE, else asked for.
#[derive(Args, Clone, Debug, Default)]
pub struct PassphraseArgs {
    /// A file that only its owner may read, with the passphrase of the root key.
    #[arg(long, value_name = "FILE", env = "COMITY_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,
}
