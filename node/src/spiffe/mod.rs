//! X.509-SVIDs (SPIFFE): the identities of the mesh in the form that TLS knows, for the HTTPS door.
//!
//! ```text
//! root key  -> authority of the trust domain   self-signed, a function of the key alone: the bundle has one per root key
//! root key  -> authority of a node             its key is the node's, its serial that of the node certificate
//! node key  -> SVID                            a fresh key, spiffe://DOMAIN/node/PEER-ID, for an hour ([`current`])
//! ```
//! A trust domain is a domain, its name the domain's id, which is the hash of its first root key. So the bundle of a partner
//! follows from the root keys of which the treaty has pinned the first: nothing is fetched, nothing grows stale, and bundles cannot mix,
//! because the id inside a certificate chooses the one key that it is judged by ([`judge`]). What is revoked as a node
//! certificate is revoked here too, since the serials are the same.
//!
//! Only a running process or a command makes certificates: the simulated world has no HTTPS door and none of this runs in
//! it. Absent: JWT-SVIDs, other keys than ed25519, the workload API.

pub mod bundle;
pub mod chain;
pub(crate) mod current;
pub mod id;
mod issue;
pub mod judge;

pub(crate) use current::{CHAIN_FILE, CHAIN_NEXT_FILE, announce};
pub use issue::{Svid, svid};
