//! One shape for everything that a door refuses: who, which rule, whether anything changed, what to do next.

/// What kind of refusal it is; doors map it to their own status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request itself is malformed.
    BadInput,
    /// No or wrong credentials.
    Unauthenticated,
    /// Known, but not allowed.
    Forbidden,
    /// Nothing of that name here.
    NotFound,
    /// It clashes with what is already recorded.
    Conflict,
    /// Understood, and refused by a rule of the ledger.
    Refused,
    /// Over a limit.
    TooLarge,
    /// Over a rate or a queue's length.
    Busy,
    /// This node cannot answer now (no leader, no majority, peer away).
    Unavailable,
    /// No answer in time: it may or may not have happened.
    Unknown,
    /// A defect of this node.
    Internal,
}

/// Whether the refused request left a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Nothing changed.
    No,
    /// It may have happened: repeat it with the same request id to learn.
    Unknown,
}

/// A refusal.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct ServiceError {
    /// Which kind.
    pub kind: Kind,
    /// The rule, in snake case; stable.
    pub code: String,
    /// What happened, in a sentence, naming the thing.
    pub detail: String,
    /// Whether anything changed.
    pub changed: Changed,
    /// What to do next.
    pub next: String,
}

impl ServiceError {
    /// Nothing changed.
    pub fn new(kind: Kind, code: impl Into<String>, detail: impl Into<String>, next: impl Into<String>) -> Self {
        let changed = if kind == Kind::Unknown { Changed::Unknown } else { Changed::No };
        ServiceError { kind, code: code.into(), detail: detail.into(), changed, next: next.into() }
    }

    /// A malformed field.
    pub fn bad_input(code: &str, detail: impl Into<String>) -> Self {
        Self::new(Kind::BadInput, code, detail, "correct the request and send it again")
    }

    /// Nothing of that name.
    pub fn not_found(what: &str, name: impl std::fmt::Display) -> Self {
        let code = format!("unknown_{what}");
        Self::new(Kind::NotFound, code, format!("no {what} {name} here"), "check the id, or ask its home domain")
    }
}
