//! An agent opens a session at a door of its home node, with its key instead of a token.

use crate::{
    ids::{AgentId, PublicKey},
    limits::NONCE_BYTES,
};

/// Context [`crate::envelope::Context::Session`]; signed by the agent's current key, which the node looks up in its
/// ledger. Bound to one node, so that it is of no use at another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// Who opens.
    pub agent: AgentId,
    /// The node addressed.
    pub node: PublicKey,
    /// Random; a node accepts it once.
    pub nonce: [u8; NONCE_BYTES],
    /// When, ms since the Unix epoch; a node accepts it for a short while.
    pub issued_at_ms: u64,
}
