//! The gateway: offers ways, passes cards and frames.

use super::{
    refused::BridgeRefused,
    rules::{Pair, Rules, pair},
    said::{Frame, PassedCard, Said},
};
use crate::{
    mesh::{Caller, Refusal, RpcError, class::Class, home_of},
    node::Node,
    service::shape,
};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    ids::{DomainId, Hash, PublicKey},
    passage::Passage,
};
use comity_runtime as runtime;
use parking_lot::Mutex;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use utoipa::ToSchema;

/// Between two looks at what is to be told.
const LOOK: Duration = Duration::from_secs(1);
/// How often ways are offered again: whoever hears no offer for three of these counts on none.
pub(super) const OFFER_EVERY: Duration = Duration::from_secs(2);
/// How long one node has to take an offer or cards.
const TELL_WITHIN: Duration = Duration::from_secs(2);
/// How long the far side has to answer to a frame. Longer than it waits for a leader.
const PASS_WITHIN: Duration = Duration::from_secs(4);
/// Cards in one request.
const CARDS_AT_ONCE: usize = 16;
/// After a refusal cards are offered again.
const AGAIN: Duration = Duration::from_secs(10);

/// What a node has been told.
#[derive(Default)]
struct Told {
    offered: BTreeSet<DomainId>,
    offered_at: Option<runtime::Instant>,
    /// Cards that it took or refused, by the digest of their envelopes. Bounded by the cards of the paired domains: an
    /// edition that is replaced or over is forgotten.
    cards: BTreeSet<Hash>,
    quiet_until: Option<runtime::Instant>,
}

impl Told {
    /// Of the cards that can be passed now, some that it was not told of yet.
    fn fresh(&mut self, all: Vec<(Hash, Bytes)>) -> Vec<(Hash, Bytes)> {
        let current: BTreeSet<Hash> = all.iter().map(|(digest, _)| *digest).collect();
        self.cards.retain(|digest| current.contains(digest));
        all.into_iter().filter(|(digest, _)| !self.cards.contains(digest)).take(CARDS_AT_ONCE).collect()
    }
}

/// The rules of this node and what it has told.
pub(crate) struct Gateway {
    rules: Mutex<Rules>,
    told: Mutex<BTreeMap<PublicKey, Told>>,
}

/// A pair as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PairView {
    /// The two domains.
    #[schema(value_type = Vec<shape::DomainIdText>)]
    pub between: [DomainId; 2],
    /// Whether a node of each is connected.
    pub connected: [bool; 2],
    /// Frames passed since the start.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Frames over quota or without a place.
    pub refused: u64,
}

impl Gateway {
    pub(super) fn of(rules: Rules) -> Gateway {
        Gateway { rules: Mutex::new(rules), told: Mutex::default() }
    }

    /// Every pair, with what has passed.
    pub(crate) fn list(&self, node: &Node) -> Vec<PairView> {
        let is_here = |domain: &DomainId| !node.mesh().nodes_of(domain).is_empty();
        let rules = self.rules.lock();
        let view = |(pair, passed): (&Pair, &super::rules::Passed)| PairView {
            between: [pair.0, pair.1],
            connected: [is_here(&pair.0), is_here(&pair.1)],
            frames: passed.frames,
            bytes: passed.bytes,
            refused: passed.refused,
        };
        rules.all().map(view).collect()
    }
}

/// Gives a place back, however the passing ends.
struct Place<'a>(&'a Gateway, Pair);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.rules.lock().done(self.1);
    }
}

/// Hands a frame to the domain that it is for, and its answer back. What is in it is not read.
pub(super) async fn pass(node: &Node, caller: Caller, frame: Frame) -> Result<Result<Bytes, Refusal>, BridgeRefused> {
    if caller.domain != Some(frame.from) || caller.own {
        return Err(BridgeRefused::NotYours);
    }
    let gateway = &node.bridge().gateway;
    let (pair, to) = (pair(frame.from, frame.to), frame.to);
    let now_ms = runtime::now().as_ns() / 1_000_000;
    gateway.rules.lock().begin(pair, frame.body.len(), now_ms)?;
    let _place = Place(gateway, pair);
    let others = node.mesh().nodes_of(&to);
    let share = PASS_WITHIN / u32::try_from(others.len()).unwrap_or(u32::MAX).max(1);
    let body = Said::Carry(frame).to_bytes();
    let mut refused = None;
    for other in others {
        match node.mesh().request(other, Class::Bridge, body.clone(), share).await {
            Ok(answer) => return Ok(Ok(answer)),
            Err(RpcError::Refused(words)) => refused = Some(Refusal(words)),
            Err(error) => tracing::debug!(%to, node = %other, %error, "a frame did not pass"),
        }
    }
    refused.map(Err).ok_or(BridgeRefused::FarSideAway)
}

/// Tells the nodes of paired domains what is on the other side, for the life of the node.
pub(crate) async fn run(node: Arc<Node>) {
    if node.bridge().gateway.rules.lock().is_empty() {
        return;
    }
    loop {
        runtime::sleep(LOOK).await;
        let pairs: Vec<Pair> = node.bridge().gateway.rules.lock().pairs().collect();
        let domains: BTreeSet<DomainId> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
        let nodes: BTreeMap<DomainId, Vec<PublicKey>> =
            domains.iter().map(|domain| (*domain, node.mesh().nodes_of(domain))).collect();
        let connected: BTreeSet<PublicKey> = nodes.values().flatten().copied().collect();
        node.bridge().gateway.told.lock().retain(|other, _| connected.contains(other));
        let mut tells = Vec::new();
        for (to, others) in &nodes {
            let beyond = pairs.iter().filter_map(|(one, other)| match to {
                to if to == one => Some(*other),
                to if to == other => Some(*one),
                _ => None,
            });
            let beyond: BTreeSet<DomainId> = beyond.filter(|home| !nodes[home].is_empty()).collect();
            tells.extend(others.iter().map(|other| tell(&node, *to, *other, beyond.clone())));
        }
        // Side by side: a node that is slow to answer delays no other for longer than one look.
        futures::future::join_all(tells).await;
    }
}

async fn tell(node: &Node, to: DomainId, other: PublicKey, beyond: BTreeSet<DomainId>) {
    futures::future::join(offer(node, other, &beyond), cards(node, to, other, &beyond)).await;
}

async fn offer(node: &Node, other: PublicKey, beyond: &BTreeSet<DomainId>) {
    let now = runtime::now();
    {
        let mut told = node.bridge().gateway.told.lock();
        let told = told.entry(other).or_default();
        let is_fresh = told.offered_at.is_some_and(|at| now < at + OFFER_EVERY);
        if is_fresh && told.offered == *beyond {
            return;
        }
        (told.offered_at, told.offered) = (Some(now), beyond.clone());
    }
    let body = Said::Offer(beyond.iter().copied().collect()).to_bytes();
    if let Err(error) = node.mesh().request(other, Class::Bridge, body, TELL_WITHIN).await {
        tracing::debug!(node = %other, %error, "an offer was not taken");
    }
}

async fn cards(node: &Node, to: DomainId, other: PublicKey, beyond: &BTreeSet<DomainId>) {
    let now = runtime::now();
    // Looked up and hashed before the lock: every offer and every card to another node waits for it.
    let all = beyond.iter().flat_map(|home| node.mesh().passable(home)).map(|card| (Hash::of(&card), card)).collect();
    let fresh = {
        let mut told = node.bridge().gateway.told.lock();
        let told = told.entry(other).or_default();
        if told.quiet_until.is_some_and(|until| now < until) {
            return;
        }
        told.fresh(all)
    };
    if fresh.is_empty() {
        return;
    }
    let passed: Vec<PassedCard> = fresh.iter().filter_map(|(digest, card)| passage(node, to, *digest, card)).collect();
    let taken = node.mesh().request(other, Class::Bridge, Said::Cards(passed).to_bytes(), TELL_WITHIN).await;
    let mut told = node.bridge().gateway.told.lock();
    let told = told.entry(other).or_default();
    match taken {
        Ok(_) => told.cards.extend(fresh.into_iter().map(|(digest, _)| digest)),
        Err(error) => {
            told.quiet_until = Some(now + AGAIN);
            tracing::debug!(node = %other, %error, "cards were not taken; they are offered again");
        }
    }
}

fn passage(node: &Node, to: DomainId, digest: Hash, card: &Bytes) -> Option<PassedCard> {
    let passage = Passage {
        card: digest,
        home: home_of(card)?,
        gateway: node.domain(),
        node: node.key().public(),
        to,
        hops: 1,
        passed_at_ms: runtime::wall_ms(),
        certificate: node.certificate(),
    };
    Some(PassedCard { card: card.to_vec(), passage: passage.seal(node.key()).to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(numbers: std::ops::Range<u8>) -> Vec<(Hash, Bytes)> {
        numbers.map(|number| (Hash([number; 32]), Bytes::from(vec![number]))).collect()
    }

    #[test]
    fn what_was_told_is_remembered_as_long_as_it_can_be_passed_and_no_longer() {
        let mut told = Told::default();
        assert_eq!(told.fresh(cards(0..20)).len(), CARDS_AT_ONCE);
        told.cards.extend(cards(0..20).into_iter().map(|(digest, _)| digest));
        assert!(told.fresh(cards(0..20)).is_empty());
        // All of them are replaced by next editions.
        assert_eq!(told.fresh(cards(20..23)), cards(20..23));
        assert!(told.cards.is_empty(), "{:?}", told.cards);
    }
}
