//! The mesh: how nodes of all domains find each other, tell each other about agents, and speak on private streams.
//!
//! ```text
//! transport -> swarm (driver) -> hello -> standing -> streams: raft, forward, snapshot, settlement, tasks, repair, members
//!                             -> gossip -> validate -> directory (cards), membership (heartbeats, suspicions)
//! ```
//! | module | holds |
//! |---|---|
//! | [`limits`] | every limit of the mesh |
//! | `driver`, `behaviour`, `dial` | the swarm, its settings, whom to dial when |
//! | `hello`, [`certificate`], [`standing`], `roster`, `forks` | what a neighbour is to us, and why; root keys beside the known ones |
//! | [`class`], `frame`, [`rpc`], [`serve`], [`streams`] | long-lived streams per neighbour and class |
//! | [`directory`], [`shelf`], `validate`, `repair`, [`store`] | cards: checked, kept, found, repaired |
//! | [`membership`], `members`, `vigil` | heartbeats; who lives, as a pure machine; pings, accusations and repair for it |
//! | [`handle`], `bridged` | what the rest of the node may do with all this; what gateways between two meshes need of it |
//!
//! Trust comes from keys that we pinned and from nothing that travels. Deliberately absent: the ledger and files (the
//! mesh carries bytes and keeps cards through [`store::CardStore`]), retries of requests, and any rule about money.

pub mod certificate;
pub mod class;
pub mod config;
pub mod directory;
pub mod frame;
pub mod handle;
pub mod limits;
mod members;
pub mod membership;
pub mod peer;
pub mod quota;
pub mod rpc;
pub mod serve;
pub mod shelf;
pub mod standing;
pub mod store;
pub mod streams;
pub mod topics;
pub mod transport;

mod behaviour;
mod bridged;
mod dial;
mod driver;
mod forks;
mod hello;
pub mod raft_links;
mod reach;
mod repair;
mod roster;
mod shared;
mod start;
mod tally;
#[cfg(test)]
mod tests;
mod validate;
mod vigil;
mod wire;

pub use behaviour::SetupError;
pub(crate) use bridged::home_of;
pub use certificate::{Refused, Relation, Trust, TrustedDomain};
pub use class::Class;
pub use config::{Identity, MeshConfig};
pub use directory::{CardRefused, Completeness, Found};
pub use forks::RootFork;
pub use handle::{MeshHandle, NeighbourView, PublishError};
pub use libp2p::Multiaddr;
pub use members::State as MemberState;
pub use membership::Member;
pub use quota::{OverLicence, Quota, Used};
pub use raft_links::{MemberKeys, MeshLinks};
pub use rpc::{Refusal, RpcError};
pub use serve::{Caller, Handler};
pub use shared::MeshEvent;
pub use shelf::{CardEntry, Path, VerifiedBy};
pub use standing::Standing;
pub use store::{CardChange, CardKind, CardStore, StoredCard};
pub use streams::{TaskHandler, TaskStream};
pub use transport::{MeshTransport, secured, tcp_dns_transport, tcp_transport, tcp_transport_through};
