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

/// Seconds after which a reader may look again. The bundle changes with the root key only, and that with the domain.
const REFRESH_HINT_S: u64 = 86_400;
/// A domain has one authority for its whole life.
const SEQUENCE: u64 = 1;
/// Bytes of the algorithm and of the signature behind what a certificate signs.
const SIGNATURE_PART: usize = 7 + 3 + keys::SIGNATURE_BYTES;

/// The document.
pub fn document(root: &PublicKey, authority: &CertificateDer<'_>) -> Vec<u8> {
    canonical(&json!({
        "keys": [{
            "kty": "OKP", "crv": "Ed25519", "use": "x509-svid", "x": BASE64URL_NOPAD.encode(&root.0),
            "x5c": [BASE64.encode(authority)],
        }],
        "spiffe_sequence": SEQUENCE, "spiffe_refresh_hint": REFRESH_HINT_S,
    }))
}

fn no(code: &str, detail: impl Into<String>) -> ServiceError {
    let next = "ask for the bundle of the domain that you mean: comity keyring bundle";
    ServiceError::new(Kind::Refused, code, detail, next)
}

/// Reads a bundle: the one authority in it. Whose it is, is for whoever knows the domain's key ([`check`]), or chose the
/// file.
///
/// # Errors
/// `bad_bundle`.
pub fn read(bytes: &[u8]) -> Result<CertificateDer<'static>, ServiceError> {
    let bad = |detail: &str| no("bad_bundle", detail);
    let document = json::parse(bytes).map_err(|error| bad(&error.to_string()))?;
    let keys = document["keys"].as_array().ok_or_else(|| bad("it has no keys"))?;
    let mut authorities = keys.iter().filter(|key| key["use"] == "x509-svid");
    let (Some(key), None) = (authorities.next(), authorities.next()) else {
        return Err(bad("a domain has exactly one X.509 authority"));
    };
    let [one] = key["x5c"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        return Err(bad("a key has exactly one certificate"));
    };
    let der = one.as_str().and_then(|text| BASE64.decode(text.as_bytes()).ok());
    der.map(CertificateDer::from).ok_or_else(|| bad("a certificate is not base64"))
}

/// Reads the bundle of this domain.
///
/// # Errors
/// `bad_bundle`; `bundle_of_other_domain` for every authority that another key made.
pub fn check(bytes: &[u8], domain: &DomainId, root: &PublicKey) -> Result<CertificateDer<'static>, ServiceError> {
    let der = read(bytes)?;
    let found = webpki::anchor_from_trusted_cert(&der).map_err(|error| no("bad_bundle", error.to_string()))?;
    if found != anchor(domain, root) || !is_signed_by(&der, root) {
        return Err(no("bundle_of_other_domain", format!("it is not the bundle of {domain}")));
    }
    drop(found);
    Ok(der)
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
