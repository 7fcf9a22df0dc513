//! The table of members: the newest signed heartbeat of each, and what `members` makes of it.
//!
//! A heartbeat proves that its node was alive when it signed it. It says where the node listens, which cards it has and
//! which domain vouches for it; and, being newer than every suspicion of an older one, it refutes them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::envelope::Signed as _;
use comity_proto::gossip::{Heartbeat, MemberDigest, Suspicion};
use comity_proto::ids::{DomainId, Hash, PublicKey};
use comity_proto::limits::{ENDPOINTS_MAX, MEMBER_WORDS_MAX, MEMBERS_PER_PAGE_MAX, SUSPICIONS_MAX};
use comity_proto::text::Endpoint;
use comity_runtime as runtime;
use libp2p::Multiaddr;

use super::certificate::{Trust, judge};
use super::config::MeshConfig;
use super::limits::{CLOCK_SKEW_MS, MEMBERS_TOTAL};
use super::members::{Input, Machine, Output, State, Timing, Voice};
use super::shared::Shared;
use super::standing::Standing;

/// A node of the mesh, as its heartbeats, our pings and the suspicions of others tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its key: an address that changes makes no new member.
    pub node: PublicKey,
    /// Its domain as it says.
    pub domain: DomainId,
    /// What its certificate makes it to us.
    pub standing: Standing,
    /// See [`State`].
    pub state: State,
    /// Time in this state, ms.
    pub since_ms: u64,
    /// Who could not reach it, and has not been refuted in our eyes.
    pub suspected_by: Vec<PublicKey>,
    /// Of its newest heartbeat.
    pub sequence: u64,
    /// Time since its last sign of life, first hand or signed, ms.
    pub quiet_ms: u64,
    /// The difference of its clock to ours when its heartbeat was heard, ms; includes the way here.
    pub clock_ahead_ms: i64,
    /// Where it says it listens.
    pub addresses: Vec<String>,
    /// How many cards it has.
    pub cards: u64,
}

#[derive(Clone, Debug)]
struct Heard {
    beat: Heartbeat,
    /// Its exact signed bytes, to pass them on.
    envelope: Bytes,
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
    /// Its clock is too far from ours, or it is too old to prove anything.
    ClockSkew,
    /// The table is full of others.
    Full,
}

/// Milliseconds of the monotonic clock: the machine's time.
pub(crate) fn moment_ms() -> u64 {
    runtime::now().as_ns() / 1_000_000
}

#[derive(Debug)]
pub(crate) struct Membership {
    me: PublicKey,
    heard: BTreeMap<PublicKey, Heard>,
    pub(crate) machine: Machine,
    /// Nodes whose certificate we have checked, and until when it is valid.
    certified: BTreeMap<PublicKey, (DomainId, u64)>,
}

impl Membership {
    pub(crate) fn new(me: PublicKey, config: &MeshConfig) -> Membership {
        let ms = |period: Duration| u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
        let timing =
            Timing { ping_every_ms: ms(config.member_ping_every), heartbeat_every_ms: ms(config.heartbeat_every) };
        let mut chance = [0; 8];
        runtime::entropy(&mut chance);
        Membership {
            me,
            heard: BTreeMap::new(),
            machine: Machine::new(me, timing, u64::from_le_bytes(chance)),
            certified: BTreeMap::new(),
        }
    }

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

    /// Between two heartbeats of ours.
    pub(crate) fn heartbeat_every(&self) -> Duration {
        Duration::from_millis(self.machine.timing().heartbeat_every(self.machine.living()))
    }

    /// Takes a verified heartbeat with its exact bytes.
    pub(crate) fn hear(
        &mut self,
        (beat, envelope): (Heartbeat, Bytes),
        trust: &Trust,
        now_ms: u64,
        out: &mut Vec<Output>,
    ) -> Heartbeaten {
        let known = self.heard.get(&beat.node);
        let says = Input::Alive { node: beat.node, sequence: beat.sequence, leaving: beat.leaving };
        if beat.node == self.me && beat.sequence > self.machine.own_sequence() {
            // An earlier life of ours; nothing to keep, but to be outdone.
            self.machine.handle(moment_ms(), says, out);
            return Heartbeaten::Older;
        }
        if known.is_some_and(|known| known.beat.sequence >= beat.sequence) {
            return Heartbeaten::Older;
        }
        // A leave stays true.
        let is_leave = beat.leaving && known.is_some();
        if !is_leave && !self.is_fresh(beat.clock_ms, now_ms) {
            return Heartbeaten::ClockSkew;
        }
        // The same certificate as last time has been judged; a standing that ended since is noticed at the hello.
        let standing = match known.filter(|known| known.beat.certificate == beat.certificate) {
            Some(known) => known.standing.clone(),
            None => judge(&beat.certificate, &beat.node, trust, now_ms).standing,
        };
        if known.is_none() && self.heard.len() >= MEMBERS_TOTAL && !self.make_room(&standing) {
            return Heartbeaten::Full;
        }
        if beat.node != self.me {
            self.machine.handle(moment_ms(), says, out);
        }
        self.heard.insert(beat.node, Heard { beat, envelope, standing, heard_ms: now_ms });
        Heartbeaten::Newest
    }

    fn is_fresh(&self, clock_ms: u64, now_ms: u64) -> bool {
        let stale_ms = CLOCK_SKEW_MS.saturating_add(self.machine.stale_after_ms());
        clock_ms <= now_ms.saturating_add(CLOCK_SKEW_MS) && now_ms <= clock_ms.saturating_add(stale_ms)
    }

    /// A full table gives the place of one that is gone to anybody, that of a stranger to a node of a known domain.
    fn make_room(&mut self, newcomer: &Standing) -> bool {
        let now_ms = moment_ms();
        let is_gone = |node: &PublicKey| {
            let sight = self.machine.sight(node, now_ms);
            sight.is_some_and(|sight| matches!(sight.state, State::Left | State::Failed))
        };
        let gone = self.heard.keys().find(|node| is_gone(node)).copied();
        let others = self.heard.iter().filter(|(node, heard)| **node != self.me && !heard.standing.is_known());
        let stranger = others.map(|(node, _)| *node).next().filter(|_| newcomer.is_known());
        let Some(victim) = gone.or(stranger) else { return false };
        self.forget(&victim);
        true
    }

    /// Drops a member.
    pub(crate) fn forget(&mut self, node: &PublicKey) {
        self.machine.forget(node);
        self.heard.remove(node);
    }

    /// Takes a verified suspicion with its exact bytes. `true`: it was news.
    pub(crate) fn suspect(&mut self, said: Suspicion, word: Bytes, now_ms: u64, out: &mut Vec<Output>) -> bool {
        // Beyond that the suspect could not refute it, for its sequence follows its clock.
        let known = self.heard.get(&said.suspect).map_or(0, |heard| heard.beat.sequence);
        if said.sequence > known.max(now_ms.saturating_add(CLOCK_SKEW_MS)) {
            return false;
        }
        let voice = self.voice(&said.by, &said.suspect);
        let input = Input::Accused { of: said.suspect, sequence: said.sequence, by: said.by, voice, word };
        self.machine.handle(moment_ms(), input, out)
    }

    fn voice(&self, by: &PublicKey, of: &PublicKey) -> Voice {
        let standing = |node| self.heard.get(node).map(|heard: &Heard| &heard.standing);
        match standing(by) {
            _ if *by == self.me => Voice::Node,
            Some(Standing::Own { .. }) => Voice::Node,
            Some(Standing::Known { domain } | Standing::Peer { domain }) => {
                let is_of_it = standing(of).and_then(Standing::domain) == Some(*domain);
                if is_of_it { Voice::Node } else { Voice::Domain(*domain) }
            }
            Some(Standing::Stranger { .. } | Standing::Unjudged) | None => Voice::Stranger,
        }
    }

    // --- repair ---------------------------------------------------------------------------------------------------

    /// One page of the members of domains that `tells` admits, after a key; whether it is the last.
    pub(crate) fn page(
        &self,
        after: Option<PublicKey>,
        now_ms: u64,
        tells: impl Fn(&DomainId) -> bool,
    ) -> (Vec<MemberDigest>, bool) {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        // What nobody would take any more is not offered.
        let counts = |heard: &&Heard| heard.beat.leaving || self.is_fresh(heard.beat.clock_ms, now_ms);
        let offered = self.heard.range((from, Bound::Unbounded)).map(|(_, heard)| heard);
        let offered = offered.filter(counts).filter(|heard| tells(&heard.beat.domain));
        let digest = |heard: &Heard| MemberDigest {
            node: heard.beat.node,
            sequence: heard.beat.sequence,
            suspicions: self.machine.word_count(&heard.beat.node) as u32,
        };
        let mut items: Vec<MemberDigest> = offered.take(MEMBERS_PER_PAGE_MAX + 1).map(digest).collect();
        let is_last = items.len() <= MEMBERS_PER_PAGE_MAX;
        items.truncate(MEMBERS_PER_PAGE_MAX);
        (items, is_last)
    }

    /// Whether a neighbour knows something of a member that we do not.
    pub(crate) fn wants(&self, item: &MemberDigest) -> bool {
        if item.node == self.me {
            let own = self.machine.own_sequence();
            return item.sequence > own || (item.sequence == own && item.suspicions > 0);
        }
        let ours = self.machine.word_count(&item.node);
        let words = item.suspicions as usize;
        match self.heard.get(&item.node).map(|heard| heard.beat.sequence) {
            None => true,
            Some(known) if known == item.sequence => words > ours && ours < SUSPICIONS_MAX,
            Some(known) => known < item.sequence,
        }
    }

    /// All signed words about some members: heartbeats first, for a suspicion of an unknown node is worth nothing.
    pub(crate) fn words(&self, nodes: &[PublicKey], tells: impl Fn(&DomainId) -> bool) -> Vec<Bytes> {
        let told = |node: &&PublicKey| self.heard.get(*node).is_none_or(|heard| tells(&heard.beat.domain));
        let nodes: Vec<&PublicKey> = nodes.iter().filter(told).collect();
        let beats = nodes.iter().filter_map(|node| self.heard.get(*node)).map(|heard| heard.envelope.clone());
        let suspicions = nodes.iter().flat_map(|node| self.machine.words(node).cloned());
        beats.chain(suspicions).take(MEMBER_WORDS_MAX).collect()
    }

    // --- reads ----------------------------------------------------------------------------------------------------

    /// Digest of the set of cards that a node last told.
    pub(crate) fn cards_digest(&self, node: &PublicKey) -> Option<Hash> {
        self.heard.get(node).map(|heard| heard.beat.cards_digest)
    }

    /// All members, in the order of their keys.
    pub(crate) fn list(&self) -> Vec<Member> {
        let now_ms = moment_ms();
        let member = |heard: &Heard| {
            // We know of ourselves that we live.
            let sight = self.machine.sight(&heard.beat.node, now_ms);
            let own = if heard.beat.leaving { State::Left } else { State::Alive };
            Member {
                node: heard.beat.node,
                domain: heard.beat.domain,
                standing: heard.standing.clone(),
                state: sight.as_ref().map_or(own, |sight| sight.state),
                since_ms: sight.as_ref().map_or(0, |sight| sight.since_ms),
                quiet_ms: sight.as_ref().map_or(0, |sight| sight.quiet_ms),
                suspected_by: sight.map(|sight| sight.accusers).unwrap_or_default(),
                sequence: heard.beat.sequence,
                clock_ahead_ms: i64::try_from(heard.beat.clock_ms).unwrap_or(i64::MAX)
                    - i64::try_from(heard.heard_ms).unwrap_or(i64::MAX),
                addresses: heard.beat.addresses.iter().map(|address| address.as_str().to_owned()).collect(),
                cards: heard.beat.cards_count,
            }
        };
        self.heard.values().map(member).collect()
    }
}

/// Our own heartbeat, signed, with a sequence above `above`; `None` while we have no domain.
pub(crate) fn own_heartbeat(shared: &Shared, above: u64) -> Option<Bytes> {
    let identity = shared.identity.lock().clone();
    let domain = identity.domain?;
    let clock_ms = runtime::wall_ms();
    let (cards_digest, cards_count) = shared.directory.lock().summary(clock_ms);
    let sequence = shared.members.lock().machine.next_sequence(clock_ms, above);
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
    shared.members.lock().hear((beat, envelope.clone()), &shared.trust(), clock_ms, &mut Vec::new());
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
