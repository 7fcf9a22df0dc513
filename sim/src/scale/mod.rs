//! How cards spread over many nodes: the shipping mesh, with its gossipsub, noise and yamux, on a random graph of slow
//! links, in virtual time.
//!
//! What differs from a node: no replica and no disk behind the mesh; addresses are not passed on, so the graph stays the
//! drawn one. Where nobody is let die, members say nothing after their first heartbeat.

mod curves;
mod deaths;
mod graph;
mod nodes;
mod spread;

pub use curves::{detection_picture, picture, quantile};
pub use deaths::Detection;
pub use graph::Graph;
pub use spread::{Options, Report, run};
