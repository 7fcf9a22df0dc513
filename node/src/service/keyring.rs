//! The certificate that this node shows.

use super::error::{Kind, ServiceError};
use crate::{keyring::renewal, node::Node, storage::files};
use bytes::Bytes;
use comity_proto::{envelope::Signed as _, identity::NodeCertificate};

/// Reads the certificate in use from the data directory again and shows it. Answers its serial.
///
/// # Errors
/// `bad_certificate` for one that is not this node's by its domain's root key; then the one before is shown on.
pub async fn reload(node: &Node) -> Result<u64, ServiceError> {
    let path = node.home().dir.join(renewal::IN_USE);
    let bad = |detail: String| {
        let next = "prepare and activate a certificate: comity keyring prepare";
        ServiceError::new(Kind::Conflict, "bad_certificate", detail, next)
    };
    let read = comity_runtime::run_blocking(move || files::read(&path)).await;
    let read = read.unwrap_or_else(|_| Err(std::io::Error::other("the work was not done")));
    let bytes = read.map_err(|error| bad(error.to_string()))?.map(Bytes::from);
    let bytes = bytes.ok_or_else(|| bad("there is none".to_owned()))?;
    let certificate = NodeCertificate::open(&bytes).map_err(|reject| bad(reject.to_string()))?;
    let said = certificate.get();
    if *certificate.key() != node.home().domain_key || said.node != node.key().public() {
        return Err(bad("it is another node's, or by another root key".to_owned()));
    }
    let serial = said.serial;
    node.show_certificate(bytes).await;
    tracing::info!(serial, "another certificate is shown");
    Ok(serial)
}
