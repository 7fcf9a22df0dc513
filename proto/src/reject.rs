//! Why bytes are refused before any ledger looks at them.
//!
//! A `Reject` is the sender's fault, changes no state anywhere, and does not heal by sending the same bytes again.
//! What a ledger refuses is an outcome, not a `Reject`. The list is append-only: a code, once given, keeps its meaning.

use core::fmt;

/// The reason, in order of precedence of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// Longer, or more numerous, than a limit allows. Found before anything was allocated for it.
    TooLarge {
        /// Name of the limit, as in [`crate::limits`], in lower case.
        limit: &'static str,
        /// Its value.
        max: usize,
    },
    /// Not the message it should be: truncated, wrong wire type, not UTF-8.
    Malformed,
    /// Decodes, but is not the one encoding of its content: an unknown field, a trailing byte, a non-minimal varint,
    /// a repeated scalar, a default written out, fields out of order.
    NotCanonical,
    /// A version this program does not speak.
    UnknownVersion {
        /// What was said.
        got: u32,
    },
    /// Another kind of message or a variant this program does not know.
    WrongKind {
        /// Which field or message.
        field: &'static str,
    },
    /// A field that must be there is not.
    Missing {
        /// Which field.
        field: &'static str,
    },
    /// An id, key, hash or signature of the wrong length.
    WrongLength {
        /// Which field.
        field: &'static str,
        /// Bytes asked for.
        want: usize,
        /// Bytes found.
        got: usize,
    },
    /// A number outside its range, or a combination that cannot be meant.
    OutOfRange {
        /// Which field.
        field: &'static str,
    },
    /// A text with characters or a length that its kind does not allow.
    BadText {
        /// Which field.
        field: &'static str,
    },
    /// The signature does not cover these bytes under this context by this key. A message of another context, a
    /// flipped bit and a weak key all look like this.
    BadSignature,
    /// The signature is right, but that key may not say this.
    WrongSigner,
}

impl Reject {
    /// Stable code for machines.
    pub const fn code(&self) -> &'static str {
        match self {
            Reject::TooLarge { .. } => "too_large",
            Reject::Malformed => "malformed",
            Reject::NotCanonical => "not_canonical",
            Reject::UnknownVersion { .. } => "unknown_version",
            Reject::WrongKind { .. } => "wrong_kind",
            Reject::Missing { .. } => "missing_field",
            Reject::WrongLength { .. } => "wrong_length",
            Reject::OutOfRange { .. } => "out_of_range",
            Reject::BadText { .. } => "bad_text",
            Reject::BadSignature => "bad_signature",
            Reject::WrongSigner => "wrong_signer",
        }
    }

    /// Name of the field or limit concerned, if one is.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Reject::TooLarge { limit, .. } => Some(limit),
            Reject::WrongKind { field }
            | Reject::Missing { field }
            | Reject::WrongLength { field, .. }
            | Reject::OutOfRange { field }
            | Reject::BadText { field } => Some(field),
            Reject::Malformed
            | Reject::NotCanonical
            | Reject::UnknownVersion { .. }
            | Reject::BadSignature
            | Reject::WrongSigner => None,
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reject::TooLarge { limit, max } => write!(f, "too large: {limit} is at most {max}"),
            Reject::Malformed => f.write_str("malformed: not the message it should be"),
            Reject::NotCanonical => f.write_str("not canonical: unknown field, trailing byte or a second encoding"),
            Reject::UnknownVersion { got } => write!(f, "unknown version {got}"),
            Reject::WrongKind { field } => write!(f, "wrong kind in {field}"),
            Reject::Missing { field } => write!(f, "missing field {field}"),
            Reject::WrongLength { field, want, got } => write!(f, "{field} has {got} bytes, must have {want}"),
            Reject::OutOfRange { field } => write!(f, "{field} is out of range"),
            Reject::BadText { field } => write!(f, "{field} has characters or a length that are not allowed"),
            Reject::BadSignature => f.write_str("bad signature: not these bytes, not this context, or not this key"),
            Reject::WrongSigner => f.write_str("wrong signer: this key may not say this"),
        }
    }
}

impl core::error::Error for Reject {}

/// Checks a length or count against its limit.
pub(crate) const fn within(len: usize, max: usize, limit: &'static str) -> Result<(), Reject> {
    if len > max { Err(Reject::TooLarge { limit, max }) } else { Ok(()) }
}
