//! Every reachable state of one or two transfers between two domains, with their real ledgers.
//!
//! A state is both logs (as the ledgers that they make), how far behind the next leader is, who leads, every message
//! under way, the clocks and whether the domains are cut off. Breadth first over
//!
//! | step | what it stands for |
//! |---|---|
//! | begin, again | a client asks, and asks again under another request id |
//! | deliver, lose, duplicate | the network, in every order; what is not delivered yet is delayed |
//! | dies speaking | the leader dies after an entry is applied, with any part of what it owes unsaid |
//! | retry | a look at the ledger says something again |
//! | crash | the leader dies; until the next one nothing is applied and nothing said |
//! | elect, depose, catch up | the next leader may be one entry behind the log and speaks from there |
//! | tick, pulse | a domain's clock passes `decide_by`, and the leader lets time decide |
//! | suspend | the operator of a participant ends the treaty in the middle: from here on votes are no |
//! | cut, mend | a partition: nothing arrives and what is sent is gone |
//!
//! Applying an entry is a function of ledger and entry, so each is done once by the real ledger and remembered
//! ([`tables`]); equal ledgers are one. Bounds, printed with the result: copies of one message under way, messages under
//! way in all, entries that the next leader is behind. Retries, crashes and elections are not bounded.
//!
//! Every state is checked; and from every pair of ledgers, with nothing under way and nothing but a fair network from
//! there on, both must end ([`heal`]). Losing everything is a step of every state, so no state is a trap.
//!
//! Absent: batches of several messages (any order and loss of single ones covers them), forgetting behind watermarks
//! (the random mode runs for hours), a lost log (no tolerated fault; [`Bounds::forgetful`] shows that it is noticed).

mod heal;
mod search;
mod state;
mod tables;

pub use search::{Found, search};

use std::time::Duration;

/// What is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// An agent of the first domain pays one of the second in the first one's money.
    Out,
    /// An agent of the first domain pays one of the second in the second one's money.
    Back,
    /// Both at once: one goes out while another comes back.
    Crossing,
}

impl Story {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Story::Out => "out",
            Story::Back => "back",
            Story::Crossing => "crossing",
        }
    }
}

/// What may happen at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Copies of one message under way at once.
    pub copies: u32,
    /// Messages under way at once, copies included; what is sent beyond is lost.
    pub in_flight: u32,
    /// Whether leaders crash and change.
    pub leaders: bool,
    /// Whether the domains are cut off.
    pub partition: bool,
    /// Whether operators suspend treaties.
    pub suspend: bool,
    /// States after which the search gives up.
    pub states_max: usize,
    /// A planted fault of the model: a crash loses the newest entry of the log, which no majority may do.
    pub forgetful: bool,
}

impl Bounds {
    /// What one transfer is explored with.
    pub fn single() -> Bounds {
        Bounds {
            copies: 2,
            in_flight: 3,
            leaders: true,
            partition: true,
            suspend: true,
            states_max: 20_000_000,
            forgetful: false,
        }
    }

    /// What two transfers are explored with: a message more is a factor of ten.
    pub fn crossing() -> Bounds {
        Bounds { copies: 1, in_flight: 2, leaders: true, partition: false, suspend: false, ..Bounds::single() }
    }
}

/// What a search saw.
#[derive(Clone, Debug)]
pub struct Summary {
    /// What was explored.
    pub story: Story,
    /// Within what.
    pub bounds: Bounds,
    /// Different states.
    pub states: usize,
    /// Steps from one to another, those that change nothing left out.
    pub transitions: u64,
    /// Steps from the first state to the furthest.
    pub depth: usize,
    /// Different ledgers of the two domains.
    pub ledgers: [usize; 2],
    /// Different messages.
    pub messages: usize,
    /// Entries that a real ledger applied.
    pub applied: usize,
    /// States in which everything has ended.
    pub ends: usize,
    /// Looks at the ledgers, once all is well, after which everything has ended at the latest.
    pub heal_rounds: u32,
    /// Whether nothing was left to explore.
    pub complete: bool,
    /// How long it took.
    pub took: Duration,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { story, bounds, states, transitions, depth, ledgers, messages, applied, .. } = self;
        writeln!(f, "{}: {states} states, {transitions} transitions, depth {depth}", story.name())?;
        writeln!(
            f,
            "  {} and {} ledgers, {messages} messages, {applied} entries applied by real ledgers, {:.1?}",
            ledgers[0], ledgers[1], self.took
        )?;
        writeln!(
            f,
            "  bounds: {} copies of a message, {} under way, a next leader at most 1 entry behind; leaders change: {}, \
             partition: {}, treaties suspended: {}; retries, crashes and elections unbounded",
            bounds.copies, bounds.in_flight, bounds.leaders, bounds.partition, bounds.suspend
        )?;
        write!(
            f,
            "  {} states have ended; from every state all ends within {} looks of a fair network; {}",
            self.ends,
            self.heal_rounds,
            if self.complete { "complete" } else { "NOT COMPLETE: the bound on states was reached" }
        )
    }
}
