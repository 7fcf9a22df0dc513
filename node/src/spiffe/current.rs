//! The SVID in use: made again at half of its life and whenever the node's certificate changes, without a restart.
//!
//! The authorities come from the root key: at once where it is at hand, else from the file that `keyring prepare` wrote
//! from what the machine with the root key made.

use super::{
    chain::{Chain, pem},
    issue, judge,
};
use crate::{
    config::Https,
    node::Node,
    service::error::{Kind, ServiceError},
    storage::files::{self, Access},
};
use comity_ledger::treaty::Treaty;
use comity_proto::{
    envelope::Signed as _,
    identity::NodeCertificate,
    ids::{DomainId, PublicKey},
    roots::RootKey,
};
use comity_runtime as runtime;
use parking_lot::Mutex;
use rustls::{
    crypto::ring::sign::any_eddsa_type,
    pki_types::{CertificateDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use std::{collections::BTreeSet, io, path::Path, sync::Arc, time::Duration};
use webpki::KeyUsage;

/// The file of the authorities for the certificate in use.
pub(crate) const CHAIN_FILE: &str = "node.x509";
/// The same for the prepared one.
pub(crate) const CHAIN_NEXT_FILE: &str = "node.x509.next";
/// The authorities of all root keys that are known here, as PEM.
const AUTHORITIES_FILE: &str = "domain.x509";
/// How often the certificate in use is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// An SVID as a handshake uses it.
#[derive(Clone)]
struct InUse {
    certificate: NodeCertificate,
    chain: Chain,
    authorities: Vec<CertificateDer<'static>>,
    key: Arc<CertifiedKey>,
    renew_ms: u64,
    ends_ms: u64,
}

/// What this node shows and holds of SPIFFE. Empty in a node without an HTTPS door.
#[derive(Default)]
pub(crate) struct Svids(Mutex<Option<InUse>>);

impl Svids {
    /// Leaf, node authority and key.
    pub(crate) fn key(&self) -> Option<Arc<CertifiedKey>> {
        self.0.lock().as_ref().map(|held| held.key.clone())
    }

    /// The authorities of the own trust domain that are known here.
    pub(crate) fn authorities(&self) -> Option<Vec<CertificateDer<'static>>> {
        self.0.lock().as_ref().map(|held| held.authorities.clone())
    }

    /// When the leaf ends, ms since the Unix epoch.
    pub(crate) fn ends_ms(&self) -> Option<u64> {
        self.0.lock().as_ref().map(|held| held.ends_ms)
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

/// The root keys of a trust domain that count: of our own, or of a domain that we have a treaty with; else none.
pub(crate) fn anchors(node: &Node, domain: &DomainId) -> Vec<PublicKey> {
    let found = node.replica().read_stale(|ledger, _| {
        let known = *domain == node.domain() || ledger.treaty(domain).is_some_and(Treaty::is_bound);
        let root = ledger.root_keys(domain).filter(|_| known)?;
        Some(root.in_use(ledger.stamp_ms()).collect())
    });
    // Before the ledger is there, the key with which this node was started.
    let at_start = || if *domain == node.domain() { vec![node.home().domain_key] } else { Vec::new() };
    found.unwrap_or_else(at_start)
}

/// Authorities of this domain that were made here, or came with a certificate; the newest last.
fn remember(dir: &Path, authority: &CertificateDer<'static>) -> io::Result<Vec<CertificateDer<'static>>> {
    let path = dir.join(AUTHORITIES_FILE);
    let text = files::read(&path)?.unwrap_or_default();
    let mut all: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    if !all.contains(authority) {
        all.push(authority.clone());
        let text: String = all.iter().map(|der| pem("CERTIFICATE", der)).collect();
        files::write(&path, text.as_bytes(), Access::Public)?;
    }
    Ok(all)
}

/// Keeps the authority of a root key, that the bundle shows it before that key acts.
///
/// # Errors
/// `certificate_not_made`, `bad_data_directory`.
pub(crate) fn announce(dir: &Path, root: &RootKey) -> Result<(), ServiceError> {
    remember(dir, &Chain::authority_of(root)?).map(|_| ()).map_err(|error| {
        ServiceError::new(Kind::Internal, "bad_data_directory", error.to_string(), "mend what it names")
    })
}

/// Whether a new leaf of this chain would be taken for this node by everybody who pins the root key.
fn holds(node: &Node, chain: &Chain, leaf: &CertificateDer<'static>, now_ms: u64) -> Result<(), judge::Refused> {
    let presented = [leaf.clone(), chain.node.clone()];
    judge::judge(&presented, |domain| anchors(node, domain), &BTreeSet::new(), KeyUsage::server_auth(), now_ms)
        .map(|_| ())
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

/// Takes up an authority that a command has made meanwhile.
async fn look(node: &Node) {
    let Some(authority) = node.svids().0.lock().as_ref().map(|held| held.chain.domain.clone()) else { return };
    let dir = node.home().dir.clone();
    let kept = runtime::run_blocking(move || remember(&dir, &authority)).await;
    if let (Ok(Ok(authorities)), Some(held)) = (kept, node.svids().0.lock().as_mut()) {
        held.authorities = authorities;
    }
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
        look(node).await;
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
    let (renew_ms, ends_ms) = (now_ms.saturating_add(life_ms / 2), now_ms.saturating_add(life_ms));
    let authorities = vec![chain.domain.clone()];
    *node.svids().0.lock() = Some(InUse { certificate, chain, authorities, key, renew_ms, ends_ms });
    look(node).await;
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
