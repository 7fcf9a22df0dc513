//! Keys of a domain and of a node: kept, renewed, used where there is no network.
//!
//! | key | where | how it changes |
//! |---|---|---|
//! | root | `domain.key`, sealed with a passphrase ([`sealed`]) or plain by choice | prepare, activate, retire, revoke; the domain's id stays the hash of the first one, and `domain.links` leads from it |
//! | operator | `operator.key` | prepare, activate, retire, revoke ([`rotation`]) |
//! | node | `node.key` | the same; the node keeps its place among the voters |
//! | certificate of the node | `node.cert` | prepare, activate, retire ([`renewal`]), revoke ([`revocation`]) |
//!
//! The root key certifies, and signs rosters and treaties; nothing else needs it. So it may lie on a machine without a
//! network: a node writes a request, the other machine answers with a certificate, both are short texts ([`request`]). A
//! node whose root key is sealed starts without a passphrase too: it runs, and refuses what only the root key can sign.
//!
//! The same certificates in the form of TLS are made by `spiffe`.

pub mod passphrase;
pub mod renewal;
pub mod request;
pub mod revocation;
pub mod root;
pub mod rotation;
pub mod sealed;
