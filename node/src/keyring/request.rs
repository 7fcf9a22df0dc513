//! Certifying where there is no network: a node's request and the root key's answer, both texts that fit a message.
//!
//! The request is a join request without a token: it proves that whoever asks holds the node's key, and is of no use at
//! any node's door, where an invitation's secret is asked for.

use crate::{
    founding::{DomainKeys, fresh_key},
    home::voter,
    service::error::{Kind, ServiceError},
    spiffe::chain::Chain,
};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    identity::{JoinRequest, NodeCertificate},
    ids::{DomainId, Hash, PublicKey},
    keys::SecretKey,
    roots::RootKey,
};
use data_encoding::BASE32_NOPAD;

const REQUEST: &str = "cmreq1";
const CERTIFICATE: &str = "cmcert1";

fn to_text(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{}", BASE32_NOPAD.encode(bytes).to_ascii_lowercase())
}

fn of_text(prefix: &str, text: &str) -> Option<Bytes> {
    let body = text.trim().strip_prefix(prefix)?;
    BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).ok().map(Bytes::from)
}

/// What follows it is the same in X.509.
fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

/// Asks for the next certificate of a node.
pub fn ask(node: &SecretKey, domain: DomainId, now_ms: u64) -> String {
    let mut nonce = [0; 16];
    comity_runtime::entropy(&mut nonce);
    let request = JoinRequest {
        domain,
        node: node.public(),
        token_proof: Hash([0; 32]),
        endpoints: Vec::new(),
        issued_at_ms: now_ms,
        nonce,
    };
    to_text(REQUEST, &request.seal(node))
}

/// Certifies what was asked for, with the root key alone: a certificate, and the same in X.509. The serial is the time: it counts up without being remembered.
///
/// # Errors
/// `bad_certificate_request`; `request_of_other_domain`.
pub fn certify(root: &RootKey, request: &str, now_ms: u64) -> Result<(String, PublicKey), ServiceError> {
    let bad = || ServiceError::bad_input("bad_certificate_request", "no request of a node, or a part of it is missing");
    let bytes = of_text(REQUEST, request).ok_or_else(bad)?;
    let request = JoinRequest::open(&bytes).map_err(|_| bad())?.into_inner();
    // The operator's key is not needed here and need not be on this machine.
    let keys = DomainKeys { root: root.clone(), operator: fresh_key() };
    if request.domain != keys.domain() {
        let detail = format!("it is of domain {}, this root key is of {}", request.domain, keys.domain());
        let next = "bring the root key of that domain";
        return Err(ServiceError::new(Kind::Refused, "request_of_other_domain", detail, next));
    }
    let certificate = keys.certify(request.node, voter(), now_ms, now_ms);
    let said = NodeCertificate::open(&certificate).map_err(|_| bad())?;
    let chain = Chain::of(root, said.get())?;
    Ok((format!("{}\n{}", to_text(CERTIFICATE, &certificate), chain.to_text()), request.node))
}

/// The authority in X.509 that was made with a certificate.
///
/// # Errors
/// `bad_certificate` for one that is cut or is of another certificate.
pub fn chain(text: &str, serial: u64) -> Result<Option<Chain>, ServiceError> {
    let Some((_, rest)) = text.trim().split_once('\n') else { return Ok(None) };
    let chain = Chain::parse(rest.as_bytes()).filter(|chain| chain.serial() == Some(serial));
    let bad = || ServiceError::bad_input("bad_certificate", "the part in X.509 is cut, or is of another certificate");
    chain.map(Some).ok_or_else(bad)
}

/// Reads a certificate for this node; `root`: the first root key of its domain.
///
/// # Errors
/// `bad_certificate`, `certificate_of_other_domain`, `certificate_of_other_node`, `certificate_expired`,
/// `certificate_older` than the one in use.
pub fn judge(
    text: &str,
    root: &PublicKey,
    node: &PublicKey,
    in_use: &NodeCertificate,
    now_ms: u64,
) -> Result<Bytes, ServiceError> {
    let no = |code: &str, detail: &str| {
        let next = "write a fresh request with `comity keyring request` and have it certified";
        Err(ServiceError::new(Kind::Refused, code, detail, next))
    };
    let Some((bytes, certificate)) = of_text(CERTIFICATE, first_line(text))
        .and_then(|bytes| Some((bytes.clone(), NodeCertificate::open(&bytes).ok()?)))
    else {
        return no("bad_certificate", "no certificate, or a part of it is missing or changed");
    };
    let said = certificate.get();
    if certificate.first_key() != root || said.domain != in_use.domain {
        return no("certificate_of_other_domain", "it is signed by another root key");
    }
    if said.node != *node {
        return no("certificate_of_other_node", "it certifies another node's key");
    }
    if said.not_after_ms <= now_ms {
        return no("certificate_expired", "its time is over");
    }
    if said.serial <= in_use.serial {
        return no("certificate_older", "its serial is not above the one in use");
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::limits::YEAR_MS;

    const NOW: u64 = 1_700_000_000_000;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn in_use(root: &SecretKey, node: &SecretKey, serial: u64) -> NodeCertificate {
        let keys = DomainKeys { root: root.clone().into(), operator: key(9) };
        NodeCertificate::open(&keys.certify(node.public(), voter(), serial, NOW)).unwrap().into_inner()
    }

    #[test]
    fn a_request_is_certified_by_its_own_root_key_only_and_read_by_its_own_node_only() {
        crate::runtime::tests_world();
        let (root, node) = (key(1), key(2));
        let request = ask(&node, DomainId::of_key(&root.public()), NOW);
        let (certificate, certified) = certify(&root.clone().into(), &request, NOW).unwrap();
        assert_eq!(certified, node.public());
        let judge = |text: &str, root: &SecretKey, node: &SecretKey, serial, now_ms| {
            judge(text, &root.public(), &node.public(), &in_use(root, node, serial), now_ms)
                .map(|_| ())
                .map_err(|error| error.code)
        };
        assert_eq!(judge(&certificate, &root, &node, 1, NOW), Ok(()));
        let code = |answer: Result<(), String>| answer.unwrap_err();
        assert_eq!(code(judge(&certificate, &key(3), &node, 1, NOW)), "certificate_of_other_domain");
        assert_eq!(code(judge(&certificate, &root, &key(3), 1, NOW)), "certificate_of_other_node");
        assert_eq!(code(judge(&certificate, &root, &node, 1, NOW + 2 * YEAR_MS)), "certificate_expired");
        assert_eq!(code(judge(&certificate, &root, &node, NOW, NOW)), "certificate_older");
        let line = first_line(&certificate);
        assert_eq!(code(judge(&line[..line.len() - 2], &root, &node, 1, NOW)), "bad_certificate");
        // The same in X.509 stands behind it, whole and of the same serial, or not at all.
        assert!(chain(&certificate, NOW).unwrap().is_some_and(|chain| chain.serial() == Some(NOW)));
        assert_eq!(chain(line, NOW).unwrap(), None);
        assert_eq!(chain(&certificate, NOW + 1).unwrap_err().code, "bad_certificate");
        assert_eq!(chain(&certificate[..certificate.len() - 9], NOW).unwrap_err().code, "bad_certificate");
        assert_eq!(code(judge(&request, &root, &node, 1, NOW)), "bad_certificate");

        let refused = |root: &SecretKey, text: &str| certify(&root.clone().into(), text, NOW).unwrap_err().code;
        assert_eq!(refused(&key(3), &request), "request_of_other_domain");
        let mut edited = request.clone().into_bytes();
        edited[60] = if edited[60] == b'a' { b'b' } else { b'a' };
        assert_eq!(refused(&root, &String::from_utf8(edited).unwrap()), "bad_certificate_request");
        assert_eq!(refused(&root, &certificate), "bad_certificate_request");
    }
}
