//! A node's key in its two spellings: our [`PublicKey`] and libp2p's [`PeerId`].

use comity_proto::ids::PublicKey;
use libp2p::{PeerId, identity, multihash::Multihash};

/// What stands before the 32 bytes of an ed25519 key in libp2p's protobuf form of it: type 1, then 32 bytes.
///
/// <https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md>
const ED25519_FORM: [u8; 4] = [0x08, 0x01, 0x12, 0x20];
/// Multihash code of "identity": the digest is the thing itself. Keys this short are never hashed.
const IDENTITY: u64 = 0x00;

/// The peer id of a node key. Bytes that are no point of the curve get an id too, which nobody can prove to have: whether
/// they are one is costly to know, and this is asked for every message.
pub fn peer_id(key: &PublicKey) -> Option<PeerId> {
    let mut form = [0; 36];
    form[..4].copy_from_slice(&ED25519_FORM);
    form[4..].copy_from_slice(key.as_bytes());
    PeerId::from_multihash(Multihash::wrap(IDENTITY, &form).ok()?).ok()
}

/// The node key inside a peer id; `None` for peers with another kind of key.
///
/// An ed25519 peer id holds the whole key, so this needs no message from the peer.
pub fn node_key(peer: &PeerId) -> Option<PublicKey> {
    let hash = peer.as_ref();
    let key = hash.digest().strip_prefix(&ED25519_FORM).filter(|_| hash.code() == IDENTITY)?;
    Some(PublicKey(key.try_into().ok()?))
}

/// The text form of a node key outside of this program: `12D3Koo…`.
pub fn peer_text(key: &PublicKey) -> Option<String> {
    peer_id(key).map(|peer| peer.to_string())
}

/// Reads what [`peer_text`] wrote.
pub fn key_of_text(text: &str) -> Option<PublicKey> {
    node_key(&text.parse().ok()?)
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
        assert_eq!(peer_text(&key).and_then(|text| key_of_text(&text)), Some(key));
        assert_eq!(key.as_bytes(), &keypair.public().try_into_ed25519().expect("its kind").to_bytes());
    }

    #[test]
    fn a_peer_id_without_an_ed25519_key_has_no_node_key() {
        let digest = libp2p::multihash::Multihash::<64>::wrap(0x12, &[1; 32]).expect("32 bytes fit");
        let peer = PeerId::from_multihash(digest).expect("sha-256 peer ids are valid");
        assert_eq!(node_key(&peer), None);
        assert_eq!(key_of_text(&peer.to_string()), None);
    }
}
