//! Treaties between two domains: the document that both sign, the invitation that begins it, and what is told about it.
//!
//! ```text
//! inviting operator                              invited operator
//! invitation -- carried by hand --------------> reads it, signs the document
//!            <-- proposal -----------------------
//! compares the fingerprint, signs the same bytes
//!            -- approval ----------------------->
//!            <-- notices, both ways ------------>  suspend, resume, drain, revoke, deny
//! ```
//! A document is in force once both root keys have signed the same bytes. What each side shows of its agents is its own
//! affair ([`crate::export`]), and so is how much each lets in ([`crate::licence`]).

use crate::{
    amount::{AssetCode, AssetId},
    envelope::{Signed, Verified},
    ids::{DomainId, Hash, PublicKey},
    limits::{INVITATION_BYTES_MAX, ROOT_PATH_BYTES_MAX},
    reject::Reject,
    text::{Capability, Endpoint, Nickname, Reason},
};
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

/// The version of pushes that this program speaks.
pub const TREATY_PUSH_VERSION: u32 = 2;
/// How the text of an invitation begins.
pub const INVITATION_PREFIX: &str = "cmpeer1";
const CHECKSUM_BYTES: usize = 5;

/// An upper bound on a peer's paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposureCap {
    /// An asset issued by the peer.
    pub asset: AssetId,
    /// Minor units, wrapped supply plus pending.
    pub cap: u64,
    /// Above it, in either direction, a decision counts only with signatures of a majority of its origin's voters; minor
    /// units. `None`: that of any one of them is enough.
    pub majority_above: Option<u64>,
}

/// One of the two domains, and what it grants the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreatyParty {
    /// Its first root key, which names it; whichever root key acts signs for it.
    pub key: PublicKey,
    /// What it calls itself; display only.
    pub nickname: Nickname,
    /// How much of each asset of the other party it accepts; ascending.
    pub caps: Vec<ExposureCap>,
    /// Digest of its policy when it signed.
    pub policy: Hash,
}

impl TreatyParty {
    /// Its domain: the hash of its key.
    pub fn domain(&self) -> DomainId {
        DomainId::of_key(&self.key)
    }
}

/// One party stands under the other one: its ledger keeps these limits towards every third domain, for as long as the
/// treaty is in force and neither side drains or leaves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charter {
    /// The party that stands under the other one.
    pub child: DomainId,
    /// Most that it accepts of any asset of a third domain, minor units; `None`: as it likes.
    pub cap_max: Option<u64>,
    /// It shows and hires out to third domains for nothing but these; ascending; none: as it likes.
    pub capabilities: Vec<Capability>,
}

/// What two domains agree on. Context [`crate::envelope::Context::Treaty`]; signed by a root key of each of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreatyDocument {
    /// Digest of the version before; [`TreatyDocument::NONE`] for version 1.
    pub previous: Hash,
    /// Counts up from 1.
    pub version: u64,
    /// The two, lower domain id first.
    pub parties: [TreatyParty; 2],
    /// Whether one of the two stands under the other one.
    pub charter: Option<Charter>,
}

impl TreatyDocument {
    /// What the first version names as the one before.
    pub const NONE: Hash = Hash([0; 32]);

    /// A document of these two, in whatever order; `before` is digest and version of the one in force.
    pub fn between(one: TreatyParty, other: TreatyParty, before: Option<(Hash, u64)>) -> TreatyDocument {
        let (previous, last) = before.unwrap_or((TreatyDocument::NONE, 0));
        let parties = if one.domain() < other.domain() { [one, other] } else { [other, one] };
        TreatyDocument { previous, version: last.saturating_add(1), parties, charter: None }
    }

    /// The same with one party under the other one, or with neither.
    #[must_use]
    pub fn under(self, charter: Option<Charter>) -> TreatyDocument {
        TreatyDocument { charter, ..self }
    }

    /// The hash of its one encoding: what the next version, a denial and people refer to.
    pub fn digest(&self) -> Hash {
        Hash::of_parts("comity/v1/treaty-digest", &[&self.encode()])
    }

    /// This domain's part and the other one's, if it is a party.
    pub fn sides(&self, own: &DomainId) -> Option<(&TreatyParty, &TreatyParty)> {
        let [low, high] = &self.parties;
        match (low.domain() == *own, high.domain() == *own) {
            (true, _) => Some((low, high)),
            (_, true) => Some((high, low)),
            _ => None,
        }
    }

    /// Bytes for the words that two operators compare: both keys and every term go into it.
    pub fn fingerprint(&self) -> Hash {
        let [low, high] = &self.parties;
        Hash::of_parts("comity/v1/treaty-fingerprint", &[&low.key.0, &high.key.0, &self.digest().0])
    }
}

/// What a domain does under a treaty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TreatyStanding {
    /// Takes part.
    Active,
    /// Begins nothing and votes no, until it resumes.
    Suspended,
    /// Begins nothing new; what is open is finished, then paper only goes back.
    Draining,
    /// Out; what is open is finished.
    Revoked,
}

/// A domain changes what it does under a treaty. Context [`crate::envelope::Context::TreatyNotice`]; signed by its root
/// key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreatyNotice {
    /// Who says it.
    pub from: DomainId,
    /// To whom.
    pub to: DomainId,
    /// Counts up with each notice of this domain to that one: an older one is never taken.
    pub serial: u64,
    /// From now on.
    pub standing: TreatyStanding,
    /// A proposed document that is denied.
    pub denies: Option<Hash>,
    /// For people of both sides.
    pub reason: Reason,
}

/// A node that answers for an inviting domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Its key.
    pub node: PublicKey,
    /// Where it listens.
    pub address: Endpoint,
}

/// One use, for one domain, until a time. Context [`crate::envelope::Context::Invitation`]; signed by the root key of the
/// domain that invites, which is pinned by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Random.
    pub secret: [u8; 32],
    /// What the inviting domain calls itself.
    pub nickname: Nickname,
    /// Code of its own first asset.
    pub asset: AssetCode,
    /// How much it accepts of the invited domain's own first asset, minor units.
    pub cap: u64,
    /// Digest of its policy.
    pub policy: Hash,
    /// Until then; its ledger time, ms.
    pub ends_at_ms: u64,
    /// Nobody but this domain may use it, if named.
    pub invitee: Option<DomainId>,
    /// As in the [`ExposureCap`] that follows from it.
    pub majority_above: Option<u64>,
    /// Nodes that answer; at least one.
    pub doors: Vec<Door>,
}

impl Invitation {
    /// By what the inviting ledger knows it.
    pub fn secret_hash(&self) -> Hash {
        Hash::of_parts("comity/v1/invitation-secret", &[&self.secret])
    }

    /// The text that is carried by hand: the envelope and a checksum.
    pub fn text(envelope: &Bytes) -> String {
        let mut bytes = envelope.to_vec();
        bytes.extend_from_slice(&checksum(envelope));
        let mut text = String::from(INVITATION_PREFIX);
        text.push_str(&BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
        text
    }

    /// Reads the text. A wrong letter is `bad_text`; what was edited with care is `bad_signature`.
    pub fn parse(text: &str) -> Result<Verified<Invitation>, Reject> {
        let bad = Reject::BadText { field: "invitation" };
        let most = (INVITATION_BYTES_MAX + ROOT_PATH_BYTES_MAX).saturating_mul(2);
        let body = text.trim().strip_prefix(INVITATION_PREFIX).filter(|body| body.len() <= most).ok_or(bad)?;
        if body.bytes().any(|letter| letter.is_ascii_uppercase()) {
            return Err(bad);
        }
        let bytes = BASE32_NOPAD.decode(body.to_ascii_uppercase().as_bytes()).map_err(|_| bad)?;
        let at = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(bad)?;
        let (envelope, sum) = bytes.split_at_checked(at).ok_or(bad)?;
        let envelope = Bytes::copy_from_slice(envelope);
        if checksum(&envelope) != sum {
            return Err(bad);
        }
        Invitation::open(&envelope)
    }
}

fn checksum(envelope: &Bytes) -> [u8; CHECKSUM_BYTES] {
    let mut sum = [0; CHECKSUM_BYTES];
    let hash = Hash::of_parts("comity/v1/invitation-checksum", &[envelope]);
    sum.iter_mut().zip(hash.0).for_each(|(to, from)| *to = from);
    sum
}

/// What one domain tells another about their treaty. Not signed: what is in it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreatyPush {
    /// The sender has signed the next version.
    Proposal {
        /// Envelope of the document by the sender.
        document: Bytes,
        /// Envelope of the receiver's invitation; empty for the next version of a treaty that stands.
        invitation: Bytes,
        /// Envelope of the sender's roster.
        roster: Bytes,
        /// Where the sender listens: hints.
        endpoints: Vec<Endpoint>,
    },
    /// The sender has signed what the receiver proposed.
    Approval {
        /// Envelope of the document by the sender.
        document: Bytes,
        /// Envelope of the same document by the receiver.
        countersigned: Bytes,
        /// Envelope of the sender's roster.
        roster: Bytes,
        /// Where the sender listens: hints.
        endpoints: Vec<Endpoint>,
    },
    /// Envelope of a notice of the sender.
    Notice(Bytes),
    /// Envelope of a licence that the sender grants.
    Licence(Bytes),
    /// Envelope of the roster that the sender has in force: its nodes may sign with other keys.
    Roster(Bytes),
    /// Envelope of the newest [`crate::key_step::KeyStep`] of the sender's operator key.
    Key(Bytes),
}

impl TreatyPush {
    /// What a receipt for it names: the hash of what the sender signed.
    pub fn subject(&self) -> Hash {
        match self {
            TreatyPush::Proposal { document, .. } | TreatyPush::Approval { document, .. } => Hash::of(document),
            TreatyPush::Notice(signed)
            | TreatyPush::Licence(signed)
            | TreatyPush::Roster(signed)
            | TreatyPush::Key(signed) => Hash::of(signed),
        }
    }
}
