//! Treaties: what two operators agreed on, as this ledger knows it, and what it owes the other side about it.
//!
//! ```text
//! invited side                          inviting side
//! propose   one-way                     invitation stands
//!             -- Proposal ---------->   pending
//!                                       approve   mutual
//! mutual      <- Approval -----------
//!             <- Notices ----------->   suspended, draining, revoked, active again
//!             <- Closings ---------->   drained: redeem-only, then closed
//! ```
//! Rules: a document counts once both root keys have signed the same bytes, and only as the next version of the one in
//! force. Each side alone decides what itself does; the other side's word is taken with its signature and only forward in
//! its serial. What was not yet acknowledged by a signed receipt is owed, so a new leader says it again. No state of a
//! treaty ever holds up a transfer that has begun: that is settlement's rule, kept there.
//!
//! | file | holds |
//! |---|---|
//! | [`record`] | what is remembered, and the state that follows from it |
//! | `verbs` | what the operator asks |
//! | [`heard`] | what the other domain says |
//! | [`closing`] | what both sides state when nothing is open any more, and whether it fits |
//! | `owed` | what must be said, derived from the records |
//! | `exports` | what this domain lets the others see, hire and be hired for |
//! | `licences` | how much of it, in signed words with epochs |
//! | `charter` | a domain under a domain: the limits that the child keeps towards others |
//! | `drift` | that both disagree about each other, and that nothing begins meanwhile |

mod charter;
pub mod closing;
mod drift;
mod exports;
pub mod heard;
mod licences;
mod owed;
pub mod record;
mod verbs;

pub use closing::Closing;
pub use drift::Noted;
pub use heard::CheckedPush;
pub use record::{Agreed, Invited, Licensed, Proposed, Treaty, TreatyState, Word};
