//! Whoever hears from a gateway: its offers, cards from beyond it, and words that came through it.

use super::{
    gateway::OFFER_EVERY,
    refused::BridgeRefused,
    said::{Cargo, Frame, PassedCard, Said},
};
use crate::{
    mesh::{Caller, MeshHandle, Refusal, RpcError, Standing, class::Class, home_of, shelf::Offer},
    node::Node,
};
use bytes::Bytes;
use comity_ledger::settlement::CheckedBatch;
use comity_proto::{
    envelope::Signed as _,
    ids::{DomainId, Hash, PublicKey},
    passage::Passage,
};
use comity_runtime as runtime;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// An offer that is not repeated for so long is over.
const OFFER_HOLDS: Duration = Duration::from_secs(3 * OFFER_EVERY.as_secs());
/// How long another node of this domain has to take a card.
const TELL_WITHIN: Duration = Duration::from_secs(2);
/// Domains that one gateway may lead to.
const OFFERS_MAX: usize = 64;

/// Which gateways lead to which domain. Bounded by neighbours and [`OFFERS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Ways(Mutex<BTreeMap<PublicKey, (BTreeSet<DomainId>, runtime::Instant)>>);

impl Ways {
    fn hear(&self, gateway: PublicKey, domains: BTreeSet<DomainId>, now: runtime::Instant) {
        let mut ways = self.0.lock();
        ways.retain(|_, (_, heard)| now < *heard + OFFER_HOLDS);
        ways.insert(gateway, (domains, now));
    }

    /// Gateways that lead to a domain now.
    fn to(&self, domain: &DomainId, mesh: &MeshHandle) -> Vec<PublicKey> {
        self.all(mesh).into_iter().filter(|(to, _)| to == domain).map(|(_, by)| by).collect()
    }

    /// Whether any does.
    pub(crate) fn lead_to(&self, domain: &DomainId, mesh: &MeshHandle) -> bool {
        !self.to(domain, mesh).is_empty()
    }

    /// Every domain that some connected gateway leads to, with that gateway.
    pub(crate) fn all(&self, mesh: &MeshHandle) -> BTreeSet<(DomainId, PublicKey)> {
        let now = runtime::now();
        let ways = self.0.lock();
        let open = ways.iter().filter(|(by, (_, heard))| now < *heard + OFFER_HOLDS && is_peer(mesh, by));
        open.flat_map(|(by, (domains, _))| domains.iter().map(|domain| (*domain, *by))).collect()
    }

    /// Says something to a domain through whichever gateway passes it.
    ///
    /// # Errors
    /// Of the last gateway that was tried; none leads there.
    pub(crate) async fn carry(
        &self,
        mesh: &MeshHandle,
        (from, to): (DomainId, DomainId),
        cargo: Cargo,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, RpcError> {
        let gateways = self.to(&to, mesh);
        let share = deadline / u32::try_from(gateways.len()).unwrap_or(u32::MAX).max(1);
        let said = Said::Carry(Frame { from, to, cargo, body: body.to_vec() }).to_bytes();
        let mut last = RpcError::Unreachable("no connected node of that domain, and no gateway to it".to_owned());
        for gateway in gateways {
            match mesh.request(gateway, Class::Bridge, said.clone(), share).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

fn is_peer(mesh: &MeshHandle, node: &PublicKey) -> bool {
    matches!(mesh.standing(node), Some(Standing::Peer { .. }))
}

/// Brought by a gateway of a domain that this one has a treaty with and that its operator has chosen: a gateway reads what
/// it passes, so no peer makes itself one.
fn by_gateway(node: &Node, caller: &Caller) -> Result<(), BridgeRefused> {
    if !is_peer(node.mesh(), &caller.node) {
        return Err(BridgeRefused::NotAPeer);
    }
    if !node.mesh().is_gateway(&caller.node) {
        return Err(BridgeRefused::NotAGateway);
    }
    let is_chosen = |domain| node.home().config.gateways.contains(&domain);
    if caller.domain.is_some_and(is_chosen) { Ok(()) } else { Err(BridgeRefused::NotChosen) }
}

/// Remembers where a gateway leads, as far as those domains are known here.
pub(super) fn hear_offer(node: &Node, caller: Caller, domains: &[DomainId]) -> Result<(), BridgeRefused> {
    by_gateway(node, &caller)?;
    if domains.len() > OFFERS_MAX {
        return Err(BridgeRefused::Malformed);
    }
    let known = domains.iter().copied().filter(|domain| *domain != node.domain() && node.mesh().pins(domain));
    node.bridge().ways.hear(caller.node, known.collect(), runtime::now());
    Ok(())
}

/// Words of another domain that came through a gateway, answered as if a node of that domain had brought them.
pub(super) async fn hear(
    node: &Arc<Node>,
    caller: Caller,
    frame: Frame,
) -> Result<Result<Bytes, Refusal>, BridgeRefused> {
    by_gateway(node, &caller)?;
    let Frame { from, cargo, body, .. } = frame;
    if from == node.domain() {
        return Err(BridgeRefused::NotForUs);
    }
    let body = Bytes::from(body);
    match cargo {
        // As over a connection: a treaty begins with a stranger's word, which the ledger judges before it is an entry.
        Cargo::Treaty => Ok(crate::treaty::take(node, body).await),
        Cargo::Settlement => {
            if !node.mesh().pins(&from) {
                return Err(BridgeRefused::Stranger);
            }
            // Each becomes an entry of our log, and counts under the licence of whoever said it.
            if !are_words_of(&from, &node.domain(), &body) {
                return Err(BridgeRefused::ForgedWords);
            }
            let said_by = Caller { node: caller.node, domain: Some(from), own: false };
            Ok(node.hear_settlement(said_by, caller.domain, body).await)
        }
    }
}

/// Whether a voter of the roster inside signed it to us, and that domain's root key the roster.
fn are_words_of(from: &DomainId, to: &DomainId, envelope: &Bytes) -> bool {
    let signed = |batch: CheckedBatch| {
        let said = batch.get();
        said.from == *from && said.to == *to && batch.roster().voters.contains(batch.key())
    };
    CheckedBatch::open(envelope).is_ok_and(signed)
}

/// Keeps cards that a gateway passed, or that another node of this domain had from one.
pub(super) fn take_cards(node: &Arc<Node>, caller: Caller, cards: Vec<PassedCard>) -> Result<(), BridgeRefused> {
    if !caller.own {
        by_gateway(node, &caller)?;
    }
    let (mut news, mut refused) = (Vec::new(), Ok(()));
    for passed in cards {
        let (card, envelope) = (Bytes::from(passed.card), Bytes::from(passed.passage));
        // One bad card does not hide the good ones behind it; its refusal is told, and cards refused inside are counted.
        let passage = match judged(node, &caller, &card, &envelope) {
            Ok(passage) => passage,
            Err(why) => {
                refused = Err(why);
                continue;
            }
        };
        if node.mesh().take_bridged(&caller.node, &card, &passage) == Ok(Offer::Taken) {
            news.push(PassedCard { card: card.to_vec(), passage: envelope.to_vec() });
        }
    }
    if !caller.own && !news.is_empty() {
        pass_on(node, &Said::Cards(news).to_bytes());
    }
    refused
}

/// The passage, if it is what its signer, the certificate in it, the card and the connection say.
fn judged(node: &Node, caller: &Caller, card: &Bytes, envelope: &Bytes) -> Result<Passage, BridgeRefused> {
    let passage = Passage::open(envelope).map_err(|_| BridgeRefused::ForgedPassage)?.into_inner();
    let is_of_this = passage.card == Hash::of(card) && home_of(card) == Some(passage.home);
    let is_by_caller = caller.own || (passage.node == caller.node && Some(passage.gateway) == caller.domain);
    if !is_of_this || !is_by_caller || !node.mesh().vouches(&passage) {
        return Err(BridgeRefused::ForgedPassage);
    }
    if passage.to != node.domain() || passage.home == node.domain() {
        return Err(BridgeRefused::NotForUs);
    }
    Ok(passage)
}

/// To the other nodes of this domain, which need not be connected to the gateway; the passage still proves where it is from.
fn pass_on(node: &Arc<Node>, body: &Bytes) {
    for other in node.mesh().nodes_of(&node.domain()) {
        let (node, body) = (node.clone(), body.clone());
        runtime::spawn(async move {
            if let Err(error) = node.mesh().request(other, Class::Bridge, body, TELL_WITHIN).await {
                tracing::debug!(node = %other, %error, "a card from another mesh was not taken; repair will bring it");
            }
        });
    }
}
