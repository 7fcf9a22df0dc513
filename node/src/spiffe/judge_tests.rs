use super::{
    super::{
        bundle,
        chain::Chain,
        issue::{leaf, svid},
    },
    *,
};
use crate::{founding::DomainKeys, home::voter};
use comity_proto::{envelope::Signed as _, identity::NodeCertificate, keys::SecretKey, roots::RootKey};
use data_encoding::BASE64;

const NOW: u64 = 1_700_000_000_000;
const HOUR: u64 = 3_600_000;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32])
}

fn certificate(root: &SecretKey, node: &SecretKey, serial: u64) -> NodeCertificate {
    let keys = DomainKeys { root: root.clone().into(), operator: key(9) };
    NodeCertificate::open(&keys.certify(node.public(), voter(), serial, NOW)).unwrap().into_inner()
}

/// A leaf that names `domain` and `node`, made by `signer` under the authority that `root` gave it.
fn presented(root: &SecretKey, signer: &SecretKey, domain: DomainId, serial: u64) -> Vec<CertificateDer<'static>> {
    let chain = Chain::of(&root.clone().into(), &certificate(root, signer, serial)).unwrap();
    vec![svid(signer, domain, &["localhost".to_owned()], NOW, HOUR).unwrap().leaf, chain.node]
}

fn judged(chain: &[CertificateDer<'_>], root: &SecretKey, now_ms: u64) -> Result<SpiffeId, Refused> {
    let (own, revoked) = (DomainId::of_key(&root.public()), [(DomainId::of_key(&root.public()), 66)].into());
    judge(
        chain,
        |domain| (*domain == own).then(|| root.public()).into_iter().collect(),
        &revoked,
        KeyUsage::client_auth(),
        now_ms,
    )
}

#[test]
fn a_chain_is_judged_by_the_bundle_of_the_domain_that_it_names_and_by_no_other() {
    crate::runtime::tests_world();
    let (acme, globex, node) = (key(1), key(2), key(3));
    let [ours, theirs] = [&acme, &globex].map(|root| DomainId::of_key(&root.public()));
    let good = presented(&acme, &node, ours, u64::MAX);
    assert_eq!(judged(&good, &acme, NOW), Ok(SpiffeId { domain: ours, node: node.public() }));
    assert_eq!(judged(&good, &globex, NOW), Err(Refused::UnknownDomain));
    // Globex's authority signs for an id of acme, and acme's for one of globex.
    assert_eq!(judged(&presented(&globex, &node, ours, 7), &acme, NOW), Err(Refused::OtherDomain));
    assert_eq!(judged(&presented(&acme, &node, theirs, 7), &globex, NOW), Err(Refused::OtherDomain));
    // With both domains pinned it is still the named one that judges.
    let both = |domain: &DomainId| {
        [&acme, &globex].map(SecretKey::public).into_iter().filter(|key| DomainId::of_key(key) == *domain).collect()
    };
    let mixed = presented(&globex, &node, ours, 7);
    let judged_by_both = judge(&mixed, both, &BTreeSet::new(), KeyUsage::client_auth(), NOW);
    assert_eq!(judged_by_both, Err(Refused::OtherDomain));
}

#[test]
fn another_node_a_revoked_one_a_wrong_time_and_a_broken_chain_are_refused_by_name() {
    crate::runtime::tests_world();
    let (acme, node, other) = (key(1), key(3), key(4));
    let domain = DomainId::of_key(&acme.public());
    let good = presented(&acme, &node, domain, 7);
    // The leaf of one node under the authority of another one: the signature does not hold.
    let borrowed = [good[0].clone(), presented(&acme, &other, domain, 7)[1].clone()];
    assert_eq!(judged(&borrowed, &acme, NOW), Err(Refused::OtherDomain));
    let posing = SpiffeId { domain, node: node.public() };
    let posed = [leaf(&other, &posing, &[], NOW, HOUR).unwrap().leaf, borrowed[1].clone()];
    assert_eq!(judged(&posed, &acme, NOW), Err(Refused::OtherNode));
    assert_eq!(judged(&presented(&acme, &node, domain, 66), &acme, NOW), Err(Refused::Revoked));
    assert_eq!(judged(&good, &acme, NOW + HOUR + 1_000), Err(Refused::Expired));
    assert_eq!(judged(&good, &acme, NOW - HOUR), Err(Refused::NotYetValid));
    assert_eq!(judged(&good[..1], &acme, NOW), Err(Refused::OtherDomain), "the node's authority is missing");
    assert_eq!(judged(&good[1..], &acme, NOW), Err(Refused::NoId), "an authority is nobody");
    assert_eq!(judged(&[], &acme, NOW), Err(Refused::Unreadable));
    assert_eq!(judged(&[CertificateDer::from(vec![0x30, 0x00])], &acme, NOW), Err(Refused::Unreadable));
}

#[test]
fn a_bundle_is_the_authorities_of_the_root_keys_that_count() {
    crate::runtime::tests_world();
    let (acme, globex, node) = (key(1), key(2), key(3));
    let domain = DomainId::of_key(&acme.public());
    let [ours, foreign]: [RootKey; 2] = [&acme, &globex].map(|key| key.clone().into());
    let chain = Chain::of(&ours, &certificate(&acme, &node, 7)).unwrap();
    assert_eq!(Chain::parse(chain.to_text().as_bytes()), Some(chain.clone()));
    assert_eq!(Chain::parse(b"nothing"), None);
    // Made again it is the same, so all nodes of a domain show one bundle.
    assert_eq!(Chain::of(&ours, &certificate(&acme, &key(4), 8)).unwrap().domain, chain.domain);
    let anchored = webpki::anchor_from_trusted_cert(&chain.domain).unwrap();
    assert_eq!(anchored, anchor(&domain, &acme.public()));

    let next = key(5);
    let links = ours.links_to(&next).unwrap();
    let following = Chain::of(&RootKey::along(links, next.clone()).unwrap(), &certificate(&acme, &node, 7)).unwrap();
    let keys = [acme.public(), next.public()];
    let check = |bytes: &[u8]| bundle::check(bytes, &domain, &keys).map_err(|error| error.code);
    let document = |domain: &DomainId, keys: &[PublicKey], all: &[&CertificateDer<'static>]| {
        let held: Vec<_> = all.iter().map(|one| (*one).clone()).collect();
        bundle::document(domain, keys, &held, 1)
    };
    let good = document(&domain, &keys, &[&chain.domain]);
    assert_eq!(check(&good), Ok(()));
    // While one root key follows another, both authorities stand under the one name.
    let both = document(&domain, &keys, &[&chain.domain, &following.domain]);
    assert_eq!((check(&both), bundle::read(&both).unwrap().len()), (Ok(()), 2));
    let old = |bytes: &[u8]| bundle::check(bytes, &domain, &keys[1..]).map_err(|error| error.code);
    assert_eq!(old(&both), Err("bundle_of_other_domain".to_owned()), "one of them counts no more");
    assert_eq!(
        document(&domain, &keys[1..], &[&chain.domain, &following.domain]),
        document(&domain, &keys, &[&following.domain])
    );
    let theirs = Chain::of(&foreign, &certificate(&globex, &node, 7)).unwrap();
    let foreign = document(&foreign.domain(), &[globex.public()], &[&theirs.domain]);
    assert_eq!(check(&foreign), Err("bundle_of_other_domain".to_owned()));
    // The right name and key, and not the key's own signature.
    let mut bent = chain.domain.to_vec();
    *bent.last_mut().unwrap() ^= 1;
    let whole = String::from_utf8(good.clone()).unwrap();
    let bent = whole.replace(&BASE64.encode(&chain.domain), &BASE64.encode(&bent));
    assert_eq!(check(bent.as_bytes()), Err("bundle_of_other_domain".to_owned()));
    for bad in [&b"{}"[..], b"[", br#"{"keys":[]}"#, br#"{"keys":[{"use":"x509-svid","x5c":["x"]}]}"#] {
        assert_eq!(check(bad), Err("bad_bundle".to_owned()), "{}", String::from_utf8_lossy(bad));
    }
    // That of another domain beside it would be a merged bundle.
    let two = String::from_utf8(good).unwrap().replacen(
        "{\"keys\":[",
        &format!("{{\"keys\":[{},", {
            let whole: serde_json::Value = serde_json::from_slice(&foreign).unwrap();
            whole["keys"][0].to_string()
        }),
        1,
    );
    assert_eq!(check(two.as_bytes()), Err("bundle_of_other_domain".to_owned()));
}
