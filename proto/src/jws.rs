//! JSON Web Signatures with EdDSA (RFC 7515, RFC 8037) over a detached payload: for documents that software of others
//! reads. Whoever calls this brings the canonical bytes of the document and judges what the header says.
//!
//! ```text
//! signed bytes = base64url(header) || "." || base64url(payload)
//! ```
//! The header is made here and is a JSON object, so signed bytes begin with `ey`: no envelope's do, whose contexts begin
//! with `comity/`. A signature of one form is worthless in the other.

use crate::{
    ids::PublicKey,
    keys::{SIGNATURE_BYTES, SecretKey, did_key, verify},
    reject::Reject,
};
use alloc::{format, string::String};
use data_encoding::BASE64URL_NOPAD;

/// The two parts of a detached signature, as they stand in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    /// The header, base64url.
    pub protected: String,
    /// 64 bytes, base64url.
    pub signature: String,
}

/// Signs a payload. The header names the algorithm, the type, and the key as `did:key`: a name, by which a verifier
/// chooses among keys that it has.
pub fn sign(key: &SecretKey, payload: &[u8]) -> Detached {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"JOSE"}}"#, did_key(&key.public()));
    let protected = BASE64URL_NOPAD.encode(header.as_bytes());
    let signature = key.sign_jws(&signed_text(&protected, payload));
    Detached { signature: BASE64URL_NOPAD.encode(&signature), protected }
}

/// Does the signature by `key` cover this header and these bytes?
///
/// # Errors
/// [`Reject::WrongLength`] and [`Reject::Malformed`] for what is no signature, [`Reject::BadSignature`].
pub fn check(key: &PublicKey, detached: &Detached, payload: &[u8]) -> Result<(), Reject> {
    let signature = BASE64URL_NOPAD.decode(detached.signature.as_bytes()).map_err(|_| Reject::Malformed)?;
    let wrong = Reject::WrongLength { field: "signature", want: SIGNATURE_BYTES, got: signature.len() };
    let signature = signature.as_slice().try_into().map_err(|_| wrong)?;
    verify(key, signed_text(&detached.protected, payload).as_bytes(), signature)
}

fn signed_text(protected: &str, payload: &[u8]) -> String {
    format!("{protected}.{}", BASE64URL_NOPAD.encode(payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    /// RFC 8037, appendix A.4: the key, the header and the payload of others, and their signature.
    #[test]
    fn the_example_of_rfc_8037_verifies_and_a_changed_one_does_not() {
        let x = BASE64URL_NOPAD.decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        let key = PublicKey(x.as_slice().try_into().unwrap());
        let detached = Detached {
            protected: "eyJhbGciOiJFZERTQSJ9".to_string(),
            signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
                .to_string(),
        };
        assert_eq!(check(&key, &detached, b"Example of Ed25519 signing"), Ok(()));
        assert_eq!(check(&key, &detached, b"Example of Ed25519 signinG"), Err(Reject::BadSignature));
        let cut = Detached { signature: detached.signature[..80].to_string(), ..detached.clone() };
        assert_eq!(check(&key, &cut, b""), Err(Reject::WrongLength { field: "signature", want: 64, got: 60 }));
        let padded = Detached { signature: format!("{}==", detached.signature), ..detached };
        assert_eq!(check(&key, &padded, b""), Err(Reject::Malformed));
    }

    #[test]
    fn what_is_signed_here_verifies_under_its_own_header_only() {
        let key = SecretKey::from_seed(&[7; 32]);
        let signed = sign(&key, b"{}");
        assert_eq!(check(&key.public(), &signed, b"{}"), Ok(()));
        let other = Detached { protected: sign(&SecretKey::from_seed(&[8; 32]), b"{}").protected, ..signed };
        assert_eq!(check(&key.public(), &other, b"{}"), Err(Reject::BadSignature));
    }
}
