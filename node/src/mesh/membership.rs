//! Who is in the mesh, by signed heartbeats.
//!
//! A heartbeat proves that its node was alive when it signed it, nothing else. So a node is shown as alive, as left
//! (it said so itself), or as unseen with the age of the last word. Suspicion with refutation is a later issue: until
//! then nothing here says "failed".

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use comity_proto::envelope::Signed as _;
use comity_proto::gossip::Heartbeat;
use comity_proto::ids::{DomainId, Hash, PublicKey};
use comity_proto::limits::ENDPOINTS_MAX;
use comity_proto::text::Endpoint;
use comity_runtime as runtime;
use libp2p::Multiaddr;

use super::certificate::{Trust, judge};
use super::limits::{CLOCK_SKEW_MS, MEMBERS_TOTAL};
use super::shared::Shared;
use super::standing::Standing;

/// What is known about a member's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// Heard lately.
    Alive,
    /// Nothing heard for a while. It may be cut off, stopped or gone: we do not know.
    Unseen,
    /// It said that it leaves.
    Left,
}

/// A node of the mesh, as its heartbeats tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its key.
    pub node: PublicKey,
    /// Its domain as it says.
    pub domain: DomainId,
    /// What its certificate makes it to us.
    pub standing: Standing,
    /// See [`MemberState`].
    pub state: MemberState,
    /// When we heard it last, ms since the Unix epoch, by our clock.
    pub last_heard_ms: u64,
    /// The difference of its clock to ours when it was heard, ms; includes the way here.
    pub clock_ahead_ms: i64,
    /// Where it says it listens.
    pub addresses: Vec<String>,
    /// How many cards it has.
    pub cards: u64,
}

#[derive(Clone, Debug)]
struct Heard {
    beat: Heartbeat,
    standing: Standing,
    heard_ms: u64,
}

/// What became of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeaten {
    /// It is the newest of its node.
    Newest,
    /// We had a newer one.
    Older,
    /// Its clock is too far from ours.
    ClockSkew,
    /// The table is full of others.
    Full,
}

#[derive(Debug, Default)]
pub(crate) struct Membership {
    heard: BTreeMap<PublicKey, Heard>,
    /// Highest own sequence used.
    own_sequence: u64,
    /// Nodes whose certificate we have checked, and until when it is valid.
    certified: BTreeMap<PublicKey, (DomainId, u64)>,
}

impl Membership {
    /// A neighbour showed a valid certificate of a pinned domain.
    pub(crate) fn certify(&mut self, node: PublicKey, domain: DomainId, until_ms: u64) {
        if self.certified.len() < MEMBERS_TOTAL || self.certified.contains_key(&node) {
            self.certified.insert(node, (domain, until_ms));
        }
    }

    /// Whether the node showed a certificate of that domain that is still valid.
    pub(crate) fn is_certified(&self, node: &PublicKey, domain: &DomainId, now_ms: u64) -> bool {
        self.certified.get(node).is_some_and(|(of, until_ms)| of == domain && now_ms < *until_ms)
    }

    /// Takes a verified heartbeat.
    pub(crate) fn hear(&mut self, beat: Heartbeat, trust: &Trust, now_ms: u64) -> Heartbeaten {
        if beat.clock_ms.abs_diff(now_ms) > CLOCK_SKEW_MS {
            return Heartbeaten::ClockSkew;
        }
        let known = self.heard.get(&beat.node);
        if known.is_some_and(|known| known.beat.sequence >= beat.sequence) {
            return Heartbeaten::Older;
        }
        // The same certificate as last time has been judged; a standing that ended since is noticed at the hello.
        let standing = match known.filter(|known| known.beat.certificate == beat.certificate) {
            Some(known) => known.standing.clone(),
            None => judge(&beat.certificate, &beat.node, trust, now_ms).standing,
        };
        if known.is_none() && self.heard.len() >= MEMBERS_TOTAL && !self.make_room(&standing) {
            return Heartbeaten::Full;
        }
        self.heard.insert(beat.node, Heard { beat, standing, heard_ms: now_ms });
        Heartbeaten::Newest
    }

    /// A full table gives a stranger's place to a node of a known domain, never the other way round.
    fn make_room(&mut self, newcomer: &Standing) -> bool {
        let victim = self.heard.iter().find(|(_, heard)| !heard.standing.is_known()).map(|(node, _)| *node);
        match victim {
            Some(victim) if newcomer.is_known() => self.heard.remove(&victim).is_some(),
            _ => false,
        }
    }

    /// Digest of the set of cards that a node last told.
    pub(crate) fn cards_digest(&self, node: &PublicKey) -> Option<Hash> {
        self.heard.get(node).map(|heard| heard.beat.cards_digest)
    }

    /// All members, in the order of their keys.
    pub(crate) fn list(&self, now_ms: u64, unseen_after_ms: u64) -> Vec<Member> {
        let member = |heard: &Heard| Member {
            node: heard.beat.node,
            domain: heard.beat.domain,
            standing: heard.standing.clone(),
            state: match heard {
                heard if heard.beat.leaving => MemberState::Left,
                heard if now_ms.saturating_sub(heard.heard_ms) > unseen_after_ms => MemberState::Unseen,
                _ => MemberState::Alive,
            },
            last_heard_ms: heard.heard_ms,
            clock_ahead_ms: i64::try_from(heard.beat.clock_ms).unwrap_or(i64::MAX)
                - i64::try_from(heard.heard_ms).unwrap_or(i64::MAX),
            addresses: heard.beat.addresses.iter().map(|address| address.as_str().to_owned()).collect(),
            cards: heard.beat.cards_count,
        };
        self.heard.values().map(member).collect()
    }
}

/// Our own heartbeat, signed; `None` while we have no domain.
pub(crate) fn own_heartbeat(shared: &Shared) -> Option<Bytes> {
    let identity = shared.identity.lock().clone();
    let domain = identity.domain?;
    let clock_ms = runtime::wall_ms();
    let (cards_digest, cards_count) = shared.directory.lock().summary(clock_ms);
    let sequence = {
        let mut members = shared.members.lock();
        // The clock carries the count over a restart; the increment keeps it rising when the clock does not.
        members.own_sequence = clock_ms.max(members.own_sequence + 1);
        members.own_sequence
    };
    let beat = Heartbeat {
        node: shared.me,
        domain,
        sequence,
        addresses: endpoints(&shared.addresses()),
        cards_digest,
        cards_count,
        clock_ms,
        leaving: shared.leaving.load(Ordering::Relaxed),
        certificate: identity.certificate,
    };
    let envelope = beat.seal(&shared.key);
    shared.members.lock().hear(beat, &shared.trust(), clock_ms);
    Some(envelope)
}

/// Addresses as they travel; one that is too long is left out.
pub(crate) fn endpoints(addresses: &[Multiaddr]) -> Vec<Endpoint> {
    addresses.iter().filter_map(|address| Endpoint::new(&address.to_string()).ok()).take(ENDPOINTS_MAX).collect()
}

/// Addresses as they are dialled; one that is no multiaddress is left out.
pub(crate) fn multiaddresses(endpoints: &[Endpoint]) -> Vec<Multiaddr> {
    endpoints.iter().filter_map(|endpoint| endpoint.as_str().parse().ok()).collect()
}
