//! PostgreSQL as the thing a user would pick instead: throw-away clusters, the same operations as SQL, `pgbench`.
//!
//! Schema, functions and scripts are in `sql/`; the settings are those of a careful user who wants no acknowledged loss
//! (`fsync` and `synchronous_commit` on). The clusters live in a directory of their own, listen on loopback only and are
//! removed when the bench ends, however it ends.

mod cluster;
mod installation;
mod pgbench;
#[cfg(feature = "bench-postgres")]
mod two_clusters;

pub use cluster::Cluster;
pub use installation::Installation;
pub use pgbench::Script;
#[cfg(feature = "bench-postgres")]
pub use two_clusters::{Protocol, TwoClusters};
