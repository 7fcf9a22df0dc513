//! One state of the search, small enough for millions, and the steps between states.

/// Index of a ledger among those of its domain.
pub(super) type LedgerId = u16;
/// Index of a message: its bit in the masks.
pub(super) type MessageId = u8;
/// Messages that a search can tell apart.
pub(super) const MESSAGES_MAX: usize = 64;

/// Who speaks for a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Leader {
    /// Nobody: entries wait, nothing is said.
    Nobody,
    /// One that has applied the whole log.
    UpToDate,
    /// A new one that is where the follower is.
    Behind,
}

/// One domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Home {
    /// What the whole log makes.
    pub(super) log: LedgerId,
    /// What the part of it makes that the next leader has applied.
    pub(super) follower: LedgerId,
    pub(super) leader: Leader,
    /// The clock has passed `decide_by`.
    pub(super) late: bool,
}

/// One state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) homes: [Home; 2],
    /// Messages of which a copy is under way.
    pub(super) under_way: u64,
    /// Messages of which a second copy is under way.
    pub(super) twice: u64,
    /// The domains cannot reach each other.
    pub(super) cut: bool,
}

impl State {
    /// How many messages are under way.
    pub(super) fn in_flight(&self) -> u32 {
        self.under_way.count_ones() + self.twice.count_ones()
    }

    /// Puts a message on its way, if there is room; else it is lost.
    pub(super) fn send(&mut self, message: MessageId, copies: u32, in_flight: u32) {
        let bit = 1 << message;
        if self.cut || self.in_flight() >= in_flight {
            return;
        }
        if self.under_way & bit == 0 {
            self.under_way |= bit;
        } else if copies > 1 {
            self.twice |= bit;
        }
    }

    /// Takes one copy off its way.
    pub(super) fn take(&mut self, message: MessageId) {
        let bit = 1 << message;
        if self.twice & bit != 0 {
            self.twice &= !bit;
        } else {
            self.under_way &= !bit;
        }
    }
}

/// What leads from one state to another; the number is a domain or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Start,
    Begin(u8),
    Again(u8),
    Suspend(u8),
    Deliver(MessageId),
    /// The entry of the step before is applied, and the leader dies before it has said everything that it owes.
    DiesSpeaking(u8),
    Lose(MessageId),
    Duplicate(MessageId),
    Retry(MessageId),
    Crash(u8),
    CrashForgetting(u8),
    Elect(u8),
    Depose(u8),
    CatchUp(u8),
    Tick(u8),
    Pulse(u8),
    Cut,
    Mend,
}

/// The bits of a mask.
pub(super) fn bits(mut mask: u64) -> impl Iterator<Item = MessageId> {
    std::iter::from_fn(move || {
        let bit = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (bit < 64).then_some(bit as MessageId)
    })
}
