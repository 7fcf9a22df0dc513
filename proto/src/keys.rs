//! Keys: one signing helper, one verifier, one text form.
//!
//! [`verify`] accepts what `verify_strict` of ed25519-dalek accepts and is the only verifier in the system. Plain and batch
//! verification accept other sets of signatures, so replicas that mixed them could differ about the same bytes.
//! Absent on purpose: making keys (needs randomness, belongs to the node) and storing them.

use crate::{
    envelope::{Context, signed_bytes},
    ids::{AgentId, IdError, PublicKey},
    reject::Reject,
};
use alloc::{string::String, vec, vec::Vec};
use core::fmt;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier as _, VerifyingKey};

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A secret key. Wiped from memory when dropped; never printed, never serialised.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// From a seed of 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> SecretKey {
        SecretKey(SigningKey::from_bytes(seed))
    }

    /// The seed, for the key store and for the transport's own key type. Handle with care.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `payload` under a context.
    pub fn sign(&self, context: Context, payload: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(&signed_bytes(context, payload)).to_bytes()
    }

    /// Signs a text that [`crate::jws`] made: it never begins as the signed bytes of a context do.
    pub(crate) fn sign_jws(&self, text: &str) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(text.as_bytes()).to_bytes()
    }

    /// Signs a text that [`crate::http_signature`] made: it begins as neither of the others does.
    pub(crate) fn sign_http(&self, text: &str) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(text.as_bytes()).to_bytes()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public())
    }
}

/// The y coordinates of the eight points whose order divides 8, as they are encoded: of order 1, 2, 4, 8 and 8.
#[rustfmt::skip]
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    [0; 32],
    [0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a],
    [0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05],
];

/// Whether these are the canonical bytes of a point of small order.
fn is_small_order(point: &[u8; 32]) -> bool {
    let mut y = *point;
    // The top bit is the sign of x.
    if let Some(top) = y.last_mut() {
        *top &= 0x7f;
    }
    SMALL_ORDER_Y.contains(&y)
}

/// Does `signature` of `key` cover exactly these bytes? The strict rule: canonical, no key or nonce of small order.
///
/// Accepts what `verify_strict` accepts and costs a tenth less: that one decompresses the nonce to learn its order. Plain
/// verification compares the nonce's bytes with those of a point it has computed, which are canonical, so a nonce of small
/// order that could pass is known by its bytes.
pub fn verify(key: &PublicKey, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> Result<(), Reject> {
    #[cfg(feature = "recall")]
    return crate::recall::judged(key, message, signature, judge);
    #[cfg(not(feature = "recall"))]
    judge(key, message, signature)
}

fn judge(key: &PublicKey, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> Result<(), Reject> {
    let key = VerifyingKey::from_bytes(&key.0).map_err(|_| Reject::BadSignature)?;
    let signature = Signature::from_bytes(signature);
    if key.is_weak() || is_small_order(signature.r_bytes()) {
        return Err(Reject::BadSignature);
    }
    key.verify(message, &signature).map_err(|_| Reject::BadSignature)
}

/// The same for a payload under a context.
pub fn verify_in(
    context: Context,
    key: &PublicKey,
    payload: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> Result<(), Reject> {
    verify(key, &signed_bytes(context, payload), signature)
}

fn rotation_payload(agent: &AgentId, next: &PublicKey) -> [u8; 64] {
    let mut payload = [0; 64];
    let bytes = agent.0.iter().chain(&next.0);
    payload.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    payload
}

/// The proof that the holder of `next` agrees to become the key of `agent`: for `Verb::RotateKey`.
pub fn prove_rotation(agent: &AgentId, next: &SecretKey) -> [u8; SIGNATURE_BYTES] {
    next.sign(Context::KeyRotation, &rotation_payload(agent, &next.public()))
}

/// Checks such a proof.
pub fn verify_rotation(agent: &AgentId, next: &PublicKey, proof: &[u8; SIGNATURE_BYTES]) -> Result<(), Reject> {
    verify_in(Context::KeyRotation, next, &rotation_payload(agent, next), proof)
}

const DID_PREFIX: &str = "did:key:z";
/// Multicodec of an ed25519 public key, as a varint.
const MULTICODEC: [u8; 2] = [0xed, 0x01];
const DID_FORM: &str = "did:key:z and 47 letters and digits";
const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// `did:key:z6Mk…` (W3C did:key, multibase base58btc).
pub fn did_key(key: &PublicKey) -> String {
    let mut bytes = Vec::from(MULTICODEC);
    bytes.extend_from_slice(&key.0);
    let mut text = String::from(DID_PREFIX);
    text.extend(change_base(&bytes, 256, 58).iter().map(|digit| {
        // A digit is below 58 by construction of change_base.
        char::from(BASE58.get(usize::from(*digit)).copied().unwrap_or(b'1'))
    }));
    text
}

/// Reads the text form back. Only ed25519 keys; leading ones (which would be zeros) never occur.
pub fn parse_did_key(text: &str) -> Result<PublicKey, IdError> {
    let no = IdError::NotAnId { want: "a public key", form: DID_FORM };
    let body = text.strip_prefix(DID_PREFIX).filter(|body| body.len() <= 48).ok_or(no)?;
    let digits = body
        .bytes()
        .map(|c| BASE58.iter().position(|b| *b == c).and_then(|n| u8::try_from(n).ok()))
        .collect::<Option<Vec<u8>>>()
        .ok_or(no)?;
    let bytes = change_base(&digits, 58, 256);
    let key = bytes.strip_prefix(&MULTICODEC).and_then(|key| key.try_into().ok()).map(PublicKey).ok_or(no)?;
    if did_key(&key) == text { Ok(key) } else { Err(no) }
}

/// Digits of a number, most significant first, from one base to another; both at most 256, so no step overflows a u32.
fn change_base(digits: &[u8], from: u32, to: u32) -> Vec<u8> {
    let mut out: Vec<u8> = vec![];
    for digit in digits {
        let mut carry = u32::from(*digit);
        for place in &mut out {
            let value = u32::from(*place).saturating_mul(from).saturating_add(carry);
            *place = u8::try_from(value.checked_rem(to).unwrap_or(0)).unwrap_or(0);
            carry = value.checked_div(to).unwrap_or(0);
        }
        while carry > 0 {
            out.push(u8::try_from(carry.checked_rem(to).unwrap_or(0)).unwrap_or(0));
            carry = carry.checked_div(to).unwrap_or(0);
        }
    }
    out.reverse();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn did_key_agrees_with_the_published_example() {
        // From the W3C did:key specification, section on ed25519: this text and this key.
        let text = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        let hex = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
        let key: PublicKey = text.parse().expect("the published example");
        assert_eq!(key.hex(), hex);
        assert_eq!(key.to_string(), text);
        assert_eq!(key, SecretKey::from_seed(&[0; 32]).public());
    }

    #[test]
    fn a_wrong_did_is_refused() {
        for text in [
            "",
            "did:key:z",
            "did:key:z6Mk",
            "did:web:acme",
            "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooW0",
        ] {
            assert!(matches!(text.parse::<PublicKey>(), Err(IdError::NotAnId { .. })), "{text}");
        }
        let long = alloc::format!("did:key:z{}", "6".repeat(100_000));
        assert!(long.parse::<PublicKey>().is_err());
    }

    #[test]
    fn the_points_of_small_order_are_eight_and_those() {
        let point = |bytes: &[u8; 32]| VerifyingKey::from_bytes(bytes).expect("a point");
        let mut all = alloc::collections::BTreeSet::new();
        for y in SMALL_ORDER_Y {
            for bytes in [y, with_sign(y)] {
                assert!(point(&bytes).is_weak() && is_small_order(&bytes));
                all.insert(point(&bytes).to_edwards().compress().to_bytes());
            }
        }
        assert_eq!(all.len(), 8);
        assert!(!is_small_order(&SecretKey::from_seed(&[1; 32]).public().0));
    }

    #[test]
    fn the_verifier_accepts_what_the_strict_one_accepts() {
        let secret = SecretKey::from_seed(&[1; 32]);
        let right = secret.0.sign(b"pay").to_bytes();
        let mut keys: Vec<[u8; 32]> = SMALL_ORDER_Y.into();
        keys.push(secret.public().0);
        let mut nonces: Vec<[u8; 32]> = SMALL_ORDER_Y.iter().flat_map(|y| [*y, with_sign(*y)]).collect();
        nonces.extend([[0xff; 32], [2; 32], right[..32].try_into().expect("half")]);
        let scalars: [[u8; 32]; 3] = [[0; 32], [0xff; 32], right[32..].try_into().expect("half")];
        let mut accepted = 0;
        for key in &keys {
            for (nonce, scalar) in nonces.iter().flat_map(|nonce| scalars.iter().map(move |scalar| (nonce, scalar))) {
                let mut bytes = [0; 64];
                bytes[..32].copy_from_slice(nonce);
                bytes[32..].copy_from_slice(scalar);
                let strict = VerifyingKey::from_bytes(key).expect("a point");
                let strict = strict.verify_strict(b"pay", &Signature::from_bytes(&bytes)).is_ok();
                assert_eq!(verify(&PublicKey(*key), b"pay", &bytes).is_ok(), strict);
                accepted += u32::from(strict);
            }
        }
        assert_eq!(accepted, 1);
    }

    fn with_sign(mut y: [u8; 32]) -> [u8; 32] {
        y[31] |= 0x80;
        y
    }

    #[test]
    fn a_rotation_proof_binds_agent_and_key() {
        let next = SecretKey::from_seed(&[2; 32]);
        let agent = AgentId([9; 32]);
        let proof = prove_rotation(&agent, &next);
        assert_eq!(verify_rotation(&agent, &next.public(), &proof), Ok(()));
        assert_eq!(verify_rotation(&AgentId([8; 32]), &next.public(), &proof), Err(Reject::BadSignature));
        let other = SecretKey::from_seed(&[3; 32]).public();
        assert_eq!(verify_rotation(&agent, &other, &proof), Err(Reject::BadSignature));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let text = alloc::format!("{:?}", SecretKey::from_seed(&[2; 32]));
        assert!(text.starts_with("SecretKey(of did:key:") && !text.contains("0202"));
    }
}
