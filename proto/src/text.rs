//! Short texts, each of a kind, checked once when they are made.
//!
//! Texts for machines (names, codes, capabilities) have a small alphabet, so two that look alike are alike. Texts for
//! people may be any Unicode but no control characters and no direction overrides: what is shown is what was signed.

use crate::{limits as l, reject::Reject};
use alloc::{boxed::Box, string::String};
use core::{fmt, ops::Deref, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, de};

fn label(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn code(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn dotted(text: &str) -> bool {
    text.split('.').all(|part| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    })
}

/// No control character but line feed (when allowed), no direction override, no invisible joiner used to disguise.
fn prose(text: &str, lines: bool) -> bool {
    text.chars().all(|c| match c {
        '\n' => lines,
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' => false,
        c => !c.is_control(),
    })
}

fn line(text: &str) -> bool {
    prose(text, false)
}

fn paragraph(text: &str) -> bool {
    prose(text, true)
}

/// Printable ASCII without spaces: addresses and program names.
fn printable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $min:expr, $max:expr, $rule:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Box<str>);

        impl $name {
            /// Shortest and longest length in bytes.
            pub const BYTES: (usize, usize) = ($min, $max);

            /// Checks and makes. The length is checked before anything is copied.
            pub fn new(text: &str) -> Result<$name, Reject> {
                if !(Self::BYTES.0..=Self::BYTES.1).contains(&text.len()) || !$rule(text) {
                    return Err(Reject::BadText { field: $field });
                }
                Ok($name(text.into()))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Reject;
            fn from_str(text: &str) -> Result<$name, Reject> {
                $name::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Reject;
            fn try_from(text: &str) -> Result<$name, Reject> {
                $name::new(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($field)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Visitor)
            }
        }
    };
}

text!(
    /// A name inside a domain: `[a-z0-9-]`, no hyphen at either end. Owned, paid for, unique in its domain.
    Name, "name", 1, l::NAME_BYTES_MAX, label
);
text!(
    /// A nickname: `[a-z0-9-]`, no hyphen at either end. Display only, never unique, never trusted.
    Nickname, "nickname", 1, l::NICKNAME_BYTES_MAX, label
);
text!(
    /// A referral code: `[A-Z0-9]`.
    ReferralCode, "referral_code", l::CODE_BYTES_MIN, l::CODE_BYTES_MAX, code
);
text!(
    /// Label of a sub-network: `[a-z0-9-]`.
    GroupLabel, "group_label", 1, l::GROUP_LABEL_BYTES_MAX, label
);
text!(
    /// One line for people; may be empty.
    Memo, "memo", 0, l::MEMO_BYTES_MAX, line
);
text!(
    /// When the payer will release, in words; may be empty, may have several lines.
    Condition, "condition", 0, l::CONDITION_BYTES_MAX, paragraph
);
text!(
    /// What an agent can do, such as `text.statistics`: parts of `[a-z0-9_-]` joined by points.
    Capability, "capability", 1, l::CAPABILITY_BYTES_MAX, dotted
);
impl Capability {
    /// Whether the other one is this, or below it: `text` covers `text.statistics`.
    pub fn covers(&self, other: &Capability) -> bool {
        let below = other.as_str().strip_prefix(self.as_str());
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

text!(
    /// What an agent says about itself; may be empty.
    Description, "description", 0, l::DESCRIPTION_BYTES_MAX, paragraph
);
text!(
    /// A multiaddress or URL: printable ASCII. A hint where to dial, never a proof of who answers.
    Endpoint, "endpoint", 1, l::ENDPOINT_BYTES_MAX, printable
);
text!(
    /// Program and version, such as `comity/0.1.0`.
    AgentString, "agent_string", 1, l::AGENT_STRING_BYTES_MAX, printable
);
text!(
    /// Why a task failed, for people.
    Reason, "reason", 0, l::REASON_BYTES_MAX, paragraph
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_for_machines_have_a_small_alphabet() {
        assert!(Name::new("translator-2").is_ok());
        for text in ["", "-a", "a-", "Upper", "a.b", "a b", "é", &"a".repeat(33)] {
            assert_eq!(Name::new(text), Err(Reject::BadText { field: "name" }), "{text}");
        }
        assert!(Capability::new("text.statistics").is_ok());
        for text in ["", ".", "a.", ".a", "a..b", "A", "a b"] {
            assert_eq!(Capability::new(text), Err(Reject::BadText { field: "capability" }), "{text}");
        }
        assert!(ReferralCode::new("ACME7").is_ok());
        for text in ["AB", "acme", "ABCDEFGHIJKLMNOPQ", "A-B"] {
            assert_eq!(ReferralCode::new(text), Err(Reject::BadText { field: "referral_code" }), "{text}");
        }
    }

    #[test]
    fn texts_for_people_cannot_disguise_themselves() {
        assert!(Memo::new("für die Übersetzung 🎉").is_ok() && Memo::new("").is_ok());
        for text in ["a\nb", "a\u{7f}", "\u{202E}evil", "zero\u{200B}width", "\0"] {
            assert_eq!(Memo::new(text), Err(Reject::BadText { field: "memo" }), "{text:?}");
        }
        assert!(Condition::new("first\nsecond").is_ok());
        assert!(Memo::new(&"x".repeat(140)).is_ok() && Memo::new(&"x".repeat(141)).is_err());
    }

    #[test]
    fn a_text_from_json_is_checked_as_well() {
        let good: Result<Name, _> = serde_json::from_str("\"acme\"");
        assert!(good.is_ok_and(|n| n.as_str() == "acme"));
        let bad: Result<Name, _> = serde_json::from_str("\"Ac me\"");
        assert!(bad.is_err());
    }
}
