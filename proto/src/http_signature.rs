//! HTTP message signatures with ed25519 (RFC 9421): for requests that software of others checks or makes. Whoever calls
//! this brings the values of the covered components and judges what the parameters say.
//!
//! ```text
//! signed bytes = ( "\"" name "\": " value "\n" )* "\"@signature-params\": " parameters
//! ```
//! They begin with a quotation mark: no envelope's do, whose contexts begin with `comity/`, and no JWS, which begins with
//! `ey`. A signature of one form is worthless in the others.

use crate::{
    ids::PublicKey,
    keys::{SIGNATURE_BYTES, SecretKey, verify},
    reject::Reject,
};
use alloc::{format, string::String, vec::Vec};

/// A component that is signed: a header in small letters or a derived one such as `@method`, and its value, in one line.
pub type Covered<'a> = (&'a str, &'a str);

/// The parameters: what is covered, when it was made (s since the Unix epoch), by which key, and for what.
pub fn parameters(covered: &[Covered<'_>], created_s: u64, key: &PublicKey, tag: &str) -> String {
    let names: Vec<String> = covered.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    format!("({});created={created_s};keyid=\"{key}\";alg=\"ed25519\";tag=\"{tag}\"", names.join(" "))
}

fn base(covered: &[Covered<'_>], parameters: &str) -> String {
    let mut base = String::new();
    for (name, value) in covered {
        base.push_str(&format!("\"{name}\": {}\n", value.trim()));
    }
    base.push_str("\"@signature-params\": ");
    base.push_str(parameters);
    base
}

/// Signs.
///
/// # Errors
/// [`Reject::Malformed`] for a value of more than one line: it could pass for another component.
pub fn sign(key: &SecretKey, covered: &[Covered<'_>], parameters: &str) -> Result<[u8; SIGNATURE_BYTES], Reject> {
    Ok(key.sign_http(&checked(covered, parameters)?))
}

/// Does the signature by `key` cover these components under these parameters?
///
/// # Errors
/// [`Reject::Malformed`] as in [`sign`], [`Reject::BadSignature`].
pub fn check(
    key: &PublicKey,
    covered: &[Covered<'_>],
    parameters: &str,
    signature: &[u8; SIGNATURE_BYTES],
) -> Result<(), Reject> {
    verify(key, checked(covered, parameters)?.as_bytes(), signature)
}

fn checked(covered: &[Covered<'_>], parameters: &str) -> Result<String, Reject> {
    let is_line = |text: &str| !text.contains(['\n', '\r']);
    let all = covered.iter().all(|(name, value)| is_line(name) && !name.contains('"') && is_line(value));
    if all && is_line(parameters) { Ok(base(covered, parameters)) } else { Err(Reject::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;

    /// RFC 9421, appendix B.2.6: the key, the message and the signature of others.
    #[test]
    fn the_example_of_rfc_9421_verifies_and_a_changed_one_does_not() {
        let key = BASE64.decode(b"JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=").unwrap();
        let key = PublicKey(key.as_slice().try_into().unwrap());
        let covered = [
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("@method", "POST"),
            ("@path", "/foo"),
            ("@authority", "example.com"),
            ("content-type", "application/json"),
            ("content-length", "18"),
        ];
        let parameters = "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")\
                          ;created=1618884473;keyid=\"test-key-ed25519\"";
        let signature = b"wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
        let signature = BASE64.decode(signature).unwrap().try_into().unwrap();
        assert_eq!(check(&key, &covered, parameters, &signature), Ok(()));
        let mut other = covered;
        other[2].1 = "/fool";
        assert_eq!(check(&key, &other, parameters, &signature), Err(Reject::BadSignature));
        assert_eq!(check(&key, &covered, &parameters.replace("473", "474"), &signature), Err(Reject::BadSignature));
    }

    #[test]
    fn what_is_signed_here_verifies_and_a_value_cannot_pass_for_a_component() {
        let key = SecretKey::from_seed(&[7; 32]);
        let covered = [("@method", "POST"), ("content-digest", "sha-256=:AA==:")];
        let parameters = parameters(&covered, 5, &key.public(), "comity-webhook");
        assert!(parameters.starts_with("(\"@method\" \"content-digest\");created=5;keyid=\"did:key:z"), "{parameters}");
        let signature = sign(&key, &covered, &parameters).unwrap();
        assert_eq!(check(&key.public(), &covered, &parameters, &signature), Ok(()));
        assert_eq!(check(&key.public(), &covered[..1], &parameters, &signature), Err(Reject::BadSignature));
        let trick = [("@method", "POST\n\"content-digest\": sha-256=:AA==:")];
        assert_eq!(sign(&key, &trick, &parameters), Err(Reject::Malformed));
    }
}
