//! A key closed under a token: ChaCha20-Poly1305 with a key made of the token.
//!
//! A token is 32 random bytes, so it needs no slow derivation; a passphrase would.

use chacha20poly1305::{
    ChaCha20Poly1305, KeyInit as _, Nonce,
    aead::{Aead as _, Payload},
};
use comity_proto::{
    ids::{AgentId, Hash},
    keys::SecretKey,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What the node keeps of a token.
pub fn token_digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A closed key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    nonce: [u8; 12],
    ciphertext: Vec<u8>,
}

fn cipher(token: &str) -> ChaCha20Poly1305 {
    // Another function of the token than its digest, which lies beside the seal.
    ChaCha20Poly1305::new(&Hash::of_parts("comity/v1/custody-seal", &[token.as_bytes()]).0.into())
}

impl Sealed {
    /// Closes a key; whose it is, is authenticated too.
    pub fn close(token: &str, agent: AgentId, key: &SecretKey) -> Sealed {
        let mut nonce = [0; 12];
        comity_runtime::entropy(&mut nonce);
        let payload = Payload { msg: &key.seed(), aad: &agent.0 };
        // 32 bytes are within what the cipher takes; an empty text opens with no token.
        let ciphertext = cipher(token).encrypt(Nonce::from_slice(&nonce), payload).unwrap_or_default();
        Sealed { nonce, ciphertext }
    }

    /// Opens it.
    pub fn open(&self, token: &str, agent: AgentId) -> Option<SecretKey> {
        let payload = Payload { msg: &self.ciphertext, aad: &agent.0 };
        let seed = cipher(token).decrypt(Nonce::from_slice(&self.nonce), payload).ok()?;
        Some(SecretKey::from_seed(&seed.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_with_its_token_for_its_agent_only() {
        crate::runtime::tests_world();
        let (key, agent) = (SecretKey::from_seed(&[5; 32]), AgentId([1; 32]));
        let sealed = Sealed::close("token", agent, &key);
        assert_eq!(sealed.open("token", agent).unwrap().seed(), key.seed());
        assert!(sealed.open("Token", agent).is_none());
        assert!(sealed.open("token", AgentId([2; 32])).is_none());
        assert_ne!(sealed, Sealed::close("token", agent, &key), "a fresh nonce each time");
    }
}
