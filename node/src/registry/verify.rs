//! Judging a registry card. The reader brings the domain that it expects; everything else is proved from there.
//!
//! ```text
//! domain id = hash of first root key -> roster, signed by a root key -> voter named by it -> signature over the document
//! ```
//! The header's `kid` chooses among those keys and no others. What brings a key along, or an address of one, is refused
//! before any signature is looked at: a card cannot vouch for its own key.

use super::{
    document::{PolicyView, SCHEMA, version_of},
    json::{self, BadJson, canonical},
};
use bytes::Bytes;
use comity_proto::{
    card::DomainCard,
    envelope::{Signed as _, Verified},
    identity::{Revocations, Roster},
    ids::{DomainId, PublicKey},
    jws,
    limits::CARD_VALID_MAX_MS,
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::Value;

/// Header members by which a signature would bring its own trust root.
const KEYS_IN_HEADERS: [&str; 6] = ["jwk", "jku", "x5c", "x5t", "x5t#S256", "x5u"];

/// Why a card is refused. Nothing of it counts then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// No JSON that two readers read alike.
    #[error(transparent)]
    Json(#[from] BadJson),
    /// A member that must be there is not, or is of another kind.
    #[error("`{0}` is missing, or not what it must be")]
    NotACard(&'static str),
    /// It is about another domain than the expected one.
    #[error("the card is of {0}, not of the domain that was expected")]
    OtherDomain(String),
    /// Its signature brings a key or an address of one.
    #[error("the signature's header has `{0}`: keys are the reader's, never the card's")]
    KeyInCard(String),
    /// Not EdDSA, or a header that this reader does not understand.
    #[error("the signature's header has {0}, which this reader does not take")]
    Header(String),
    /// The root key inside does not hash to the domain's id.
    #[error("the root key in the card is not the domain's: its hash is another id")]
    NotTheDomainsKey,
    /// The roster is not signed by the domain's root key.
    #[error("the roster in the card is not signed by the domain's root key")]
    BadRoster,
    /// The list of revoked certificates is not signed by the domain's root key.
    #[error("the list of revoked certificates is not signed by the domain's root key")]
    BadRevocations,
    /// The key that signed belongs to nobody of the domain.
    #[error("signed by {0}, which is neither the root key nor a voter of the roster")]
    SignerNotOfDomain(String),
    /// A character of it changed after it was signed.
    #[error("the signature does not cover this document")]
    BadSignature,
    /// The version or the policy's hash is not the hash of what stands there.
    #[error("`{0}` is not the hash of what stands in the card")]
    WrongHash(&'static str),
    /// The reader has a newer one.
    #[error("sequence {got}, and {kept} is known already")]
    Older {
        /// Of this card.
        got: u64,
        /// Of the newest known.
        kept: u64,
    },
    /// One sequence, two documents.
    #[error("another card of sequence {0} was signed: the domain says two things")]
    Forked(u64),
}

impl Wrong {
    /// Stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            Wrong::Json(bad) => bad.code(),
            Wrong::NotACard(_) => "not_a_card",
            Wrong::OtherDomain(_) => "card_of_other_domain",
            Wrong::KeyInCard(_) => "key_in_card",
            Wrong::Header(_) => "bad_header",
            Wrong::NotTheDomainsKey => "not_the_domains_key",
            Wrong::BadRoster => "bad_roster",
            Wrong::BadRevocations => "bad_revocations",
            Wrong::SignerNotOfDomain(_) => "signer_not_of_domain",
            Wrong::BadSignature => "bad_signature",
            Wrong::WrongHash(_) => "wrong_hash",
            Wrong::Older { .. } => "card_older",
            Wrong::Forked(_) => "card_forked",
        }
    }
}

/// A card that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Whose.
    pub domain: DomainId,
    /// Its root key, proved by the id.
    pub root: PublicKey,
    /// Who signed: the root key or a voter.
    pub signer: PublicKey,
    /// Epoch of the roster inside.
    pub roster_epoch: u64,
    /// Counts up with each edition.
    pub sequence: u64,
    /// Hash of what the operator decides.
    pub version: String,
    /// When it was signed, ms since the Unix epoch.
    pub issued_at_ms: u64,
    /// Stale after this, ms since the Unix epoch.
    pub expires_at_ms: u64,
    /// Everything in it.
    pub document: Value,
}

impl Judged {
    /// Whether it may take the place of a card that the reader has kept.
    ///
    /// # Errors
    /// [`Wrong::OtherDomain`], [`Wrong::Older`], [`Wrong::Forked`].
    pub fn supersedes(&self, kept: &Judged) -> Result<(), Wrong> {
        if self.domain != kept.domain {
            return Err(Wrong::OtherDomain(self.domain.to_string()));
        }
        match self.sequence.cmp(&kept.sequence) {
            std::cmp::Ordering::Less => Err(Wrong::Older { got: self.sequence, kept: kept.sequence }),
            std::cmp::Ordering::Equal if self.document != kept.document => Err(Wrong::Forked(self.sequence)),
            _ => Ok(()),
        }
    }
}

/// Judges the card of `domain`.
///
/// # Errors
/// The first [`Wrong`] thing.
pub fn verify(bytes: &[u8], domain: &DomainId) -> Result<Judged, Wrong> {
    let document = json::parse(bytes)?;
    if document["schema"] != SCHEMA {
        return Err(Wrong::NotACard("schema"));
    }
    let said = text(&document, "domain")?;
    if said.parse::<DomainId>().ok() != Some(*domain) {
        return Err(Wrong::OtherDomain(said.to_owned()));
    }
    let (signature, kid) = signature(&document)?;
    let root: PublicKey = text(&document, "key")?.parse().map_err(|_| Wrong::NotACard("key"))?;
    if DomainId::of_key(&root) != *domain {
        return Err(Wrong::NotTheDomainsKey);
    }
    let roster = roster(&document, domain, &root)?;
    let mut keys = std::iter::once(&root).chain(&roster.get().voters);
    let signer = *keys.find(|key| key.to_string() == kid).ok_or(Wrong::SignerNotOfDomain(kid))?;
    let mut payload = document.clone();
    payload.as_object_mut().and_then(|members| members.remove("signatures"));
    jws::check(&signer, &signature, &canonical(&payload)).map_err(|_| Wrong::BadSignature)?;
    revocations(&document, domain)?;
    hashes(&document)?;
    let (issued_at_ms, expires_at_ms) = (number(&document, "issued_at_ms")?, number(&document, "expires_at_ms")?);
    if expires_at_ms.checked_sub(issued_at_ms).is_none_or(|life| life > CARD_VALID_MAX_MS) {
        return Err(Wrong::NotACard("expires_at_ms"));
    }
    Ok(Judged {
        domain: *domain,
        root,
        signer,
        roster_epoch: roster.get().epoch,
        sequence: number(&document, "sequence")?,
        version: text(&document, "version")?.to_owned(),
        issued_at_ms,
        expires_at_ms,
        document,
    })
}

/// Whether the document inside a gossiped card holds and says the same as the fields around it, by the same key.
///
/// # Errors
/// The first [`Wrong`] thing.
pub fn is_carried_by(card: &Verified<DomainCard>) -> Result<(), Wrong> {
    let around = card.get();
    if around.retired {
        return Ok(());
    }
    let judged = verify(&around.document, &around.domain)?;
    let same = judged.sequence == around.sequence
        && judged.issued_at_ms == around.issued_at_ms
        && judged.expires_at_ms == around.expires_at_ms
        && judged.signer == *card.key()
        && judged.document["roster"] == BASE64.encode(&around.roster);
    if same { Ok(()) } else { Err(Wrong::NotACard("sequence, times, roster or signer of its envelope")) }
}

fn text<'a>(document: &'a Value, name: &'static str) -> Result<&'a str, Wrong> {
    document[name].as_str().ok_or(Wrong::NotACard(name))
}

fn number(document: &Value, name: &'static str) -> Result<u64, Wrong> {
    document[name].as_u64().ok_or(Wrong::NotACard(name))
}

/// The one signature of a document, and the name of the key that it says it is by.
pub(crate) fn signature(document: &Value) -> Result<(jws::Detached, String), Wrong> {
    let no = Wrong::NotACard("signatures");
    let [entry] = document["signatures"].as_array().map(Vec::as_slice).ok_or(no.clone())? else { return Err(no) };
    let part = |name: &str| entry[name].as_str().map(str::to_owned).ok_or(no.clone());
    let detached = jws::Detached { protected: part("protected")?, signature: part("signature")? };
    let header = BASE64URL_NOPAD.decode(detached.protected.as_bytes()).map_err(|_| no.clone())?;
    let header = json::parse(&header)?;
    let unprotected = entry.get("header").cloned().unwrap_or_else(|| serde_json::json!({}));
    let all = [&header, &unprotected].map(Value::as_object);
    let [Some(header), Some(unprotected)] = all else { return Err(no) };
    for name in header.keys().chain(unprotected.keys()) {
        if KEYS_IN_HEADERS.contains(&name.as_str()) {
            return Err(Wrong::KeyInCard(name.clone()));
        }
    }
    let known = |(name, value): (&String, &Value)| match name.as_str() {
        "alg" => value == "EdDSA",
        "typ" => value == "JOSE",
        "kid" => value.is_string(),
        _ => false,
    };
    if let Some((name, value)) = header.iter().find(|member| !known(*member)) {
        return Err(Wrong::Header(format!("{name} {value}")));
    }
    if let Some(name) = unprotected.keys().next() {
        return Err(Wrong::Header(format!("{name} unsigned")));
    }
    if !header.contains_key("alg") {
        return Err(Wrong::Header("no alg".to_owned()));
    }
    let kid = header.get("kid").and_then(Value::as_str).ok_or(Wrong::Header("no kid".to_owned()))?;
    let kid = kid.to_owned();
    Ok((detached, kid))
}

fn roster(document: &Value, domain: &DomainId, root: &PublicKey) -> Result<Verified<Roster>, Wrong> {
    let bytes = BASE64.decode(text(document, "roster")?.as_bytes()).map_err(|_| Wrong::BadRoster)?;
    let roster = Roster::open(&bytes.into()).map_err(|_| Wrong::BadRoster)?;
    if roster.get().domain == *domain && roster.first_key() == root { Ok(roster) } else { Err(Wrong::BadRoster) }
}

/// The list of taken back certificates in a card that holds; empty while there is none.
pub(super) fn revocations(document: &Value, domain: &DomainId) -> Result<Bytes, Wrong> {
    if document["revocations"].is_null() {
        return Ok(Bytes::new());
    }
    let text = document["revocations"].as_str().ok_or(Wrong::BadRevocations)?;
    let bytes = BASE64.decode(text.as_bytes()).map(Bytes::from).map_err(|_| Wrong::BadRevocations)?;
    // Opening it proves that a root key of the domain that it names signed it.
    let list = Revocations::open(&bytes).map_err(|_| Wrong::BadRevocations)?;
    if list.get().domain == *domain { Ok(bytes) } else { Err(Wrong::BadRevocations) }
}

/// Serials of the certificates that a card's domain has taken back, as the card says.
pub fn taken_back(card: &DomainCard) -> Vec<u64> {
    let document = json::parse(&card.document).unwrap_or_default();
    let list = revocations(&document, &card.domain).ok().and_then(|list| Revocations::open(&list).ok());
    list.map(|list| list.get().serials.clone()).unwrap_or_default()
}

fn hashes(document: &Value) -> Result<(), Wrong> {
    let policy: PolicyView =
        serde_json::from_value(document["policy"].clone()).map_err(|_| Wrong::NotACard("policy"))?;
    let digest = policy.policy().ok_or(Wrong::NotACard("policy"))?.digest();
    if text(document, "policy_hash")? != digest.to_string() {
        return Err(Wrong::WrongHash("policy_hash"));
    }
    if text(document, "version")? != version_of(document) {
        return Err(Wrong::WrongHash("version"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
