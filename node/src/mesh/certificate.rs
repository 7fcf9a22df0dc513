//! Judging a neighbour by its node certificate: right node, right domain key, valid now, not made by itself.
//!
//! Trust roots are the keys that we pinned. Whatever else a neighbour says about itself only chooses which pin is
//! compared.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use comity_proto::envelope::{Envelope, Signed as _};
use comity_proto::identity::NodeCertificate;
use comity_proto::ids::{DomainId, PublicKey};
use comity_proto::reject::Reject;
use comity_proto::roots::{NotRoot, RootKeys, Signer};

use super::limits::CLOCK_SKEW_MS;
use super::standing::Standing;

/// What a domain is to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It is our domain.
    Own,
    /// We have a treaty with it.
    Peer,
    /// We know its key and nothing more binds us.
    Known,
}

/// A domain whose key we have pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedDomain {
    /// Its root keys, of which the first one is pinned; what counts until a time counts.
    pub root: RootKeys,
    /// What it is to us.
    pub relation: Relation,
}

impl TrustedDomain {
    /// One of which nothing but its first root key is known.
    pub fn first(key: PublicKey, relation: Relation) -> TrustedDomain {
        TrustedDomain { root: RootKeys::first(key), relation }
    }
}

/// Everything that a node believes about domains without having been told by the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Pinned keys, our own domain's among them.
    pub domains: BTreeMap<DomainId, TrustedDomain>,
    /// Certificates taken back, by domain and serial.
    pub revoked: BTreeSet<(DomainId, u64)>,
}

impl Trust {
    /// Whether we have pinned that domain's first root key.
    pub fn pins(&self, domain: &DomainId) -> bool {
        self.domains.contains_key(domain)
    }

    /// Whether this signer, of whom the bytes prove that it is or was a root key of that domain, is one now; `None` for a
    /// domain that is not pinned.
    pub fn judge_root(&self, domain: &DomainId, signer: &Signer) -> Option<Result<(), NotRoot>> {
        // Times have passed where this was made: what no longer counts is not in it.
        self.domains.get(domain).map(|trusted| trusted.root.judge(signer, 0))
    }
}

/// Why a certificate was refused. The neighbour stays a stranger; the name is counted and told to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// No certificate by its form, or its signature does not hold.
    Unreadable,
    /// It certifies another node.
    OtherNode,
    /// It is signed by the node itself.
    SelfMade,
    /// It is not signed by the key of the domain that it names: a certificate of another domain.
    ForeignSigner,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// Its domain took it back.
    Revoked,
    /// It is signed by a root key that its domain uses no more.
    RootRetired,
    /// It is signed by a root key that is said to follow one after which we know another.
    RootForked,
}

impl Refused {
    /// Stable name, for counters and for the neighbour.
    pub const fn name(self) -> &'static str {
        match self {
            Refused::Unreadable => "certificate_unreadable",
            Refused::OtherNode => "certificate_of_other_node",
            Refused::SelfMade => "certificate_self_made",
            Refused::ForeignSigner => "certificate_of_other_domain",
            Refused::NotYetValid => "certificate_not_yet_valid",
            Refused::Expired => "certificate_expired",
            Refused::Revoked => "certificate_revoked",
            Refused::RootRetired => "certificate_of_retired_root",
            Refused::RootForked => "certificate_of_forked_root",
        }
    }

    /// Whether an honest node could not have sent it. An expired one, or one by a retired root key, is a neglected renewal,
    /// not a forgery.
    pub const fn is_forgery(self) -> bool {
        !matches!(self, Refused::NotYetValid | Refused::Expired | Refused::Revoked | Refused::RootRetired)
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A certificate that passed, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What the neighbour is to us.
    pub standing: Standing,
    /// The judgement holds before this wall time, ms since the Unix epoch: then a certificate ends or begins to hold.
    /// `None` where no time changes it.
    pub until_ms: Option<u64>,
    /// It does not hold before this one: a certificate that had ended by a clock that went ahead.
    pub from_ms: Option<u64>,
}

impl Judged {
    /// Whether it is to be judged again at this wall time.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until| until <= now_ms) || self.from_ms.is_some_and(|from| now_ms < from)
    }
}

/// Judges the certificate that `node` sent; empty bytes are none. `now_ms` is our wall clock.
pub fn judge(certificate: &Bytes, node: &PublicKey, trust: &Trust, now_ms: u64) -> Judged {
    let stranger =
        |claims, refused| Judged { standing: Standing::Stranger { claims, refused }, until_ms: None, from_ms: None };
    if certificate.is_empty() {
        return stranger(None, None);
    }
    let (certificate, signer) = match NodeCertificate::open(certificate) {
        Ok(verified) => (verified.get().clone(), verified.signer().clone()),
        // Well signed, but not by the domain that it names.
        Err(Reject::WrongSigner) if claimed_signer(certificate) == Some(*node) => {
            return stranger(None, Some(Refused::SelfMade));
        }
        Err(Reject::WrongSigner) => return stranger(None, Some(Refused::ForeignSigner)),
        Err(_) => return stranger(None, Some(Refused::Unreadable)),
    };
    let domain = certificate.domain;
    if let Err(refused) = check(&certificate, &signer, node, trust, now_ms) {
        // Our own clock may be wrong for a while: what it decided is not kept when it is right.
        let (until_ms, from_ms) = match refused {
            Refused::NotYetValid => (Some(certificate.not_before_ms.saturating_sub(CLOCK_SKEW_MS)), None),
            Refused::Expired => (None, Some(certificate.not_after_ms)),
            _ => (None, None),
        };
        return Judged { until_ms, from_ms, ..stranger(Some(domain), Some(refused)) };
    }
    let standing = match trust.domains.get(&domain).map(|trusted| trusted.relation) {
        Some(Relation::Own) => Standing::Own { domain },
        Some(Relation::Peer) => Standing::Peer { domain },
        Some(Relation::Known) => Standing::Known { domain },
        // Consistent, but nobody here has agreed to that domain.
        None => return stranger(Some(domain), None),
    };
    Judged { standing, until_ms: Some(certificate.not_after_ms), from_ms: None }
}

fn claimed_signer(certificate: &Bytes) -> Option<PublicKey> {
    Envelope::of::<NodeCertificate>(certificate).ok().map(|envelope| *envelope.claimed_key())
}

fn check(
    certificate: &NodeCertificate,
    signer: &Signer,
    node: &PublicKey,
    trust: &Trust,
    now_ms: u64,
) -> Result<(), Refused> {
    if certificate.node != *node {
        return Err(Refused::OtherNode);
    }
    if signer.key() == node {
        return Err(Refused::SelfMade);
    }
    // Opening the envelope has proved that the signer is or was a root key of the domain; what we know of it is stricter.
    match trust.judge_root(&certificate.domain, signer) {
        Some(Err(NotRoot::Foreign)) => return Err(Refused::ForeignSigner),
        Some(Err(NotRoot::Forked)) => return Err(Refused::RootForked),
        Some(Err(NotRoot::Retired)) => return Err(Refused::RootRetired),
        Some(Ok(())) | None => {}
    }
    if trust.revoked.contains(&(certificate.domain, certificate.serial)) {
        return Err(Refused::Revoked);
    }
    if now_ms.saturating_add(CLOCK_SKEW_MS) < certificate.not_before_ms {
        return Err(Refused::NotYetValid);
    }
    if now_ms >= certificate.not_after_ms {
        return Err(Refused::Expired);
    }
    Ok(())
}
