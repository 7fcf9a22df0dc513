//! What a node has from the root key for making SVIDs: its own authority, and that of its trust domain. Nothing of it is
//! secret; it lies beside the node certificate, as text that every tool reads.

use super::{
    issue::{authority, node_authority},
    judge,
};
use crate::service::error::ServiceError;
use comity_proto::{identity::NodeCertificate, roots::RootKey};
use data_encoding::BASE64;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

/// Characters of a line of PEM (RFC 7468).
const LINE: usize = 64;

/// The two authorities above an SVID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Of the node: signs its SVIDs.
    pub node: CertificateDer<'static>,
    /// Of the trust domain: its bundle.
    pub domain: CertificateDer<'static>,
}

/// One block of PEM.
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines = text.as_bytes().chunks(LINE).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines.collect::<String>())
}

impl Chain {
    /// Made by the root key for the holder of a node certificate.
    ///
    /// # Errors
    /// `certificate_not_made`.
    pub fn of(root: &RootKey, certificate: &NodeCertificate) -> Result<Chain, ServiceError> {
        Ok(Chain { node: node_authority(root, certificate)?, domain: authority(root)? })
    }

    /// The authority of a root key alone.
    ///
    /// # Errors
    /// `certificate_not_made`.
    pub fn authority_of(root: &RootKey) -> Result<CertificateDer<'static>, ServiceError> {
        authority(root)
    }

    /// Serial of the node certificate that it belongs to.
    pub fn serial(&self) -> Option<u64> {
        judge::serial_of(&self.node)
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        pem("CERTIFICATE", &self.node) + &pem("CERTIFICATE", &self.domain)
    }

    /// Reads [`Chain::to_text`]; whether it holds is for whoever uses it. `None` for another number of certificates.
    pub fn parse(text: &[u8]) -> Option<Chain> {
        let mut certificates = CertificateDer::pem_slice_iter(text);
        let chain = Chain { node: certificates.next()?.ok()?, domain: certificates.next()?.ok()? };
        certificates.next().is_none().then_some(chain)
    }
}
