//! Drift: what two treaty partners believe about each other, compared all the time.
//!
//! ```text
//! every five seconds, to one node of each peer:  what I believe -> what it believes, read at one moment
//!   the same          -> nothing is shown
//!   another           -> asked again after a pause in which what is under way arrives
//!   another once more -> drift: shown, written down, and quarantined by rule until both agree again
//! ```
//! Two ledgers are never looked at at the same instant. So a comparison counts only if our own side was the same before
//! the question and after the answer: then the peer's was read at a moment at which ours was known. Transfers in flight are
//! named by both statements and are part of the equation; words about the treaty that are still owed excuse a difference.
//!
//! Cards are compared by digest: what each shows the other against what the other has. What is missing is repaired at once
//! and must be missing for some seconds of that: a card that was just published, or is about to expire, is under way.
//!
//! What was found is noted in the log by whoever leads, with an event. Quarantine: neither the doors of this domain nor its
//! ledger begin a transfer to the peer (`peer_in_drift`). What is under way is finished, and nothing local is touched.
//! Absent: a comparison through a gateway.

mod belief;
mod cards;
mod judge;
mod watch;

pub use judge::{Component, Found};
pub(crate) use watch::{Drifts, answer, run, scan};
pub use watch::{PeerDrift, Quarantine};
