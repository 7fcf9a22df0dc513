//! The root keys of a domain: how one follows another, and which of them counts now.
//!
//! ```text
//! domain id = hash of the first key      first --link--> second --link--> third: acts
//! link = { key of the one before, its signature, agreement of the next one }
//! ```
//! The id names a domain for ever; the key that signs for it can change. Whatever a later root key signs carries the
//! links from the first key to it, so bytes alone still prove whose they are. That an earlier key counts no more, the
//! bytes cannot tell: [`RootKeys`] is what a judge knows of one domain, and [`RootKeys::judge`] the one place that says
//! whether a key is its root key now. Where two keys are said to follow one, the one that was known first stands.

use crate::{
    envelope::{Context, Sealer, Verified, seal_along},
    ids::{DomainId, PublicKey},
    keys::{SIGNATURE_BYTES, SecretKey, verify_in},
    limits::{ROOT_LINK_BYTES, ROOT_LINKS_MAX},
    reject::{Reject, within},
};
use alloc::{vec, vec::Vec};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a link is about; signed by the key before under [`Context::RootLink`], by the next one under
/// [`Context::RootAgreement`].
fn statement(domain: &DomainId, number: usize, before: &PublicKey, next: &PublicKey) -> Vec<u8> {
    let number = u64::try_from(number).unwrap_or(u64::MAX).to_le_bytes();
    [domain.0.as_slice(), &number, &before.0, &next.0].concat()
}

/// Who signed, and the root keys before it, first one first; none for every other kind of key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    key: PublicKey,
    before: Vec<PublicKey>,
}

impl Signer {
    /// Follows the links to `key`.
    pub(crate) fn along(path: &Bytes, key: PublicKey) -> Result<Signer, Reject> {
        within(path.len(), ROOT_LINKS_MAX.saturating_mul(ROOT_LINK_BYTES), "root_links")?;
        let (links, rest) = path.as_chunks::<ROOT_LINK_BYTES>();
        if !rest.is_empty() {
            return Err(Reject::Malformed);
        }
        let mut keys: Vec<PublicKey> =
            links.iter().filter_map(|link| link.first_chunk().copied().map(PublicKey)).collect();
        keys.push(key);
        let Some(domain) = keys.first().map(DomainId::of_key) else { return Err(Reject::Malformed) };
        for (number, (link, pair)) in links.iter().zip(keys.windows(2)).enumerate() {
            let ([before, next], Some((_, proof))) = (pair, link.split_first_chunk::<32>()) else {
                return Err(Reject::Malformed);
            };
            proves(proof, &domain, number, before, next)?;
        }
        keys.pop();
        let signer = Signer { key, before: keys };
        if signer.repeats() { Err(Reject::OutOfRange { field: "root_links" }) } else { Ok(signer) }
    }

    fn repeats(&self) -> bool {
        self.keys().enumerate().any(|(at, key)| self.keys().skip(at.saturating_add(1)).any(|later| later == key))
    }

    /// The key itself.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The first root key, whose hash is the domain; the key itself where none is before it.
    pub fn first(&self) -> &PublicKey {
        self.before.first().unwrap_or(&self.key)
    }

    /// How many root keys came before.
    pub const fn number(&self) -> usize {
        self.before.len()
    }

    /// All of them in order, the signing one last.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.before.iter().chain(core::iter::once(&self.key))
    }
}

/// Both signatures of a link.
fn proves(proof: &[u8], domain: &DomainId, number: usize, before: &PublicKey, next: &PublicKey) -> Result<(), Reject> {
    let Some((signature, agreement)) = proof.split_first_chunk::<SIGNATURE_BYTES>() else {
        return Err(Reject::Malformed);
    };
    let agreement = agreement.try_into().map_err(|_| Reject::Malformed)?;
    let said = statement(domain, number, before, next);
    verify_in(Context::RootLink, before, &said, signature)?;
    verify_in(Context::RootAgreement, next, &said, &agreement)
}

/// A secret root key with the links to it.
#[derive(Clone, Debug)]
pub struct RootKey {
    secret: SecretKey,
    path: Bytes,
    signer: Signer,
}

impl From<SecretKey> for RootKey {
    fn from(secret: SecretKey) -> RootKey {
        let signer = Signer { key: secret.public(), before: Vec::new() };
        RootKey { secret, path: Bytes::new(), signer }
    }
}

impl RootKey {
    /// A key and the links that lead to it; empty for a first key.
    pub fn along(path: Bytes, secret: SecretKey) -> Result<RootKey, Reject> {
        let signer = Signer::along(&path, secret.public())?;
        Ok(RootKey { secret, path, signer })
    }

    /// Both keys sign that `next` follows. The links to it, of which only whoever holds `next` can make use.
    pub fn links_to(&self, next: &SecretKey) -> Result<Bytes, Reject> {
        let said = statement(&self.domain(), self.signer.number(), &self.public(), &next.public());
        let (signature, agreement) =
            (self.secret.sign(Context::RootLink, &said), next.sign(Context::RootAgreement, &said));
        let path = Bytes::from([&self.path, self.public().0.as_slice(), &signature, &agreement].concat());
        RootKey::along(path, next.clone()).map(|next| next.path)
    }

    /// The key that signs.
    pub const fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// Its public half.
    pub const fn public(&self) -> PublicKey {
        *self.signer.key()
    }

    /// The first key of the domain.
    pub fn first(&self) -> PublicKey {
        *self.signer.first()
    }

    /// The domain.
    pub fn domain(&self) -> DomainId {
        DomainId::of_key(self.signer.first())
    }

    /// The links to it.
    pub const fn path(&self) -> &Bytes {
        &self.path
    }

    /// Who signs, as a judge sees it.
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }
}

impl Sealer for RootKey {
    fn seal_payload(&self, context: Context, payload: Bytes) -> Bytes {
        seal_along(context, payload, &self.secret, &self.path)
    }
}

/// Whether these links lead from the first key of `domain` to `key`: who would sign.
pub fn follow_links(path: &Bytes, key: &PublicKey, domain: &DomainId) -> Result<Signer, Reject> {
    let signer = Signer::along(path, *key)?;
    if DomainId::of_key(signer.first()) == *domain { Ok(signer) } else { Err(Reject::WrongSigner) }
}

/// Why a key is no root key of a domain now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRoot {
    /// No links lead to it from the first key.
    Foreign,
    /// Another key is known to follow one of those before it, or itself.
    Forked,
    /// It counted once, or was taken back before it did.
    Retired,
}

/// What a judge knows of the root keys of one domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootKeys {
    /// In order; the last one acts.
    pub keys: Vec<PublicKey>,
    /// Prepared.
    pub next: Option<PublicKey>,
    /// The one before the last still counts until then; ledger time, ms.
    pub before_until_ms: Option<u64>,
    /// Taken back before they acted; the newest of them.
    pub revoked: Vec<PublicKey>,
    /// Of the newest step; 0 before the first.
    pub serial: u64,
    /// Envelope of that step.
    pub word: Bytes,
}

impl RootKeys {
    /// A domain of which nothing is known but the key that names it.
    pub fn first(key: PublicKey) -> RootKeys {
        RootKeys {
            keys: vec![key],
            next: None,
            before_until_ms: None,
            revoked: Vec::new(),
            serial: 0,
            word: Bytes::new(),
        }
    }

    /// The same, of which one signer is known: every key before it counts no more.
    pub fn of(signer: &Signer) -> RootKeys {
        RootKeys { keys: signer.keys().copied().collect(), ..RootKeys::first(*signer.first()) }
    }

    /// The key that names the domain; `None` for a record that was made up.
    pub fn named_by(&self) -> Option<&PublicKey> {
        self.keys.first()
    }

    /// The one that acts.
    pub fn active(&self) -> Option<&PublicKey> {
        self.keys.last()
    }

    /// How many came before the one that acts.
    pub fn number(&self) -> usize {
        self.keys.len().saturating_sub(1)
    }

    /// The one that acted before, while it counts.
    pub fn before(&self, now_ms: u64) -> Option<&PublicKey> {
        self.before_until_ms.filter(|until_ms| now_ms <= *until_ms)?;
        self.keys.get(self.number().checked_sub(1)?)
    }

    /// Keys that count now or soon: the anchors of whoever must know them beforehand.
    pub fn in_use(&self, now_ms: u64) -> impl Iterator<Item = PublicKey> {
        let all = [self.active(), self.next.as_ref(), self.before(now_ms)];
        all.map(Option::<&PublicKey>::copied).into_iter().flatten()
    }

    /// Whether this signer is a root key of the domain now. A key that follows all known ones is believed: the one that
    /// acts has signed for it.
    pub fn judge(&self, signer: &Signer, now_ms: u64) -> Result<(), NotRoot> {
        self.has_line_of(signer)?;
        let counts = signer.number() >= self.number() || self.before(now_ms) == Some(signer.key());
        if counts { Ok(()) } else { Err(NotRoot::Retired) }
    }

    /// Whether this signer is, will be or once was a root key of the domain: of what it said, the domain is the speaker,
    /// whatever counts now.
    pub fn has_line_of(&self, signer: &Signer) -> Result<(), NotRoot> {
        if self.named_by() != Some(signer.first()) {
            return Err(NotRoot::Foreign);
        }
        let known = self.keys.iter().chain(&self.next);
        if known.zip(signer.keys()).any(|(known, said)| known != said) {
            return Err(NotRoot::Forked);
        }
        if signer.keys().any(|key| self.revoked.contains(key)) { Err(NotRoot::Retired) } else { Ok(()) }
    }

    /// The same for whoever signed this message.
    pub fn signed<T>(&self, message: &Verified<T>, now_ms: u64) -> Result<(), NotRoot> {
        self.judge(message.signer(), now_ms)
    }
}
