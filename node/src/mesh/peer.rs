//! A node's key in its two spellings: our [`PublicKey`] and libp2p's [`PeerId`].

use comity_proto::ids::PublicKey;
use libp2p::PeerId;
use libp2p::identity;

/// The peer id of a node key; `None` when the bytes are no valid ed25519 point.
pub fn peer_id(key: &PublicKey) -> Option<PeerId> {
    let key = identity::ed25519::PublicKey::try_from_bytes(key.as_bytes()).ok()?;
    Some(identity::PublicKey::from(key).to_peer_id())
}

/// The node key inside a peer id; `None` for peers with another kind of key.
///
/// An ed25519 peer id holds the whole key, so this needs no message from the peer.
pub fn node_key(peer: &PeerId) -> Option<PublicKey> {
    let key = identity::PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    let key = key.try_into_ed25519().ok()?;
    Some(PublicKey(key.to_bytes()))
}

/// libp2p's form of a node's secret key.
pub fn libp2p_keypair(seed: &[u8; 32]) -> Result<identity::Keypair, identity::DecodingError> {
    // The function wipes the copy that it is given.
    let mut copy = *seed;
    identity::Keypair::ed25519_from_bytes(&mut copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_key_survives_the_way_through_its_peer_id() {
        let keypair = libp2p_keypair(&[7; 32]).expect("a seed is a key");
        let peer = keypair.public().to_peer_id();
        let key = node_key(&peer).expect("ed25519 keys are inlined");
        assert_eq!(peer_id(&key), Some(peer));
    }

    #[test]
    fn a_peer_id_without_an_ed25519_key_has_no_node_key() {
        let digest = libp2p::multihash::Multihash::<64>::wrap(0x12, &[1; 32]).expect("32 bytes fit");
        let peer = PeerId::from_multihash(digest).expect("sha-256 peer ids are valid");
        assert_eq!(node_key(&peer), None);
    }
}
