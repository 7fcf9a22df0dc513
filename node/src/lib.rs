//! The node: everything that touches the world.
//!
//! Doors (`cli`, `http`) call `service`, one function per user verb; `service` speaks to the replica (what the domain
//! agrees the money did), to the mesh (who is there, what travels) and to the task desk. `effects` sends what the
//! ledger owes, `inbound` takes what others sent; `witness` checks the histories of peers. No rule about money lives here: those are in `comity-ledger`.
//!
//! Deliberately absent: the simulator (it boots this library), any decision about money, any second way to reach time,
//! randomness, files or sockets than `runtime`, `storage` and `mesh`.

#![forbid(unsafe_code)]

pub mod address;
pub mod bench;
mod boundary;
pub mod bridge;
pub mod cli;
pub mod config;
pub mod custody;
pub mod dev;
pub mod doors;
pub mod drift;
pub mod founding;
pub mod home;
pub mod http;
pub mod join;
pub mod keyring;
pub mod mesh;
pub mod metrics;
pub mod node;
pub mod payment_request;
pub mod registry;
pub mod run;
pub mod runtime;
pub mod service;
mod serving;
pub mod settle;
pub mod signer;
pub mod spiffe;
pub mod storage;
pub mod tasks;
pub mod telemetry;
mod treaty;
mod trust;
mod wallet;
mod webhook;
pub mod witness;
