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
//! Quarantine is local and simple: this domain's doors begin no transfer to the peer (`peer_in_drift`). What is under way
//! is finished, and nothing local is touched. Absent: digests of exported cards.

mod belief;
mod judge;
mod watch;

pub use judge::{Component, Found};
pub(crate) use watch::{Drifts, answer, run, scan};
pub use watch::{PeerDrift, Quarantine};
