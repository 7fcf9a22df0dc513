//! What to say to peers, and when: the outbox without its tasks, clock and network.
//!
//! Pure, so that a model of many domains says the same things at the same moments as a node does.

use super::retry::Retries;
use comity_ledger::settlement::{Owed, OwedMessage, batches};
use comity_proto::ids::DomainId;
use comity_runtime::Instant;
use std::time::Duration;

/// How often the ledger is asked for everything that is still unanswered.
pub const LOOK: Duration = Duration::from_millis(500);
/// Messages that wait to be sent; more are left for the next look at the ledger.
pub const WAITING: usize = 65_536;

/// What goes to one peer in one batch under one signature.
pub type Said = (DomainId, Vec<OwedMessage>);

/// The memory of one speaker: what it said, and when that is due again.
pub struct Speech {
    retries: Retries,
}

impl Speech {
    /// Nothing was said yet. `chance` gives one byte per draw and shifts every pause a little.
    #[must_use]
    pub fn new(chance: Box<dyn FnMut() -> u8 + Send>) -> Speech {
        Speech { retries: Retries::new(chance) }
    }

    /// An entry owes something new: it is said at once.
    pub fn fresh(&mut self, owed: Vec<Owed>, now: Instant) -> Vec<Said> {
        owed.iter().for_each(|owed| self.retries.said_now(owed.peer, &owed.message, now));
        batches(owed)
    }

    /// A look at the ledger: of everything that it owes, what is due now. What is owed no more is forgotten.
    pub fn due(&mut self, owed: Vec<Owed>, now: Instant) -> Vec<Said> {
        self.retries.begin_round();
        let retries = &mut self.retries;
        let due: Vec<Owed> =
            owed.into_iter().filter(|owed| retries.is_due(owed.peer, &owed.message, now)).take(WAITING).collect();
        retries.end_round();
        batches(due)
    }

    /// The peer can be reached again, or better than before: what waits for it is due at the next look.
    pub fn hurry(&mut self, peer: DomainId) {
        self.retries.hurry(peer);
    }

    /// No leader any more: a new one starts from its ledger alone.
    pub fn fall_silent(&mut self) {
        self.retries.forget_all();
    }
}
