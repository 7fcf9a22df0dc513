//! One domain's replication: openraft around the ledger.
//!
//! ```text
//! submit -> propose (judge, batch, stamp) -> openraft -> log_store (flush) -> majority -> state_machine -> reply
//!                                                                                      \-> notices, store
//! ```
//! | module | holds |
//! |---|---|
//! | [`Replica`] | the handle: founding, submitting, reading, members, status |
//! | [`links`] | how members are reached, as a trait |
//! | `propose`, `clock`, `pulse` | what a leader does: batches, the domain's time, due deadlines |
//! | `state_machine`, `checks` | applying, with signatures judged in parallel on every member |
//! | `snapshot`, [`wal`], [`log_store`] | what is durable |
//! | [`store`] | events, their Merkle nodes and evidence |
//! | [`raft_runtime`], [`types`] | what openraft is run with |
//! | [`Onlooker`] | what may be seen of it from outside |
//!
//! Absent on purpose: sockets, files, keys, clocks and tasks of its own (all through the runtime facade and [`Links`]),
//! and any rule about money.

#![forbid(unsafe_code)]

// The tests inside share their support with the tests outside, which know the crate by its name.
#[cfg(test)]
extern crate self as comity_replica;

pub mod backup;
mod checks;
mod clock;
mod config;
mod elections;
mod fill;
mod frames;
mod leader;
pub mod links;
pub mod log_store;
mod membership;
mod network;
mod observe;
mod propose;
mod pulse;
pub mod raft_runtime;
mod read;
pub mod redb_disk;
mod replica;
mod serve;
mod snapshot;
mod state_machine;
pub mod store;
mod submit;
mod tally;
#[cfg(test)]
mod tests;
pub mod types;
pub mod wal;

pub use clock::{Stamp, stamp};
pub use config::ReplicaConfig;
pub use links::{LinkClass, LinkError, LinkHandler, Links};
pub use membership::{Member, MembershipError, RaftStatus, Role};
pub use observe::{LogLine, Onlooker, RaftSight};
pub use propose::{SubmitError, SubmitReply};
pub use read::ReadError;
pub use replica::{InitializeFailed, OpenError, Replica};
pub use snapshot::SnapshotError;
pub use state_machine::{AppliedAt, Notice};
pub use store::{EventKey, EventStore, StoreError, StoredEvent};
pub use tally::{Ends, TallyView};
pub use types::NodeInfo;
