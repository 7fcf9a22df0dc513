//! How cards spread over many nodes: the shipping mesh, with its gossipsub, noise and yamux, on a random graph of slow
//! links, in virtual time.
//!
//! What differs from a node: no replica and no disk behind the mesh; heartbeats of members are rare, because every
//! node's heartbeat to everybody is a load of its own that grows with the square; addresses are not passed on, so the
//! graph stays the drawn one.
//!
//! Deliberately absent: a curve of failure detection. Members are not suspected yet, and a curve of zeros would lie.

mod curves;
mod graph;
mod nodes;
mod spread;

pub use curves::{picture, quantile};
pub use graph::Graph;
pub use spread::{Options, Report, run};
