//! Judging the chain that a client or a door presents: by the bundle of the one trust domain that it names.
//!
//! ```text
//! SPIFFE id of the leaf -> trust domain -> its root keys now -> those anchors alone -> path, times, node, revocation
//! ```
//! There is no store of anchors of several domains: a partner's authority can sign what it likes, it is never asked about
//! ids of another domain. A domain has two anchors while one root key follows another.

use super::id::SpiffeId;
use comity_proto::ids::{DomainId, PublicKey};
use rustls::pki_types::{CertificateDer, Der, TrustAnchor, UnixTime};
use std::{collections::BTreeSet, time::Duration};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};

/// What stands before the 32 bytes of an ed25519 key in a `SubjectPublicKeyInfo` (RFC 8410), with its outer header.
const SPKI_FORM: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// Bytes of the outer header: an anchor is told the value alone.
const HEADER: usize = 2;

/// Why a chain is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No certificate by its form, or one that may not be used so.
    Unreadable,
    /// It has no SPIFFE id of a node, or several ids.
    NoId,
    /// Nobody here has agreed to that trust domain, so there is no bundle to judge it by.
    UnknownDomain,
    /// It names one trust domain and is signed under another one's authority.
    OtherDomain,
    /// It names one node and is signed by another one of its domain.
    OtherNode,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// Its domain took the node's certificate back.
    Revoked,
}

impl Refused {
    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Refused::Unreadable => "svid_unreadable",
            Refused::NoId => "svid_without_id",
            Refused::UnknownDomain => "svid_of_unknown_domain",
            Refused::OtherDomain => "svid_of_other_domain",
            Refused::OtherNode => "svid_of_other_node",
            Refused::NotYetValid => "svid_not_yet_valid",
            Refused::Expired => "svid_expired",
            Refused::Revoked => "svid_revoked",
        }
    }

    /// The same in words.
    pub const fn detail(self) -> &'static str {
        match self {
            Refused::Unreadable => "it is no certificate that may be used so",
            Refused::NoId => "it has no single SPIFFE id of a node",
            Refused::UnknownDomain => "there is no bundle of its trust domain here: no treaty pins that domain's key",
            Refused::OtherDomain => "it is not signed under the bundle of the trust domain that it names",
            Refused::OtherNode => "it is signed by another node than the one that it names",
            Refused::NotYetValid => "its time has not come",
            Refused::Expired => "its time is over",
            Refused::Revoked => "its domain took the certificate of that node back",
        }
    }
}

fn of_path(error: &Error) -> Refused {
    match error {
        Error::CertExpired { .. } => Refused::Expired,
        Error::CertNotValidYet { .. } => Refused::NotYetValid,
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => Refused::OtherDomain,
        _ => Refused::Unreadable,
    }
}

/// A key as certificates spell it.
pub(super) fn spki(key: &PublicKey) -> Vec<u8> {
    [&SPKI_FORM[..], &key.0].concat()
}

/// The anchor of a trust domain that one of its root keys is.
pub(super) fn anchor(domain: &DomainId, root: &PublicKey) -> TrustAnchor<'static> {
    // SET { SEQUENCE { OID 2.5.4.3 (common name), UTF8String } }; the text of an id is always 55 bytes.
    let name = domain.to_string();
    let length = |bytes: usize| u8::try_from(bytes).unwrap_or(u8::MAX);
    let (inner, text) = (length(name.len() + 7), length(name.len()));
    let head = [0x31, inner.saturating_add(2), 0x30, inner, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, text];
    let spki = spki(root);
    TrustAnchor {
        subject: Der::from([&head[..], name.as_bytes()].concat()),
        subject_public_key_info: Der::from(spki[HEADER..].to_vec()),
        name_constraints: None,
    }
}

/// A serial as both kinds of certificates count it; `None` for one that is none of ours.
fn serial(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.iter().skip_while(|byte| **byte == 0);
    bytes.clone().count().le(&8).then(|| bytes.fold(0, |serial, byte| (serial << 8) | u64::from(*byte)))
}

/// The serial of a certificate of ours.
pub(super) fn serial_of(certificate: &CertificateDer<'_>) -> Option<u64> {
    serial(EndEntityCert::try_from(certificate).ok()?.serial())
}

/// The node whose authority stands between leaf and anchor: its certificate's serial, if it is the node of that id.
fn node_serial(path: &VerifiedPath<'_>, id: &SpiffeId) -> Result<u64, Refused> {
    let mut between = path.intermediate_certificates();
    let (Some(authority), None) = (between.next(), between.next()) else { return Err(Refused::OtherDomain) };
    if authority.subject_public_key_info().as_ref() != spki(&id.node) {
        return Err(Refused::OtherNode);
    }
    serial(authority.serial()).ok_or(Refused::Unreadable)
}

/// Whose chain it is. `keys_of` gives the root keys of a trust domain that count, none of an unknown one; `usage` is what the holder does with it.
///
/// # Errors
/// The first [`Refused`] thing.
pub fn judge(
    chain: &[CertificateDer<'_>],
    keys_of: impl Fn(&DomainId) -> Vec<PublicKey>,
    revoked: &BTreeSet<(DomainId, u64)>,
    usage: KeyUsage,
    now_ms: u64,
) -> Result<SpiffeId, Refused> {
    let [leaf, between @ ..] = chain else { return Err(Refused::Unreadable) };
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| Refused::Unreadable)?;
    let mut uris = leaf.valid_uri_names();
    let (Some(uri), None) = (uris.next(), uris.next()) else { return Err(Refused::NoId) };
    let id = SpiffeId::parse(uri).ok_or(Refused::NoId)?;
    let anchors: Vec<_> = keys_of(&id.domain).iter().map(|root| anchor(&id.domain, root)).collect();
    if anchors.is_empty() {
        return Err(Refused::UnknownDomain);
    }
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now_ms));
    let path = leaf.verify_for_usage(&[webpki::ring::ED25519], &anchors, between, now, usage, None, None);
    let serial = node_serial(&path.map_err(|error| of_path(&error))?, &id)?;
    if revoked.contains(&(id.domain, serial)) { Err(Refused::Revoked) } else { Ok(id) }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
