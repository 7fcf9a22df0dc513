//! The text that is carried by hand to the new machine.

use crate::service::error::ServiceError;
use comity_proto::ids::{DomainId, PublicKey};
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

const PREFIX: &str = "cmjoin1";

/// Everything that a new node must know before it trusts anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// The domain's root key, pinned by whoever carries the token.
    pub(super) domain_key: PublicKey,
    /// The node that answers.
    pub(super) node: PublicKey,
    /// Where it listens.
    pub(super) addresses: Vec<String>,
    /// Known to the inviting node and to the invited one.
    pub(super) secret: [u8; 32],
}

impl Token {
    pub(super) fn domain(&self) -> DomainId {
        DomainId::of_key(&self.domain_key)
    }

    pub(super) fn to_text(&self) -> String {
        // Plain fields into memory: cannot fail; an empty token is refused by its reader.
        let bytes = postcard::to_allocvec(self).unwrap_or_default();
        format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }

    pub(super) fn parse(text: &str) -> Result<Token, ServiceError> {
        let bad = || ServiceError::bad_input("bad_join_token", "this is no join token, or a part of it is missing");
        let body = text.trim().strip_prefix(PREFIX).ok_or_else(bad)?;
        let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| bad())?;
        let token: Token = postcard::from_bytes(&bytes).map_err(|_| bad())?;
        if token.to_text() == text.trim() { Ok(token) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_and_a_cut_one_is_refused() {
        let token = Token {
            domain_key: PublicKey([1; 32]),
            node: PublicKey([2; 32]),
            addresses: vec!["/ip4/127.0.0.1/tcp/7401".to_owned()],
            secret: [3; 32],
        };
        let text = token.to_text();
        assert_eq!(Token::parse(&text).unwrap(), token);
        assert_eq!(Token::parse(&text[..text.len() - 2]).unwrap_err().code, "bad_join_token");
        assert_eq!(Token::parse("hello").unwrap_err().code, "bad_join_token");
    }
}
