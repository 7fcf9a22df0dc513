//! The false network: byte streams between hosts, under the real noise and yamux.
//!
//! What it knows is TCP as an application sees it: bytes arrive in order or not at all, a lost packet is a late one, a
//! cut link stalls, a closed port refuses, a dead host says nothing. Deliberately absent: packets, DNS, multicast.

mod link;
mod listener;
mod pipe;
mod transport;

pub use link::{LinkProfile, LinkState};
pub use listener::Network;
pub use pipe::Pipe;
pub use transport::FalseTcp;
