//! Signed requests: HMAC-SHA256 with the account's token over timestamp, method, path and body. The client may send one
//! beside its token; one that does not fit is refused.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// How far a request's timestamp may be from this node's clock, seconds.
const FRESH_S: u64 = 300;
const BLOCK: usize = 64;

/// HMAC (RFC 2104) with SHA-256.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    let short: [u8; 32] = Sha256::digest(key).into();
    let key = if key.len() > BLOCK { short.as_slice() } else { key };
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut inner = Sha256::new();
    inner.update(block.map(|byte| byte ^ 0x36));
    parts.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new();
    outer.update(block.map(|byte| byte ^ 0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

/// Whether `signature`, in hex, is by this token over this request, and of now.
pub fn is_signed_by(token: &str, now_ms: u64, timestamp: &str, signature: &str, request: (&str, &str, &[u8])) -> bool {
    let (method, path, body) = request;
    let fresh = timestamp.parse::<u64>().is_ok_and(|at| at.abs_diff(now_ms / 1_000) <= FRESH_S);
    let wanted = hmac(token.as_bytes(), &[timestamp.as_bytes(), method.as_bytes(), path.as_bytes(), body]);
    // Digests are compared, so that the time it takes says nothing about the right one.
    let same = Sha256::digest(HEXLOWER.encode(&wanted)) == Sha256::digest(signature.to_ascii_lowercase());
    fresh && same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_the_rfc() {
        // RFC 4231, test cases 2 and 6.
        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(HEXLOWER.encode(&hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])), known);
        let long = hmac(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(HEXLOWER.encode(&long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn a_signature_holds_for_its_request_and_its_five_minutes() {
        let request = ("POST", "/a2a-se/v1/exchange/release", b"{}".as_slice());
        let of = |request: (&str, &str, &[u8])| {
            HEXLOWER.encode(&hmac(b"token", &[b"1000", request.0.as_bytes(), request.1.as_bytes(), request.2]))
        };
        let signature = of(request);
        let holds = |token: &str, now_s: u64, request| is_signed_by(token, now_s * 1_000, "1000", &signature, request);
        assert!(holds("token", 1_300, request) && holds("token", 700, request));
        assert!(!holds("token", 1_301, request) && !holds("other", 1_000, request));
        assert!(!holds("token", 1_000, ("POST", "/a2a-se/v1/exchange/refund", b"{}")));
        assert!(!holds("token", 1_000, ("POST", request.1, b"{} ")));
    }
}
