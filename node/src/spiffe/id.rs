//! SPIFFE ids: `spiffe://DOMAIN/node/PEER-ID`, and nothing else is one of ours.

use crate::mesh::peer::{key_of_text, peer_text};
use comity_proto::ids::{DomainId, PublicKey};
use std::fmt;

const SCHEME: &str = "spiffe://";
const NODE: &str = "/node/";

/// Who holds an SVID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiffeId {
    /// The trust domain.
    pub domain: DomainId,
    /// The node's key, in the id as a peer id.
    pub node: PublicKey,
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = peer_text(&self.node).unwrap_or_default();
        write!(f, "{SCHEME}{}{NODE}{node}", self.domain)
    }
}

/// The id of a trust domain itself, as it stands in its authorities.
pub(super) fn of_domain(domain: &DomainId) -> String {
    format!("{SCHEME}{domain}")
}

impl SpiffeId {
    /// Reads one; `None` for whatever is not written exactly as we write it.
    pub fn parse(text: &str) -> Option<SpiffeId> {
        let (domain, node) = text.strip_prefix(SCHEME)?.split_once(NODE)?;
        let id = SpiffeId { domain: domain.parse().ok()?, node: key_of_text(node)? };
        (id.to_string() == text).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::keys::SecretKey;

    #[test]
    fn an_id_survives_its_text_and_nothing_else_is_one() {
        let key = SecretKey::from_seed(&[3; 32]).public();
        let id = SpiffeId { domain: DomainId::of_key(&key), node: key };
        let text = id.to_string();
        assert_eq!(SpiffeId::parse(&text), Some(id));
        let others = [
            text.replace("spiffe", "SPIFFE"),
            text.replace("/node/", "/agent/"),
            format!("{text}/"),
            format!("{text}?x"),
            text.replace("cm1", "CM1"),
            of_domain(&id.domain),
            String::new(),
        ];
        for other in others {
            assert_eq!(SpiffeId::parse(&other), None, "{other}");
        }
    }
}
