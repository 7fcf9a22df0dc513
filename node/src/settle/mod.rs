//! Settlement on the wire: says what the ledger owes to peers, takes what peers say into the log.
//!
//! The ledger decides and remembers; this module only carries. Saying a thing twice is harmless, forgetting it is mended
//! by asking the ledger again, so nothing here is stored.

pub(crate) mod budget;
pub mod inbound;
pub(crate) mod lanes;
pub mod outbox;
mod retry;
pub mod speech;
pub(crate) mod words;
