//! How a replica reaches the other members: the one thing it asks of a network.
//!
//! The node implements [`Links`] over the mesh, tests implement it in memory. A link is authenticated: the handler is
//! told the key of the caller, and an answer comes from the key that was asked.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use comity_proto::ids::PublicKey;
use futures::future::BoxFuture;

use crate::types::NodeInfo;

/// What a request is about. Classes do not hold each other up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkClass {
    /// Votes, heartbeats and entries.
    Raft,
    /// A follower asks its leader: to propose, or for a read index.
    Forward,
    /// Snapshot chunks for a lagging member.
    Snapshot,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Nothing was sent.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No answer in time, or the connection broke: whether the request had an effect is unknown.
    #[error("no answer: {0}")]
    Lost(String),
    /// The other side does not serve this to us, or its handler failed. Nothing changed.
    #[error("refused: {0}")]
    Refused(String),
}

/// Answers requests of one class. Errors are words for the caller's log.
pub type LinkHandler = Arc<dyn Fn(PublicKey, Bytes) -> BoxFuture<'static, Result<Bytes, String>> + Send + Sync>;

/// Requests to members by key.
pub trait Links: Send + Sync + 'static {
    /// Sends one request and waits for its answer, at most `deadline`. Never retries.
    fn request(
        &self,
        to: &NodeInfo,
        class: LinkClass,
        body: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>>;

    /// From now on `handler` answers requests of `class`; replaces an earlier one. Only nodes of the own domain may
    /// reach it.
    fn serve(&self, class: LinkClass, handler: LinkHandler);
}
