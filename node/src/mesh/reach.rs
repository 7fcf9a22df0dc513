//! How far a card goes.
//!
//! | card | goes |
//! |---|---|
//! | public: its agent has signed that, and a rule of its home admits everyone | to everybody, by gossip and repair |
//! | of our own domain, else | to our own nodes, and to peers that our rules admit |
//! | of another domain, not public | to our own nodes, and back to its home, which may have forgotten it |
//!
//! A gateway between two meshes ([`super::config::MeshConfig::separates`]) keeps them apart here: cards and words about
//! members of one domain go to that domain and to our own nodes. What crosses is passed by name, not by this.
//!
//! The same rule stands at both ends: what an honest node would not have been shown it does not take either, so a leak is
//! carried by nobody but those who leak. It is no secrecy: whoever was shown a card can tell others what it says. Card
//! for card each node pushes what gossip does not carry; repair asks for the rest.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::card::AgentCard;
use comity_proto::export::Exports;
use comity_proto::gossip::Repair;
use comity_proto::ids::{DomainId, PublicKey};
use comity_proto::planted::{Plant, planted};
use comity_runtime as runtime;
use libp2p::PeerId;

use super::class::Class;
use super::shared::{Neighbour, Shared};
use super::standing::Standing;
use super::streams;

/// How long a neighbour may take to answer to a push. What is lost comes with the next repair.
const DEADLINE: Duration = Duration::from_secs(3);
/// However often a neighbour says that it has news: no round begins sooner after the last one.
pub(super) const ROUND_PAUSE: Duration = Duration::from_secs(1);

/// What decides how far cards go, at one moment.
pub(super) struct Reach {
    exports: Arc<Exports>,
    own: Option<DomainId>,
    separates: bool,
}

impl Reach {
    pub(super) fn of(shared: &Shared) -> Reach {
        Reach { exports: shared.exports(), own: shared.own_domain(), separates: shared.separates }
    }

    /// Whether a neighbour of this standing may be shown the card.
    pub(super) fn shows(&self, card: &AgentCard, to: &Standing) -> bool {
        match to {
            Standing::Own { .. } => true,
            _ if self.own != Some(card.home) => {
                to.domain() == Some(card.home) || card.public && self.is_of_one_mesh(&card.home, to)
            }
            Standing::Peer { domain } => self.exports.shows(domain, card) || planted(Plant::ExportBlind),
            Standing::Known { .. } | Standing::Stranger { .. } | Standing::Unjudged => self.exports.publishes(card),
        }
    }

    /// Whether a neighbour of this standing may be told what is said of or by this domain.
    pub(super) fn is_of_one_mesh(&self, home: &DomainId, to: &Standing) -> bool {
        !self.separates || self.own == Some(*home) || to.is_own() || to.domain() == Some(*home)
    }
}

/// Whether a card may come from a neighbour of this standing: else its home has not shown it to us. Of our own agents
/// whatever is newest counts: all of our nodes may have lost power before their disks had it.
pub(super) fn takes(own: Option<DomainId>, card: &AgentCard, from: &Standing) -> bool {
    card.public || from.is_own() || from.domain() == Some(card.home) || own == Some(card.home)
}

/// Whether gossip carries it, in both directions.
pub(super) fn gossips(shared: &Shared, card: &AgentCard) -> bool {
    Reach::of(shared).shows(card, &Standing::Unjudged)
}

/// Tells a card that gossip does not carry to those neighbours who may see it, but for the one it came from.
pub(super) fn push(shared: &Arc<Shared>, card: &AgentCard, envelope: &Bytes, from: Option<&PeerId>) {
    if gossips(shared, card) {
        return;
    }
    let reach = Reach::of(shared);
    let may_see = |neighbour: &Neighbour| reach.shows(card, &neighbour.judged.standing);
    let to = neighbours(shared, |peer, neighbour| Some(peer) != from && may_see(neighbour));
    let body = Repair::Cards { cards: vec![envelope.clone()] }.encode();
    to.into_iter().for_each(|node| say(shared, node, body.clone()));
}

/// Tells neighbours that they may now be shown more than before: they ask.
pub(super) fn announce(shared: &Arc<Shared>, to: impl Fn(&PeerId, &Neighbour) -> bool) {
    let body = Repair::Digests { items: Vec::new(), complete: false }.encode();
    neighbours(shared, to).into_iter().for_each(|node| say(shared, node, body.clone()));
}

fn neighbours(shared: &Shared, which: impl Fn(&PeerId, &Neighbour) -> bool) -> Vec<PublicKey> {
    let neighbours = shared.neighbours.lock();
    let chosen = neighbours.iter().filter(|(peer, neighbour)| which(peer, neighbour));
    chosen.map(|(_, neighbour)| neighbour.key).collect()
}

fn say(shared: &Arc<Shared>, node: PublicKey, body: Bytes) {
    let shared = shared.clone();
    runtime::spawn(async move {
        if let Err(error) = streams::request(&shared, node, Class::Repair, body, DEADLINE).await {
            tracing::debug!(%node, %error, "a neighbour was not told of a card; repair will");
        }
    });
}
