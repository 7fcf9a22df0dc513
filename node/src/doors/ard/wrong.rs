//! Refusals in the form of the specification: a code and a sentence.

use crate::service::error::{Kind, ServiceError};
use serde_json::{Value, json};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Invalid,
    NotFound,
    /// A rule of the node, by its kind.
    Rule(Kind),
}

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    what: What,
    message: String,
}

impl Wrong {
    pub(super) fn new(what: What, message: impl Into<String>) -> Wrong {
        Wrong { what, message: message.into() }
    }

    /// Something that nobody can read.
    pub fn invalid(message: impl Into<String>) -> Wrong {
        Wrong::new(What::Invalid, message)
    }

    /// A body that nobody reads to its end.
    pub fn too_large(message: impl Into<String>) -> Wrong {
        Wrong::new(What::Rule(Kind::TooLarge), message)
    }

    const fn codes(&self) -> (u16, &'static str) {
        match self.what {
            What::Invalid | What::Rule(Kind::BadInput) => (400, "INVALID_ARGUMENT"),
            What::Rule(Kind::Unauthenticated) => (401, "UNAUTHENTICATED"),
            What::Rule(Kind::Forbidden) => (403, "PERMISSION_DENIED"),
            What::NotFound | What::Rule(Kind::NotFound) => (404, "NOT_FOUND"),
            What::Rule(Kind::TooLarge) => (413, "INVALID_ARGUMENT"),
            What::Rule(Kind::Busy) => (429, "RATE_LIMIT_EXCEEDED"),
            What::Rule(_) => (500, "INTERNAL_ERROR"),
        }
    }

    /// HTTP's status.
    pub fn status(&self) -> u16 {
        self.codes().0
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        json!({ "errorCode": self.codes().1, "message": self.message })
    }
}

impl From<ServiceError> for Wrong {
    fn from(error: ServiceError) -> Wrong {
        Wrong::new(What::Rule(error.kind), format!("{}: {}; {}", error.code, error.detail, error.next))
    }
}
