//! Identifiers: what is named, by how many bytes, and in which text form.
//!
//! A domain or agent is named for ever by the hash of its first key; the current key may rotate, the id does not.
//! Text form of hashed ids: `cm1` + base32 (lower case, RFC 4648 alphabet, no padding) of the 32 id bytes followed by
//! 3 checksum bytes. The checksum covers the kind, so a domain id typed where an agent id belongs is refused.
//! Client-chosen ids (requests, escrows, transfers) are 32 hex digits, hashes 64, keys `did:key:z…`.
//!
//! Formats for people (JSON) carry the text form, formats for machines the bare bytes.

use crate::limits::ID_PREFIX_CHARS_MIN;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, str::FromStr};
use data_encoding::{BASE32_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// Why a text is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Does not look like this kind of id at all.
    #[error("not {want}: {form}")]
    NotAnId {
        /// What was wanted.
        want: &'static str,
        /// How it looks.
        form: &'static str,
    },
    /// A hashed id whose checksum is wrong: a typing error.
    #[error("a character of this {want} is wrong (checksum)")]
    Checksum {
        /// What was wanted.
        want: &'static str,
    },
    /// A good id of another kind.
    #[error("this is the id of {got}, wanted {want}")]
    WrongKind {
        /// What was wanted.
        want: &'static str,
        /// What it is.
        got: &'static str,
    },
}

impl IdError {
    /// Stable code for machines.
    pub const fn code(&self) -> &'static str {
        match self {
            IdError::NotAnId { .. } => "not_an_id",
            IdError::Checksum { .. } => "id_checksum",
            IdError::WrongKind { .. } => "wrong_kind_of_id",
        }
    }
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;
            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = core::array::TryFromSliceError;
            fn try_from(bytes: &[u8]) -> Result<$name, Self::Error> {
                bytes.try_into().map($name)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(TextVisitor(core::marker::PhantomData))
                } else {
                    <[u8; $len]>::deserialize(deserializer).map($name)
                }
            }
        }
    };
}

struct TextVisitor<T>(core::marker::PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for TextVisitor<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id in its text form")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

bytes_id!(
    /// An ed25519 public key, as it travels; it may still be no valid point.
    PublicKey, 32
);
bytes_id!(
    /// SHA-256.
    Hash, 32
);
bytes_id!(
    /// An agent, named by the hash of its first key.
    AgentId, 32
);
bytes_id!(
    /// A domain, named by the hash of its first root key.
    DomainId, 32
);
bytes_id!(
    /// Chosen by the client for one command; scoped to the signer.
    RequestId, 16
);
bytes_id!(
    /// Chosen by the payer at lock.
    EscrowId, 16
);
bytes_id!(
    /// Chosen by the payer, or derived from an escrow's payout.
    TransferId, 16
);
bytes_id!(
    /// Chosen by the orchestrator for one task.
    TaskId, 16
);

macro_rules! hex_id {
    ($name:ident, $want:literal, $form:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&HEXLOWER.encode(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<$name, IdError> {
                from_hex(text).map($name).ok_or(IdError::NotAnId { want: $want, form: $form })
            }
        }
    };
}

hex_id!(Hash, "a SHA-256 hash", "64 hex digits");
hex_id!(RequestId, "a request id", "32 hex digits");
hex_id!(EscrowId, "an escrow id", "32 hex digits");
hex_id!(TransferId, "a transfer id", "32 hex digits");
hex_id!(TaskId, "a task id", "32 hex digits");

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    // The length is checked before the decoder allocates for it.
    (text.len() == N.checked_mul(2)?).then_some(())?;
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok()
}

impl Hash {
    /// SHA-256 of bytes.
    pub fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// SHA-256 of `context || 0x00 || parts…`. The context says what is hashed, so that equal bytes of two kinds never
    /// have equal hashes; the parts must have fixed lengths or carry their own.
    pub fn of_parts(context: &str, parts: &[&[u8]]) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(context.as_bytes());
        hasher.update([0]);
        for part in parts {
            hasher.update(part);
        }
        Hash(hasher.finalize().into())
    }

    /// The first 16 bytes, for ids derived from content.
    pub fn first_16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(self.0).for_each(|(to, from)| *to = from);
        bytes
    }
}

const AGENT: &str = "an agent";
const DOMAIN: &str = "a domain";
const KINDS: [&str; 2] = [AGENT, DOMAIN];
const HASHED_FORM: &str = "cm1 and 56 letters and digits";
const PREFIX: &str = "cm1";
const CHECKSUM_BYTES: usize = 3;

fn checksum(kind: &str, id: &[u8; 32]) -> [u8; CHECKSUM_BYTES] {
    let hash = Hash::of_parts("comity/v1/id-checksum", &[kind.as_bytes(), &[0], id]);
    let mut sum = [0; CHECKSUM_BYTES];
    sum.iter_mut().zip(hash.0).for_each(|(to, from)| *to = from);
    sum
}

fn hashed_text(kind: &str, id: &[u8; 32]) -> String {
    let mut bytes = Vec::from(id.as_slice());
    bytes.extend_from_slice(&checksum(kind, id));
    let mut text = BASE32_NOPAD.encode(&bytes);
    text.make_ascii_lowercase();
    format!("{PREFIX}{text}")
}

fn parse_hashed(want: &'static str, text: &str) -> Result<[u8; 32], IdError> {
    let no = IdError::NotAnId { want, form: HASHED_FORM };
    let body = text.strip_prefix(PREFIX).ok_or(no)?;
    if body.len() != 56 || body.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(no);
    }
    let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| no)?;
    let (id, sum) = bytes.split_first_chunk::<32>().ok_or(no)?;
    if sum == checksum(want, id) {
        return Ok(*id);
    }
    match KINDS.into_iter().find(|kind| sum == checksum(kind, id)) {
        Some(got) => Err(IdError::WrongKind { want, got }),
        None => Err(IdError::Checksum { want }),
    }
}

macro_rules! hashed_id {
    ($name:ident, $kind:expr, $context:literal) => {
        impl $name {
            /// The id that a first key gives, for ever.
            pub fn of_key(key: &PublicKey) -> $name {
                $name(Hash::of_parts($context, &[&key.0]).0)
            }

            /// The first characters of the text form, for tables.
            pub fn short(&self) -> String {
                self.to_string().chars().take(12).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&hashed_text($kind, &self.0))
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<$name, IdError> {
                parse_hashed($kind, text).map($name)
            }
        }
    };
}

hashed_id!(AgentId, AGENT, "comity/v1/id/agent");
hashed_id!(DomainId, DOMAIN, "comity/v1/id/domain");

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&crate::keys::did_key(self))
    }
}

impl FromStr for PublicKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<PublicKey, IdError> {
        crate::keys::parse_did_key(text)
    }
}

impl PublicKey {
    /// The 64 hex digits, for file names and logs.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

/// Why a prefix names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// Fewer characters than [`ID_PREFIX_CHARS_MIN`] after `cm1`.
    #[error("too short: type at least {ID_PREFIX_CHARS_MIN} characters after cm1")]
    TooShort,
    /// Nothing known begins like this.
    #[error("nothing known begins like this")]
    Unknown,
    /// More than one begins like this.
    #[error("ambiguous: {count} begin like this; type more characters")]
    Ambiguous {
        /// How many.
        count: usize,
    },
}

/// Finds the one id whose text form begins with `prefix` (with or without `cm1`).
pub fn by_prefix<T: fmt::Display>(prefix: &str, known: impl IntoIterator<Item = T>) -> Result<T, PrefixError> {
    let bare = prefix.strip_prefix(PREFIX).unwrap_or(prefix);
    if bare.len() < ID_PREFIX_CHARS_MIN {
        return Err(PrefixError::TooShort);
    }
    let fits = |id: &T| {
        let text = id.to_string();
        text.strip_prefix(PREFIX).unwrap_or(&text).starts_with(bare)
    };
    let mut found = known.into_iter().filter(fits);
    let first = found.next().ok_or(PrefixError::Unknown)?;
    match found.count() {
        0 => Ok(first),
        more => Err(PrefixError::Ambiguous { count: more.saturating_add(1) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashed_id_survives_its_text_form() {
        let id = AgentId::of_key(&PublicKey([7; 32]));
        let text = id.to_string();
        assert_eq!(text.len(), 59);
        assert!(text.starts_with("cm1"));
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(serde_json::to_string(&id).ok(), Some(format!("\"{text}\"")));
    }

    #[test]
    fn a_typing_error_or_another_kind_is_named() {
        let key = PublicKey([7; 32]);
        let agent = AgentId::of_key(&key).to_string();
        let domain = DomainId::of_key(&key).to_string();
        assert_eq!(domain.parse::<AgentId>(), Err(IdError::WrongKind { want: AGENT, got: DOMAIN }));
        assert_eq!(agent.parse::<DomainId>(), Err(IdError::WrongKind { want: DOMAIN, got: AGENT }));
        let typo = agent.replacen(&agent[10..11], if &agent[10..11] == "a" { "b" } else { "a" }, 1);
        assert_eq!(typo.parse::<AgentId>(), Err(IdError::Checksum { want: AGENT }));
        for text in ["", "cm1", "cm1aaaa", &agent.to_uppercase(), &agent[1..], &format!("{agent}a")] {
            assert!(matches!(text.parse::<AgentId>(), Err(IdError::NotAnId { .. })), "{text}");
        }
        assert!(matches!("00".parse::<EscrowId>(), Err(IdError::NotAnId { .. })));
        assert_eq!("0f".repeat(16).parse(), Ok(EscrowId([15; 16])));
    }

    #[test]
    fn a_prefix_names_one_or_none() {
        let ids: Vec<AgentId> = (0..50).map(|n| AgentId::of_key(&PublicKey([n; 32]))).collect();
        let text = ids[3].to_string();
        assert_eq!(by_prefix(&text[..15], ids.clone()), Ok(ids[3]));
        assert_eq!(by_prefix(&text[3..15], ids.clone()), Ok(ids[3]));
        assert_eq!(by_prefix("cm1abc", ids.clone()), Err(PrefixError::TooShort));
        assert_eq!(by_prefix("cm11111", ids.clone()), Err(PrefixError::Unknown));
        let twice = [ids[3], ids[3]];
        assert_eq!(by_prefix(&text, twice), Err(PrefixError::Ambiguous { count: 2 }));
    }

    #[test]
    fn an_id_is_bound_to_its_context() {
        let key = PublicKey([7; 32]);
        assert_ne!(AgentId::of_key(&key).0, DomainId::of_key(&key).0);
        assert_ne!(AgentId::of_key(&key).0, Hash::of(&key.0).0);
    }
}
