//! The SVID in use: made again at half of its life and whenever the node's certificate changes, without a restart.
//!
//! The authorities come from the root key: at once where it is at hand, else from the file that `keyring prepare` wrote
//! from what the machine with the root key made.

use super::{chain::Chain, issue, judge};
use crate::{
    config::Https,
    node::Node,
    service::error::{Kind, ServiceError},
    storage::files::{self, Access},
};
use comity_proto::{
    envelope::Signed as _,
    identity::NodeCertificate,
    ids::{DomainId, PublicKey},
    treaty::TreatyStanding,
};
use comity_runtime as runtime;
use parking_lot::Mutex;
use rustls::{crypto::ring::sign::any_eddsa_type, pki_types::CertificateDer, sign::CertifiedKey};
use std::{collections::BTreeSet, io, path::Path, sync::Arc, time::Duration};
use webpki::KeyUsage;

/// The file of the authorities for the certificate in use.
pub(crate) const CHAIN_FILE: &str = "node.x509";
/// The same for the prepared one.
pub(crate) const CHAIN_NEXT_FILE: &str = "node.x509.next";
/// How often the certificate in use is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// An SVID as a handshake uses it.
#[derive(Clone)]
struct InUse {
    certificate: NodeCertificate,
    chain: Chain,
    key: Arc<CertifiedKey>,
    renew_ms: u64,
}

/// What this node shows and holds of SPIFFE. Empty in a node without an HTTPS door.
#[derive(Default)]
pub(crate) struct Svids(Mutex<Option<InUse>>);

impl Svids {
    /// Leaf, node authority and key.
    pub(crate) fn key(&self) -> Option<Arc<CertifiedKey>> {
        self.0.lock().as_ref().map(|held| held.key.clone())
    }

    /// The authority of the own trust domain.
    pub(crate) fn authority(&self) -> Option<CertificateDer<'static>> {
        self.0.lock().as_ref().map(|held| held.chain.domain.clone())
    }

    fn is_due(&self, certificate: &NodeCertificate, now_ms: u64) -> bool {
        let held = self.0.lock();
        held.as_ref().is_none_or(|held| held.certificate != *certificate || held.renew_ms <= now_ms)
    }

    fn chain_of(&self, certificate: &NodeCertificate) -> Option<Chain> {
        let held = self.0.lock();
        held.as_ref().filter(|held| held.certificate == *certificate).map(|held| held.chain.clone())
    }
}

/// The pinned root key of a trust domain: our own, or that of a domain that we have a treaty with.
pub(crate) fn pinned(node: &Node, domain: &DomainId) -> Option<PublicKey> {
    if *domain == node.domain() {
        return Some(node.home().domain_key);
    }
    node.replica().read_stale(|ledger, _| {
        let treaty = ledger.treaty(domain)?;
        let stands = treaty.agreed.is_some() && treaty.standing() != TreatyStanding::Revoked;
        stands.then_some(treaty.peer_key)
    })
}

/// Whether a new leaf of this chain would be taken for this node by everybody who pins the root key.
fn holds(node: &Node, chain: &Chain, leaf: &CertificateDer<'static>, now_ms: u64) -> Result<(), judge::Refused> {
    let presented = [leaf.clone(), chain.node.clone()];
    let own = |domain: &DomainId| (*domain == node.domain()).then_some(node.home().domain_key);
    judge::judge(&presented, own, &BTreeSet::new(), KeyUsage::server_auth(), now_ms).map(|_| ())
}

fn no_chain(node: &Node) -> ServiceError {
    let state = node.home().root_state();
    let detail = format!("no authority for the node certificate in use, and the root key here is {state}");
    let next = "comity keyring request, certify where the root key is, then prepare and activate here";
    ServiceError::new(Kind::Conflict, "https_without_authority", detail, next)
}

/// The authorities for a certificate: in use already, at hand in a file, or made by the root key and kept.
async fn obtain(node: &Node, certificate: &NodeCertificate) -> Result<Chain, ServiceError> {
    if let Some(chain) = node.svids().chain_of(certificate) {
        return Ok(chain);
    }
    let made = match &node.home().domain_keys {
        Some(keys) => Some(Chain::of(&keys.root, certificate)?),
        None => None,
    };
    let (dir, certificate) = (node.home().dir.clone(), certificate.clone());
    let found = runtime::run_blocking(move || keep(&dir, &certificate, made)).await;
    let found = found.unwrap_or_else(|_| Err(io::Error::other("the work was not done")));
    let found = found.map_err(|error| {
        ServiceError::new(Kind::Internal, "bad_data_directory", error.to_string(), "mend what it names")
    });
    found?.ok_or_else(|| no_chain(node))
}

/// Keeps what was made, or finds what was prepared.
fn keep(dir: &Path, certificate: &NodeCertificate, made: Option<Chain>) -> io::Result<Option<Chain>> {
    let path = dir.join(CHAIN_FILE);
    if let Some(chain) = made {
        files::write(&path, chain.to_text().as_bytes(), Access::Public)?;
        return Ok(Some(chain));
    }
    for file in [CHAIN_NEXT_FILE, CHAIN_FILE] {
        let chain = files::read(&dir.join(file))?.and_then(|text| Chain::parse(&text));
        let Some(chain) = chain.filter(|chain| chain.serial() == Some(certificate.serial)) else {
            continue;
        };
        if file == CHAIN_NEXT_FILE {
            files::rename(&dir.join(file), &path)?;
        }
        return Ok(Some(chain));
    }
    Ok(None)
}

/// Makes the next leaf if one is due.
///
/// # Errors
/// `https_without_authority`, `certificate_not_made`, and what keeps the files from being read.
pub(crate) async fn renew(node: &Node, https: &Https) -> Result<(), ServiceError> {
    let now_ms = runtime::wall_ms();
    let certificate = NodeCertificate::open(&node.certificate()).map_err(|reject| {
        ServiceError::new(Kind::Internal, "bad_certificate", reject.to_string(), "comity keyring prepare")
    })?;
    let certificate = certificate.into_inner();
    if !node.svids().is_due(&certificate, now_ms) {
        return Ok(());
    }
    let chain = obtain(node, &certificate).await?;
    let life_ms = https.svid_life_s.saturating_mul(1_000);
    let made = issue::svid(node.key(), node.domain(), &https.names(), now_ms, life_ms)?;
    let unfit = |why: &str| {
        let next = "comity keyring prepare and activate make another authority";
        ServiceError::new(Kind::Conflict, "bad_authority", why, next)
    };
    holds(node, &chain, &made.leaf, now_ms).map_err(|refused| unfit(refused.detail()))?;
    let key = any_eddsa_type(&made.key.into()).map_err(|error| unfit(&error.to_string()))?;
    let key = Arc::new(CertifiedKey::new(vec![made.leaf, chain.node.clone()], key));
    let renew_ms = now_ms.saturating_add(life_ms / 2);
    *node.svids().0.lock() = Some(InUse { certificate, chain, key, renew_ms });
    Ok(())
}

/// Runs for the life of the door.
pub(crate) async fn tend(node: Arc<Node>, https: Https) {
    let mut said = String::new();
    loop {
        match renew(&node, &https).await {
            Ok(()) => said.clear(),
            Err(error) if error.detail == said => {}
            Err(error) => {
                tracing::warn!(code = error.code, %error, next = error.next, "the HTTPS door has no certificate");
                said = error.detail;
            }
        }
        runtime::sleep(LOOK).await;
    }
}
