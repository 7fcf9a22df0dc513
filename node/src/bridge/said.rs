//! What is said in the class `bridge`. Not signed: the connection is authenticated, and what is carried is.

use bytes::Bytes;
use comity_proto::ids::DomainId;
use serde::{Deserialize, Serialize};

/// Says which form this is; another one is refused.
const VERSION: u8 = 1;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// From a gateway: the domains that it leads to now, all of them.
    Offer(Vec<DomainId>),
    /// From a gateway, or passed on between nodes of one domain.
    Cards(Vec<PassedCard>),
    /// To a gateway, and from it in the same words.
    Carry(Frame),
}

/// A card from another mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedCard {
    /// Its envelope, as its owner signed it.
    pub card: Vec<u8>,
    /// Envelope of the [`comity_proto::passage::Passage`].
    pub passage: Vec<u8>,
}

/// Bytes from one domain to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Whose words it carries.
    pub from: DomainId,
    /// To whom.
    pub to: DomainId,
    /// Of what kind.
    pub cargo: Cargo,
    /// Opaque to the gateway.
    pub body: Vec<u8>,
}

/// What a frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cargo {
    /// Envelope of a settlement batch.
    Settlement,
    /// A word about a treaty.
    Treaty,
}

impl Said {
    /// As it travels.
    pub fn to_bytes(&self) -> Bytes {
        // Plain fields into memory: cannot fail. Empty bytes would be refused by every reader.
        postcard::to_allocvec(&(VERSION, self)).unwrap_or_default().into()
    }

    /// What travelled, if it is of this version.
    pub fn from_bytes(bytes: &[u8]) -> Option<Said> {
        let (version, said): (u8, Said) = postcard::from_bytes(bytes).ok()?;
        (version == VERSION).then_some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_said_and_another_version_is_not() {
        let (from, to) = (DomainId([1; 32]), DomainId([2; 32]));
        let said = Said::Carry(Frame { from, to, cargo: Cargo::Treaty, body: vec![7; 300] });
        let bytes = said.to_bytes();
        assert_eq!(Said::from_bytes(&bytes), Some(said));
        let mut later = bytes.to_vec();
        later[0] = 2;
        assert_eq!(Said::from_bytes(&later), None);
        assert_eq!(Said::from_bytes(&bytes[..bytes.len() - 1]), None, "cut short");
    }
}
