//! Bugs that are there on purpose, to see whether the simulator's oracles find them.
//!
//! Without the feature `planted` [`planted`] is `false` for the compiler, and what stands behind it is not in the
//! program. With it one bug at a time is chosen by name when a process starts. No node is ever built with it.

macro_rules! plants {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// One planted bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Plant {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Plant {
            /// All of them.
            pub const ALL: &'static [Plant] = &[$(Plant::$variant,)+];

            /// Its name, as in `--plant NAME`.
            pub const fn name(self) -> &'static str {
                match self { $(Plant::$variant => $name,)+ }
            }

            /// What is wrong, in words.
            pub const fn about(self) -> &'static str {
                match self { $(Plant::$variant => concat!($($doc),+),)+ }
            }
        }
    };
}

plants! {
    /// The log is written but not flushed before it is acknowledged.
    SkipSync = "skip-sync";
    /// A leader answers when the entry is in its own log, not when a majority has it.
    AckEarly = "ack-early";
    /// A vote is kept in memory only.
    ForgetVote = "forget-vote";
    /// Answers of one entry go to the wrong requests.
    CrossedAnswers = "crossed-answers";
    /// A linearizable read answers from the local state without asking the leader.
    StaleRead = "stale-read";
    /// A snapshot leaves the names out.
    SnapshotGap = "snapshot-gap";
    /// Every seventh event is not stored.
    LostRow = "lost-row";
    /// Request ids are not remembered.
    NoRequestMemory = "no-request-memory";
    /// Bytes with a wrong signature are taken for good ones.
    AcceptUnsigned = "accept-unsigned";
    /// A payer may spend more than it has.
    Overdraft = "overdraft";
    /// The fee of a release is rounded up.
    FeeRoundedUp = "fee-rounded-up";
    /// Delivery deadlines of escrows fall a second early.
    RefundEarly = "refund-early";
    /// A release with the hash of another result is taken.
    AnyHash = "any-hash";
    /// A payer may release in the middle of a dispute.
    ReleaseInDispute = "release-in-dispute";
    /// A name that somebody owns may be registered by another.
    NameTakenOver = "name-taken-over";
    /// A participant gives up two seconds after its yes vote.
    UnlockAfterYes = "unlock-after-yes";
    /// An origin commits although the deadline has passed.
    CommitLate = "commit-late";
    /// A transfer begins again under an id that is in use.
    DoubleBegin = "double-begin";
    /// A prepare that was answered is voted on again.
    VoteTwice = "vote-twice";
    /// A repeated commit is posted again.
    CreditTwice = "credit-twice";
    /// A vote of no is taken for a yes.
    NoIsYes = "no-is-yes";
    /// Of two participants the first yes commits.
    OneYesOfTwo = "one-yes-of-two";
    /// The payee's domain mints a third domain's money as soon as the origin commits.
    MintUnbacked = "mint-unbacked";
    /// What is owed is said once and never again.
    SaidOnce = "said-once";
    /// An older card takes the place of a newer one.
    OlderCard = "older-card";
    /// Cards go by gossip alone: neighbours never compare what they hold.
    NoRepair = "no-repair";
    /// Every settlement batch leaves a task behind that never ends.
    LeakTask = "leak-task";
    /// A peer is shown cards that no rule admits it to.
    ExportBlind = "export-blind";
    /// What a peer says about the treaty does not bind this side.
    PeerUnheeded = "peer-unheeded";
    /// A change of a treaty is kept to oneself.
    TreatyUntold = "treaty-untold";
    /// Two decisions for one transfer are no reason to stop.
    TwoWordsTaken = "two-words-taken";
    /// A proof against a peer is kept to oneself.
    ProofUntold = "proof-untold";
    /// What two treaty partners believe of each other is compared and never differs.
    DriftBlind = "drift-blind";
    /// A peer that has drifted is paid like any other.
    DriftOpen = "drift-open";
    /// What a peer shows of its log is taken without its proof.
    ProjectionUnproved = "projection-unproved";
    /// A closing statement is made while transfers are open.
    CloseInDoubt = "close-in-doubt";
    /// A key counts no more as soon as the next one acts.
    NoOverlap = "no-overlap";
    /// How a large payment ended is taken from one voter.
    OneWord = "one-word";
    /// A card that came through a gateway is held for one that its home brought.
    NoPassage = "no-passage";
    /// Certificates that were taken back go on counting.
    TakenBackCounts = "taken-back-counts";
    /// A domain's card rounds what it says of money.
    RoundedSupply = "rounded-supply";
    /// A restored domain begins without its fence.
    NoFence = "no-fence";
    /// What an escrow had paid before a restore is neither taken over nor remembered, and is paid again.
    PaidAgain = "paid-again";
    /// A leader stamps entries with its own clock alone, also where it is behind.
    OwnClock = "own-clock";
}

#[cfg(feature = "planted")]
mod chosen {
    use super::Plant;
    use core::sync::atomic::{AtomicU8, Ordering};

    /// One more than the chosen plant; 0 for none.
    static CHOSEN: AtomicU8 = AtomicU8::new(0);

    /// Switches one bug on, or all off. Once, before anything runs.
    pub fn plant(plant: Option<Plant>) {
        CHOSEN.store(plant.map_or(0, |plant| (plant as u8).saturating_add(1)), Ordering::Relaxed);
    }

    /// Whether this bug is switched on.
    #[must_use]
    pub fn planted(plant: Plant) -> bool {
        CHOSEN.load(Ordering::Relaxed) == (plant as u8).saturating_add(1)
    }
}

#[cfg(feature = "planted")]
pub use chosen::{plant, planted};

/// Whether this bug is switched on: never, in a program for people.
#[cfg(not(feature = "planted"))]
#[must_use]
#[inline(always)]
pub const fn planted(_plant: Plant) -> bool {
    false
}
