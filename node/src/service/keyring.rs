//! The certificate that this node shows, and those that its domain takes back: read again after a command changed them.

use super::error::{Kind, ServiceError};
use crate::{
    home::{load_key, node_key},
    keyring::{renewal, revocation, root, rotation},
    node::Node,
    registry::votes,
    storage::files,
};
use bytes::Bytes;
use comity_proto::{envelope::Signed as _, identity::NodeCertificate, keys::SecretKey};

async fn read(node: &Node, name: &str) -> Result<Option<Bytes>, ServiceError> {
    let path = node.home().dir.join(name);
    let read = comity_runtime::run_blocking(move || files::read(&path)).await;
    let read = read.unwrap_or_else(|_| Err(std::io::Error::other("the work was not done")));
    read.map(|bytes| bytes.map(Bytes::from)).map_err(|error| {
        ServiceError::new(Kind::Internal, "bad_data_directory", error.to_string(), "mend what it names, try again")
    })
}

async fn read_key(node: &Node, name: &str) -> Result<Option<SecretKey>, ServiceError> {
    let path = node.home().dir.join(name);
    let read = comity_runtime::run_blocking(move || load_key(&path)).await;
    read.unwrap_or_else(|_| Err(ServiceError::new(Kind::Internal, "bad_data_directory", "not read", "try again")))
}

/// Whether a start would take another node key or root key than this process has.
async fn starts_with_another_key(node: &Node) -> Result<bool, ServiceError> {
    let (dir, own, root) = (node.home().dir.clone(), node.key().public(), node.home().root_named());
    let certificate = read(node, renewal::IN_USE).await?.unwrap_or_default();
    let differs = move || {
        let key = node_key(&dir, &certificate)?.public();
        Ok(key != own || root::named_in(&dir)?.is_some_and(|found| Some(found) != root))
    };
    let looked = comity_runtime::run_blocking(differs).await;
    looked.unwrap_or_else(|_| Err(ServiceError::new(Kind::Internal, "bad_data_directory", "not read", "try again")))
}

/// Shows the certificate in use, and tells the mesh of every certificate that is taken back. Answers the serial shown.
///
/// # Errors
/// `bad_certificate` for one that is not this node's by its domain's root key; `not_a_voter` where nobody would hear of
/// revocations from this node, which itself heeds them.
pub async fn reload(node: &Node, reason: Option<&str>) -> Result<u64, ServiceError> {
    if let Some(operator) = read_key(node, rotation::OPERATOR).await? {
        node.set_operator_key(operator);
    }
    if starts_with_another_key(node).await? {
        tracing::info!("this node has another key, or its domain another root key; it starts again with it");
        node.begin_rekeying();
        return NodeCertificate::open(&node.certificate()).map(|certificate| certificate.get().serial).map_err(
            |reject| {
                ServiceError::new(Kind::Internal, "bad_data_directory", reject.to_string(), "start the node again")
            },
        );
    }
    let serial = reload_certificate(node).await?;
    if let Some(list) = read(node, revocation::REVOCATIONS_FILE).await? {
        take_back(node, &list, reason).await?;
    }
    Ok(serial)
}

/// Heeds a newer list of certificates of this domain that are taken back, and tells the mesh.
///
/// # Errors
/// `not_a_voter` where nobody would hear of it from this node, which itself heeds it.
pub async fn take_back(node: &Node, list: &Bytes, reason: Option<&str>) -> Result<(), ServiceError> {
    if !node.revoked().lock().offer(&node.domain(), list) {
        return Ok(());
    }
    tracing::info!(reason, "certificates are taken back");
    if !votes(node) {
        let detail = "this node heeds the list, but the roster does not name it, so no card that it signs can carry it";
        let next = "it is told to others as soon as this node votes: `comity raft list`";
        return Err(ServiceError::new(Kind::Conflict, "not_a_voter", detail, next));
    }
    node.shown().look(node).await;
    Ok(())
}

async fn reload_certificate(node: &Node) -> Result<u64, ServiceError> {
    let bad = |detail: &str| {
        let next = "prepare and activate a certificate: comity keyring prepare";
        ServiceError::new(Kind::Conflict, "bad_certificate", detail, next)
    };
    let bytes = read(node, renewal::IN_USE).await?.ok_or_else(|| bad("there is none"))?;
    let certificate = NodeCertificate::open(&bytes).map_err(|reject| bad(&reject.to_string()))?;
    let said = certificate.get();
    if *certificate.first_key() != node.home().domain_key || said.node != node.key().public() {
        return Err(bad("it is another node's, or by another root key"));
    }
    let serial = said.serial;
    node.show_certificate(bytes).await;
    Ok(serial)
}
