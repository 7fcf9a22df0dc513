//! Making certificates: the only place that knows rcgen.
//!
//! The keys that sign here sign envelopes too. What a certificate's signature covers begins with the byte of a DER
//! sequence, and never as the signed bytes of a context do, so neither can be taken for the other.

use super::id::{self, SpiffeId};
use crate::{
    founding::fresh_key,
    mesh::peer::peer_text,
    service::error::{Kind, ServiceError},
};
use comity_proto::{
    identity::NodeCertificate,
    ids::{DomainId, PublicKey},
    keys::SecretKey,
    roots::RootKey,
};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::{net::IpAddr, time::Duration};

/// What stands before the 32 bytes of an ed25519 seed in PKCS #8 (RFC 8410).
const PKCS8_FORM: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// Certificates hold a little before they were made: clocks of two machines differ.
const BACKDATE_MS: u64 = 5 * 60 * 1000;

/// Above every serial of a node certificate: one issuer gives no serial twice.
const AUTHORITY_SERIAL: [u8; 9] = [1, 0, 0, 0, 0, 0, 0, 0, 0];

/// A leaf with its key. Never printed.
#[derive(Clone)]
pub struct Svid {
    /// The certificate.
    pub leaf: CertificateDer<'static>,
    /// Its secret key, PKCS #8.
    pub key: Vec<u8>,
}

fn cannot(error: &dyn std::fmt::Display) -> ServiceError {
    let next = "give every name of [https] in config.toml as a host name or an address";
    ServiceError::new(Kind::Internal, "certificate_not_made", error.to_string(), next)
}

fn pkcs8(key: &SecretKey) -> Vec<u8> {
    [&PKCS8_FORM[..], &key.seed()].concat()
}

fn pair(key: &SecretKey) -> Result<KeyPair, ServiceError> {
    let bytes = pkcs8(key);
    let read = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(bytes.as_slice()), &PKCS_ED25519);
    read.map_err(|error| cannot(&error))
}

fn uri(text: &str) -> Result<SanType, ServiceError> {
    text.try_into().map(SanType::URI).map_err(|error: rcgen::Error| cannot(&error))
}

fn named(common: String) -> CertificateParams {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    params.distinguished_name = name;
    params.use_authority_key_identifier_extension = true;
    params
}

/// Since 1970, whole seconds: a certificate knows no smaller part.
const fn at(ms: u64) -> Duration {
    Duration::from_secs(ms / 1000)
}

fn of_domain(domain: &DomainId) -> Result<CertificateParams, ServiceError> {
    let mut params = named(domain.to_string());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![uri(&id::of_domain(domain))?];
    Ok(params)
}

/// An authority of a trust domain: a function of the root key, so whoever holds that key makes the same one again. Each
/// root key has its own, under the one name.
///
/// It ends never (RFC 5280, 4.1.2.5): a key that is pinned has no end of its own, and whoever pins it knows until when.
pub(super) fn authority(root: &RootKey) -> Result<CertificateDer<'static>, ServiceError> {
    let domain = root.domain();
    let mut params = of_domain(&domain)?;
    params.serial_number = Some(SerialNumber::from_slice(&AUTHORITY_SERIAL));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31) + Duration::from_secs(24 * 3600 - 1);
    let made = params.self_signed(&pair(root.secret())?).map_err(|error| cannot(&error))?;
    Ok(made.der().clone())
}

fn of_node(domain: &DomainId, node: &PublicKey) -> Result<CertificateParams, ServiceError> {
    let mut params = named(peer_text(node).unwrap_or_default());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.subject_alt_names = vec![uri(&id::of_domain(domain))?];
    Ok(params)
}

/// A public key whose secret is not at hand.
struct Held(PublicKey);

impl PublicKeyData for Held {
    fn der_bytes(&self) -> &[u8] {
        &self.0.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

/// The authority of a node: says in X.509 what its node certificate says, for as long and under the same serial.
pub(super) fn node_authority(
    root: &RootKey,
    certificate: &NodeCertificate,
) -> Result<CertificateDer<'static>, ServiceError> {
    let mut params = of_node(&certificate.domain, &certificate.node)?;
    params.serial_number = Some(SerialNumber::from_slice(&certificate.serial.to_be_bytes()));
    params.not_before = date_time_ymd(1970, 1, 1) + at(certificate.not_before_ms);
    params.not_after = date_time_ymd(1970, 1, 1) + at(certificate.not_after_ms);
    let issuer = Issuer::new(of_domain(&certificate.domain)?, pair(root.secret())?);
    let made = params.signed_by(&Held(certificate.node), &issuer).map_err(|error| cannot(&error))?;
    Ok(made.der().clone())
}

/// A leaf under a fresh key, by the node's own key. `names` are host names and addresses by which clients call the door.
///
/// # Errors
/// `certificate_not_made` for a name that cannot stand in a certificate.
pub fn svid(
    node: &SecretKey,
    domain: DomainId,
    names: &[String],
    now_ms: u64,
    life_ms: u64,
) -> Result<Svid, ServiceError> {
    leaf(node, &SpiffeId { domain, node: node.public() }, names, now_ms, life_ms)
}

/// What a signer says of that id, be it its own or not.
pub(super) fn leaf(
    signer: &SecretKey,
    id: &SpiffeId,
    names: &[String],
    now_ms: u64,
    life_ms: u64,
) -> Result<Svid, ServiceError> {
    let key = fresh_key();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.use_authority_key_identifier_extension = true;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.subject_alt_names = vec![uri(&id.to_string())?];
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(|error: rcgen::Error| cannot(&error))?),
        });
    }
    params.not_before = date_time_ymd(1970, 1, 1) + at(now_ms.saturating_sub(BACKDATE_MS));
    params.not_after = date_time_ymd(1970, 1, 1) + at(now_ms.saturating_add(life_ms));
    let issuer = Issuer::new(of_node(&id.domain, &signer.public())?, pair(signer)?);
    let made = params.signed_by(&pair(&key)?, &issuer).map_err(|error| cannot(&error))?;
    Ok(Svid { leaf: made.der().clone(), key: pkcs8(&key) })
}
