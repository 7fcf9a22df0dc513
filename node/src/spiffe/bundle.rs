//! The bundle of a trust domain as others read it: a JWK set with the members of the SPIFFE federation standard.

use super::judge::anchor;
use crate::{
    registry::json::{self, canonical},
    service::error::{Kind, ServiceError},
};
use comity_proto::{
    ids::{DomainId, PublicKey},
    keys,
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use rustls::pki_types::CertificateDer;
use serde_json::json;

/// Seconds after which a reader may look again. The bundle changes with the root key only, which is prepared long before
/// it acts.
const REFRESH_HINT_S: u64 = 86_400;
/// Root keys that can count at once: the one before, the one that acts, the next one.
const AUTHORITIES_MAX: usize = 3;
/// Bytes of the algorithm and of the signature behind what a certificate signs.
const SIGNATURE_PART: usize = 7 + 3 + keys::SIGNATURE_BYTES;

/// The document: of these authorities those that are root keys of the domain now. `sequence` counts up with its changes.
pub fn document(domain: &DomainId, roots: &[PublicKey], authorities: &[CertificateDer<'_>], sequence: u64) -> Vec<u8> {
    let key = |der: &CertificateDer<'_>| {
        let root = roots.iter().find(|root| is_of(der, domain, root))?;
        Some(json!({
            "kty": "OKP", "crv": "Ed25519", "use": "x509-svid", "x": BASE64URL_NOPAD.encode(&root.0),
            "x5c": [BASE64.encode(der)],
        }))
    };
    let keys: Vec<_> = authorities.iter().filter_map(key).collect();
    canonical(&json!({ "keys": keys, "spiffe_sequence": sequence, "spiffe_refresh_hint": REFRESH_HINT_S }))
}

/// Whether this root key of the domain made the authority.
pub(super) fn is_of(der: &CertificateDer<'_>, domain: &DomainId, root: &PublicKey) -> bool {
    let found = webpki::anchor_from_trusted_cert(der);
    found.is_ok_and(|found| found == anchor(domain, root)) && is_signed_by(der, root)
}

fn no(code: &str, detail: impl Into<String>) -> ServiceError {
    let next = "ask for the bundle of the domain that you mean: comity keyring bundle";
    ServiceError::new(Kind::Refused, code, detail, next)
}

/// Reads a bundle: the authorities in it. Whose they are, is for whoever knows the domain's key ([`check`]), or chose the
/// file.
///
/// # Errors
/// `bad_bundle`.
pub fn read(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, ServiceError> {
    let bad = |detail: &str| no("bad_bundle", detail);
    let document = json::parse(bytes).map_err(|error| bad(&error.to_string()))?;
    let keys = document["keys"].as_array().ok_or_else(|| bad("it has no keys"))?;
    let authorities: Vec<_> = keys.iter().filter(|key| key["use"] == "x509-svid").collect();
    if authorities.is_empty() || authorities.len() > AUTHORITIES_MAX {
        return Err(bad("a domain has one X.509 authority for each root key that counts"));
    }
    let one = |key: &&serde_json::Value| {
        let [one] = key["x5c"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            return Err(bad("a key has exactly one certificate"));
        };
        let der = one.as_str().and_then(|text| BASE64.decode(text.as_bytes()).ok());
        der.map(CertificateDer::from).ok_or_else(|| bad("a certificate is not base64"))
    };
    authorities.iter().map(one).collect()
}

/// Judges the bundle of this domain, whose root keys are known.
///
/// # Errors
/// `bad_bundle`; `bundle_of_other_domain` where another key made one of its authorities.
pub fn check(bytes: &[u8], domain: &DomainId, roots: &[PublicKey]) -> Result<(), ServiceError> {
    for der in read(bytes)? {
        webpki::anchor_from_trusted_cert(&der).map_err(|error| no("bad_bundle", error.to_string()))?;
        if !roots.iter().any(|root| is_of(&der, domain, root)) {
            return Err(no("bundle_of_other_domain", format!("it is not the bundle of {domain}")));
        }
    }
    Ok(())
}

/// An ed25519 signature has one length, so what it covers is all between the outer header and the algorithm.
fn is_signed_by(der: &[u8], root: &PublicKey) -> bool {
    let header = match der.get(1) {
        Some(0x82) => 4,
        Some(0x81) => 3,
        _ => 2,
    };
    let signed = der.len().checked_sub(SIGNATURE_PART).and_then(|end| der.get(header..end));
    let signature = der.last_chunk::<{ keys::SIGNATURE_BYTES }>();
    signed.zip(signature).is_some_and(|(signed, signature)| keys::verify(root, signed, signature).is_ok())
}
