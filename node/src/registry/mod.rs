//! The registry card: what a domain says about itself, in JSON that everybody can fetch, read and verify.
//!
//! ```text
//! ledger + operator's words -> document -> JWS by a voter -> domain card -> gossip -> every node's shelf
//!                                                                                  \-> /.well-known/registry-card.json
//! ```
//! The document names its domain, and the domain's id is the hash of its root key: the root key inside is proved by the id
//! that the reader expects, the roster by the root key, the signature by a voter of the roster. Nothing is fetched from
//! an address in it, and a header that brings a key is refused ([`verify`]).
//!
//! Two parts. What the operator decides (policy, fees, addresses, who it shows) is the *version*: its hash is the ETag, so
//! a poll costs a 304 until somebody decides something. Figures (supply, checkpoint, roster) move under one version;
//! each says of which moment it is. What is unknown is null, never zero.
//!
//! Absent: fetching the cards of others over HTTP (they come by gossip and repair), and any rule that follows from a card.

pub mod document;
pub mod json;
pub mod profile;
mod show;
mod verify;

pub use show::{Rendered, Shown, tend};
pub(crate) use show::{not_made_yet, votes};
pub(crate) use verify::signature as signature_of;
pub use verify::{Judged, Wrong, is_carried_by, taken_back, verify};
