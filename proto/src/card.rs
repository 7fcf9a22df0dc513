//! Cards: what agents and domains say about themselves, signed by their owner.
//!
//! A card is a claim, not a fact: keys and addresses inside it are hints, trust roots are pinned by whoever reads it.
//! The newest card of an owner wins, whatever path it came by; see [`newer_than`].

use crate::{
    amount::AssetId,
    envelope::{Signed, Verified},
    identity::KeyAttestation,
    ids::{AgentId, DomainId, Hash, PublicKey},
    reject::Reject,
    text::{Capability, Description, Nickname},
};
use alloc::vec::Vec;
use bytes::Bytes;

/// Who a card is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// An agent.
    Agent(AgentId),
    /// A domain.
    Domain(DomainId),
}

/// What both kinds of card have.
pub trait Card: Signed {
    /// Who it is about, and who alone may sign it.
    fn owner(&self) -> Owner;
    /// Counts up with each card of this owner.
    fn sequence(&self) -> u64;
    /// Shown as stale after this, ms since the Unix epoch.
    fn expires_at_ms(&self) -> u64;
}

/// Place of a card among those of its owner. The digest decides between two cards that their owner wrongly gave one
/// sequence, so that all nodes still keep the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// As signed.
    pub sequence: u64,
    /// SHA-256 of the envelope.
    pub digest: Hash,
}

/// The rank of a card.
pub fn rank<T: Card>(card: &Verified<T>) -> Rank {
    Rank { sequence: card.get().sequence(), digest: card.digest() }
}

/// Does this card take the place of that one? Never across owners; the highest sequence by the owner wins.
pub fn newer_than<T: Card>(this: &Verified<T>, that: &Verified<T>) -> bool {
    this.get().owner() == that.get().owner() && rank(this) > rank(that)
}

/// What an agent says about itself. Context [`crate::envelope::Context::AgentCard`]; signed by `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentCard {
    /// Who.
    pub agent: AgentId,
    /// Where at home.
    pub home: DomainId,
    /// Its current key; equals the signing key.
    pub key: PublicKey,
    /// Display only, never unique.
    pub name: Nickname,
    /// In its own words.
    pub description: Description,
    /// What it can do.
    pub capabilities: Vec<Capability>,
    /// For one task; `None` when it is to be agreed.
    pub price: Option<Price>,
    /// What it asks of escrow terms.
    pub accepts: AcceptedTerms,
    /// Counts up with each card.
    pub sequence: u64,
    /// When it was signed, ms since the Unix epoch, by its owner's clock.
    pub issued_at_ms: u64,
    /// Shown as stale after this, ms since the Unix epoch; at most [`crate::limits::CARD_VALID_MAX_MS`] later.
    pub expires_at_ms: u64,
    /// A tombstone: the agent is gone.
    pub retired: bool,
    /// Whoever holds it may pass it on; else it goes no further than the domains that its home shows it to.
    pub public: bool,
    /// The operator of a node of its home keeps `key` and can spend this agent's money.
    pub custodial: bool,
    /// Envelope of a [`KeyAttestation`]; empty while `key` is the agent's first key, which proves itself.
    pub attestation: Bytes,
}

/// Price of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// In what.
    pub asset: AssetId,
    /// Minor units.
    pub amount: u64,
}

/// What an agent asks of escrow terms before it works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptedTerms {
    /// Longest review window that it waits for; 0 for any.
    pub review_window_max_ms: u64,
    /// Time it needs to deliver; 0 if it does not say.
    pub delivery_ms: u64,
    /// It works only if the payer's silence releases.
    pub silence_releases: bool,
}

impl AgentCard {
    /// The home domain's word for the current key: `None` while the first key signs. Its signature is checked here;
    /// whether the key that signed it is a voter of `home` is for the caller, who knows rosters.
    pub fn attested(&self) -> Result<Option<Verified<KeyAttestation>>, Reject> {
        if self.attestation.is_empty() {
            return Ok(None);
        }
        let attestation = KeyAttestation::open(&self.attestation)?;
        let said = attestation.get();
        if said.agent == self.agent && said.domain == self.home && said.key == self.key {
            Ok(Some(attestation))
        } else {
            Err(Reject::WrongSigner)
        }
    }
}

impl Card for AgentCard {
    fn owner(&self) -> Owner {
        Owner::Agent(self.agent)
    }
    fn sequence(&self) -> u64 {
        self.sequence
    }
    fn expires_at_ms(&self) -> u64 {
        self.expires_at_ms
    }
}

/// What a domain says about itself. Context [`crate::envelope::Context::DomainCard`]; signed by the root key, or by a
/// voter of the roster that the card carries (the root key can stay offline).
///
/// What software of others reads is the document, which they fetch over HTTP: JSON with a signature of its own, by the
/// same key. The fields around it are what the mesh needs without reading JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainCard {
    /// Who.
    pub domain: DomainId,
    /// Its root key: a hint; peers pin it by consent.
    pub key: PublicKey,
    /// Envelope of the roster.
    pub roster: Bytes,
    /// The registry card, exact bytes: empty if and only if the domain is gone.
    pub document: Bytes,
    /// Counts up with each card.
    pub sequence: u64,
    /// When it was signed, ms since the Unix epoch, by its owner's clock.
    pub issued_at_ms: u64,
    /// Shown as stale after this, ms since the Unix epoch.
    pub expires_at_ms: u64,
    /// A tombstone: the domain is gone.
    pub retired: bool,
}

impl Card for DomainCard {
    fn owner(&self) -> Owner {
        Owner::Domain(self.domain)
    }
    fn sequence(&self) -> u64 {
        self.sequence
    }
    fn expires_at_ms(&self) -> u64 {
        self.expires_at_ms
    }
}
