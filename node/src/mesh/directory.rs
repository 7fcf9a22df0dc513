//! What is known about agents and domains: two shelves of cards, the search over them, and what must be stored.
//!
//! Every answer says how it came here, since when, who vouches for the key, and whether it is stale. A search that
//! finds nothing tells apart "nobody has it" from "we have not yet heard everything".

use bytes::Bytes;
use comity_proto::card::{AgentCard, DomainCard, Owner, rank};
use comity_proto::envelope::{Signed as _, Verified};
use comity_proto::gossip::CardDigest;
use comity_proto::ids::{AgentId, DomainId, Hash, PublicKey};
use comity_proto::reject::Reject;

use super::certificate::Trust;
use super::limits::{CARDS_TOTAL, CHANGES_QUEUED, DOMAIN_CARDS_TOTAL};
use super::quota::OverLicence;
use super::roster::Rosters;
use super::shelf::{CardEntry, Homed, Offer, Path, Shelf, VerifiedBy};
use super::store::{CardChange, CardKind, StoredCard};

/// Why a card was not even offered to its shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardRefused {
    /// Its bytes are the sender's fault: bad signature, another key, not canonical.
    Bad(Reject),
    /// Its key is attested by a node that the home domain's roster does not name, or the attestation is over.
    NotAttested,
    /// We have no roster of its home domain to check its attestation with. Not the sender's fault.
    HomeUnknown,
    /// It is not signed by the key that we pinned for that domain.
    NotPinnedKey,
    /// The document inside does not hold, by this name, or says something else than the card around it.
    BadDocument(&'static str),
    /// It is not public, and comes from a domain that is not its home.
    NotShown,
    /// Its home's licence lets in no more.
    OverLicence(OverLicence),
}

impl CardRefused {
    /// Stable name, for counters and answers.
    pub const fn name(self) -> &'static str {
        match self {
            CardRefused::Bad(Reject::BadSignature) => "card_bad_signature",
            CardRefused::Bad(Reject::WrongSigner) => "card_for_another_key",
            CardRefused::Bad(_) => "card_malformed",
            CardRefused::NotAttested => "card_not_attested",
            CardRefused::HomeUnknown => "card_home_unknown",
            CardRefused::NotPinnedKey => "card_not_pinned_key",
            CardRefused::BadDocument(_) => "card_bad_document",
            CardRefused::NotShown => "card_not_shown",
            CardRefused::OverLicence(over) => over.name(),
        }
    }

    /// Whether an honest sender could not have forwarded it.
    pub(crate) const fn is_senders_fault(self) -> bool {
        matches!(self, CardRefused::Bad(_) | CardRefused::BadDocument(_))
    }
}

impl std::fmt::Display for CardRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CardRefused::Bad(reject) => write!(f, "{}: {reject}", self.name()),
            CardRefused::BadDocument(rule) => write!(f, "{}: {rule}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// How much of the mesh's knowledge we have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// Every neighbour has been asked for everything: what is not here was not known to them.
    Synced,
    /// Some neighbour has not been asked yet, or none is connected though some are configured.
    NotYetSynced,
}

/// Answer of a search: hits, or the reason why there are none.
#[derive(Clone, Debug)]
pub struct Found {
    /// Fresh cards first, then stale ones, each in the order of their owners.
    pub hits: Vec<CardEntry<AgentCard>>,
    /// With no hits: `Synced` means not found, `NotYetSynced` means ask again.
    pub completeness: Completeness,
}

/// A verified card of either kind, with the binding of its key.
pub(crate) enum Checked {
    Agent(Verified<AgentCard>, VerifiedBy),
    Domain(Verified<DomainCard>, VerifiedBy),
}

/// Verifies an agent card and how its key is bound to the agent. The expensive part; needs no lock but the rosters'.
pub(crate) fn check_agent(
    bytes: &Bytes,
    trust: &Trust,
    rosters: &Rosters,
    now_ms: u64,
) -> Result<(Verified<AgentCard>, VerifiedBy), CardRefused> {
    let card = AgentCard::open(bytes).map_err(CardRefused::Bad)?;
    let Some(attestation) = card.get().attested().map_err(CardRefused::Bad)? else {
        return Ok((card, VerifiedBy::OwnFirstKey));
    };
    let home = card.get().home;
    if now_ms >= attestation.get().valid_until_ms {
        return Err(CardRefused::NotAttested);
    }
    let by_root = trust.judge_root(&home, attestation.signer()) == Some(Ok(()));
    if by_root || rosters.votes(&home, attestation.key()) {
        return Ok((card, VerifiedBy::HomeAttestation));
    }
    Err(if rosters.get(&home).is_some() { CardRefused::NotAttested } else { CardRefused::HomeUnknown })
}

/// Verifies a domain card. Opening it has proved that its root key hashes to the domain's id.
pub(crate) fn check_domain(
    bytes: &Bytes,
    trust: &Trust,
    rosters: &Rosters,
) -> Result<(Verified<DomainCard>, VerifiedBy), CardRefused> {
    let card = DomainCard::open(bytes).map_err(CardRefused::Bad)?;
    crate::registry::is_carried_by(&card).map_err(|wrong| CardRefused::BadDocument(wrong.code()))?;
    let (domain, signer) = (card.get().domain, card.key());
    // The roster inside may be an old one: a newer one that we know decides who may still speak.
    if *signer != card.get().key && rosters.get(&domain).is_some() && !rosters.votes(&domain, signer) {
        return Err(CardRefused::NotAttested);
    }
    let pinned = trust.domains.get(&domain).map(|trusted| trusted.root.named_by() == Some(&card.get().key));
    match pinned {
        // Without a roster that holds, the one inside is by a root key that counts no more.
        Some(true) if *signer == card.get().key || rosters.get(&domain).is_some() => Ok((card, VerifiedBy::PinnedKey)),
        Some(true) => Err(CardRefused::NotAttested),
        Some(false) => Err(CardRefused::NotPinnedKey),
        None => Ok((card, VerifiedBy::OwnFirstKey)),
    }
}

/// All cards of a node.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) agents: Shelf<AgentCard>,
    pub(crate) domains: Shelf<DomainCard>,
    changes: Vec<CardChange>,
    keep_changes: bool,
}

impl Directory {
    /// `keep_changes` when somebody stores them.
    pub(crate) fn new(keep_changes: bool) -> Directory {
        Directory {
            agents: Shelf::new(CARDS_TOTAL),
            domains: Shelf::new(DOMAIN_CARDS_TOTAL),
            changes: Vec::new(),
            keep_changes,
        }
    }

    /// Offers a checked card to its shelf. `first_heard_ms` lies in the past for a card read back from the store.
    pub(crate) fn offer(
        &mut self,
        card: Checked,
        path: Path,
        trust: &Trust,
        first_heard_ms: u64,
        now_ms: u64,
    ) -> Offer {
        let (offer, stored) = match card {
            Checked::Agent(card, by) => {
                let entry = entry(card, by, path, trust, first_heard_ms);
                let stored = stored(CardKind::Agent, &entry);
                (self.agents.offer(entry, now_ms), stored)
            }
            Checked::Domain(card, by) => {
                let entry = entry(card, by, path, trust, first_heard_ms);
                let stored = stored(CardKind::Domain, &entry);
                (self.domains.offer(entry, now_ms), stored)
            }
        };
        if offer == Offer::Taken && path != Path::Stored {
            self.changed(CardChange::Put(stored));
        }
        offer
    }

    fn changed(&mut self, change: CardChange) {
        // A full list loses a write, not a card: after a restart the next repair brings it again.
        if self.keep_changes && self.changes.len() < CHANGES_QUEUED {
            self.changes.push(change);
        }
    }

    /// Changes since the last call, to be stored in order.
    pub(crate) fn take_changes(&mut self) -> Vec<CardChange> {
        std::mem::take(&mut self.changes)
    }

    /// Drops cards that were shown as stale long enough.
    pub(crate) fn fade(&mut self, now_ms: u64) {
        let gone = self.agents.fade(now_ms).into_iter().chain(self.domains.fade(now_ms));
        for owner in gone.collect::<Vec<_>>() {
            let (kind, id) = kind_and_id(&owner);
            self.changed(CardChange::Remove(kind, id));
        }
    }

    /// Agents that offer a capability: that one, or any below it (`text` finds `text.statistics`).
    pub(crate) fn search(&self, capability: &str, now_ms: u64) -> Vec<CardEntry<AgentCard>> {
        let below =
            |own: &str| own.strip_prefix(capability).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let offers = |entry: &&CardEntry<AgentCard>| {
            let card = entry.card.get();
            !card.retired && card.capabilities.iter().any(|own| below(own.as_str()))
        };
        let (fresh, stale): (Vec<_>, Vec<_>) =
            self.agents.iter().filter(offers).cloned().partition(|entry| !entry.is_stale(now_ms));
        fresh.into_iter().chain(stale).collect()
    }

    /// How many agents of a home are known, but for this one.
    pub(crate) fn others_of(&self, home: &DomainId, agent: &AgentId) -> usize {
        let known = self.agents.get(&Owner::Agent(*agent)).is_some_and(|entry| entry.card.get().home == *home);
        self.agents.of_home(home) - usize::from(known)
    }

    pub(crate) fn agent(&self, agent: &AgentId) -> Option<CardEntry<AgentCard>> {
        self.agents.get(&Owner::Agent(*agent)).cloned()
    }

    pub(crate) fn domain(&self, domain: &DomainId) -> Option<CardEntry<DomainCard>> {
        self.domains.get(&Owner::Domain(*domain)).cloned()
    }

    /// Digests of what is not expired, agents that `shows` admits before domains of which it `tells` (the order of owners).
    pub(crate) fn digests_of(
        &self,
        after: Option<Owner>,
        now_ms: u64,
        shows: impl Fn(&AgentCard) -> bool,
        tells: impl Fn(&DomainId) -> bool,
    ) -> impl Iterator<Item = CardDigest> {
        let domains = self.domains.digests(after, now_ms, move |card| tells(&card.domain));
        self.agents.digests(after, now_ms, shows).chain(domains)
    }

    /// Whether a neighbour's card would be taken.
    pub(crate) fn wants(&self, other: &CardDigest, now_ms: u64) -> bool {
        match other.owner {
            Owner::Agent(_) => self.agents.wants(other, now_ms),
            Owner::Domain(_) => self.domains.wants(other, now_ms),
        }
    }

    /// The signed bytes of an owner's newest card, if `shows` admits it, or it `tells` of that domain.
    pub(crate) fn envelope_if(
        &self,
        owner: &Owner,
        shows: impl Fn(&AgentCard) -> bool,
        tells: impl Fn(&DomainId) -> bool,
    ) -> Option<Bytes> {
        match owner {
            Owner::Agent(_) => {
                let shown = self.agents.get(owner).filter(|entry| shows(entry.card.get()));
                shown.map(|entry| entry.card.envelope_bytes().clone())
            }
            Owner::Domain(_) => {
                let told = self.domains.get(owner).filter(|entry| tells(&entry.card.get().domain));
                told.map(|entry| entry.card.envelope_bytes().clone())
            }
        }
    }

    /// A node of `home` tells which cards it holds; `None`: just those that we hold.
    pub(crate) fn shown_by_home(&mut self, node: PublicKey, home: &DomainId, told: Option<&[CardDigest]>) {
        self.agents.shown_by_home(node, home, told);
        self.domains.shown_by_home(node, home, told);
    }

    /// What a gateway may pass on of a home: public and fresh, and shown to this node by one of that home, by whatever other
    /// way it came too; tombstones among them. The domain's own card comes first, for it brings the roster that vouches for
    /// agents.
    pub(crate) fn passable(&self, home: &DomainId, now_ms: u64) -> Vec<Bytes> {
        let at_hand = |path: &Path| matches!(path, Path::FirstHand(_));
        let domain = self.domains.get(&Owner::Domain(*home)).filter(|entry| at_hand(&entry.path));
        let domain = domain.filter(|entry| !entry.is_stale(now_ms)).map(|entry| entry.card.envelope_bytes().clone());
        let of_home = |entry: &&CardEntry<AgentCard>| {
            let card = entry.card.get();
            card.home == *home && card.public && at_hand(&entry.path) && !entry.is_stale(now_ms)
        };
        let agents = self.agents.iter().filter(of_home).map(|entry| entry.card.envelope_bytes().clone());
        domain.into_iter().chain(agents).collect()
    }

    /// Digest and size of the set of cards that are not expired: equal digests need no repair.
    pub(crate) fn summary(&self, now_ms: u64) -> (Hash, u64) {
        let mut bytes = Vec::new();
        let mut count = 0;
        for line in self.digests_of(None, now_ms, |_| true, |_| true) {
            bytes.extend_from_slice(&line.digest.0);
            count += 1;
        }
        (Hash::of_parts("comity/v1/card-set", &[&bytes]), count)
    }
}

fn entry<T: Homed>(
    card: Verified<T>,
    verified_by: VerifiedBy,
    path: Path,
    trust: &Trust,
    first_heard_ms: u64,
) -> CardEntry<T> {
    let home_known = trust.domains.contains_key(&card.get().home());
    CardEntry { rank: rank(&card), card, path, verified_by, first_heard_ms, home_known }
}

fn stored<T: Homed>(kind: CardKind, entry: &CardEntry<T>) -> StoredCard {
    StoredCard {
        kind,
        owner: kind_and_id(&entry.card.get().owner()).1,
        envelope: entry.card.envelope_bytes().clone(),
        first_heard_ms: entry.first_heard_ms,
        local: entry.path == Path::Local,
    }
}

fn kind_and_id(owner: &Owner) -> (CardKind, [u8; 32]) {
    match owner {
        Owner::Agent(agent) => (CardKind::Agent, agent.0),
        Owner::Domain(domain) => (CardKind::Domain, domain.0),
    }
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
