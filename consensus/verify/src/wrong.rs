//! Every refusal of the verifier: where, which rule, what was seen.

use std::fmt;

/// Where a document is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the first event: form, keys, roster, checkpoint.
    Head,
    /// The event with this index, from 0.
    Event(u64),
    /// Behind the last event: what all of them together must be.
    End,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Head => f.write_str("head"),
            Place::Event(index) => write!(f, "event {index}"),
            Place::End => f.write_str("end"),
        }
    }
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal,)*) => {
        /// A rule that a document can break. The names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rule {
            $($(#[doc = $doc])* $variant,)*
        }

        impl Rule {
            /// Every rule, in the order in which they are checked.
            pub const ALL: &[Rule] = &[$(Rule::$variant,)*];

            /// Stable name for machines.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Rule::$variant => $name,)* }
            }
        }
    };
}

rules! {
    /// The file is not of a kind that this program knows.
    NotADocument = "not_a_document",
    /// A version that this program does not speak.
    UnknownVersion = "unknown_version",
    /// The system could not read on.
    Unreadable = "unreadable",
    /// A length above its limit.
    TooLarge = "too_large",
    /// It ends too early.
    Truncated = "truncated",
    /// Bytes behind the end.
    TrailingBytes = "trailing_bytes",
    /// The domain's id is not the hash of the first root key.
    DomainKey = "domain_key",
    /// The roster is not one that a root key signed for this domain.
    Roster = "roster",
    /// The checkpoint's signature does not cover it.
    CheckpointSignature = "checkpoint_signature",
    /// The checkpoint is of another domain, or its signer is not in the roster.
    CheckpointSigner = "checkpoint_signer",
    /// The older checkpoint is of another domain.
    OtherDomain = "other_domain",
    /// The older checkpoint has more events than this one: history was cut.
    Shrunk = "shrunk",
    /// Two signed checkpoints of one size with different roots: the domain said two things.
    SameSizeOtherRoot = "same_size_other_root",
    /// The short proof is refused; the detail begins with the name of the reason.
    Proof = "proof",
    /// The document is about another size than the checkpoint that it is held against.
    OtherSize = "other_size",
    /// The two checkpoints do not contradict each other: nobody is accused.
    NoContradiction = "no_contradiction",
    /// The event's bytes are not those that were exported.
    Mark = "mark",
    /// The bytes are no event.
    Malformed = "malformed",
    /// They decode, but are not the one encoding of the event.
    NotCanonical = "not_canonical",
    /// Entries or the events of an entry are out of order.
    Order = "order",
    /// Ledger time runs backwards.
    Time = "time",
    /// The history does not begin with the domain's beginning, or has two.
    Genesis = "genesis",
    /// An asset is numbered wrongly, known twice or not at all.
    Asset = "asset",
    /// A roster's epoch does not rise, or the file's roster is older than the last one of the history.
    RosterEpoch = "roster_epoch",
    /// A key takes a step that may not follow the ones before it; the detail begins with the name of the ledger's refusal.
    KeyStep = "key_step",
    /// The file's roster is signed by a root key that counts no more, or by none of this history.
    RootKey = "root_key",
    /// The legs of a posting do not sum to zero.
    SumZero = "sum_zero",
    /// A balance below zero, or an issuance above it.
    NegativeBalance = "negative_balance",
    /// A balance beyond 64 bits.
    Overflow = "overflow",
    /// Money of an agent that never registered.
    UnknownAgent = "unknown_agent",
    /// The supply of an own asset changes without an issue or a burn of that amount.
    Supply = "supply",
    /// More of an asset than its published cap.
    SupplyCap = "supply_cap",
    /// A closing statement is not what the events come to, or a treaty is drained without two that fit.
    Statement = "statement",
    /// Another domain's event is not proved, is no business of this domain, or is out of order; the detail begins with the
    /// name of the reason.
    Projection = "projection",
    /// The history does not lead to the older checkpoint's root.
    Rewritten = "rewritten",
    /// The history does not lead to the checkpoint's root.
    Root = "root",
    /// The checkpoint claims a moment before its last event.
    CheckpointBehind = "checkpoint_behind",
}

/// Why a document is refused: the first thing that is wrong in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where.
    pub place: Place,
    /// Which rule.
    pub rule: Rule,
    /// What was seen.
    pub detail: String,
}

impl Wrong {
    /// A refusal.
    pub fn new(place: Place, rule: Rule, detail: impl Into<String>) -> Wrong {
        Wrong { place, rule, detail: detail.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.rule.name(), self.detail)
    }
}

impl std::error::Error for Wrong {}
