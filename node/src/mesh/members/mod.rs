//! Who lives: suspicion and refutation, as a pure machine.
//!
//! ```text
//! words and signs of life, time -> machine -> pings, questions to helpers, accusations, refutations
//! ```
//! It is SWIM over the connections that a node has anyway, with Lifeguard's local health. Every connected member is
//! pinged when it has been quiet for a period. One that does not answer is asked for through a few others. If nobody
//! reaches it, its signed accusation goes to everybody by gossip, the accused among them: any heartbeat with a higher
//! sequence refutes it. Accusations without refutation make a member *failed* after a time that shrinks with the number
//! of independent accusers and grows while our own health is bad.
//!
//! | rule | why |
//! |---|---|
//! | everything is about one sequence of the member; the higher one always wins | words may come late, twice, in any order |
//! | first hand beats hearsay: who answers us lives, whoever accuses it | one liar cannot part two that can talk |
//! | `leave` is said by the leaver alone and is never a failure | an operator who stops a node causes no alarm |
//! | a failed member stays in the table, and any later heartbeat brings it back | a cut that heals leaves no orphans |
//! | after a pause of our own all waiting begins anew | who slept has not listened |
//!
//! Deliberately absent: clocks, chance, signatures and sending. `membership` and `vigil` do those.

mod health;
mod machine;
mod record;
#[cfg(test)]
mod tests;
mod timing;
mod watch;

pub(crate) use machine::{Input, Machine, Output};
pub use record::State;
pub(crate) use record::Voice;
pub(crate) use timing::Timing;
