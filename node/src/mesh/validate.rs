//! Judges gossiped messages before they are forwarded, away from the swarm's task.
//!
//! `Reject` is for the sender's fault alone (it costs the sender score); what we merely cannot check or have no room
//! for is ignored, and repair brings it again.

use std::sync::Arc;

use bytes::Bytes;
use comity_proto::card::{AgentCard, DomainCard};
use comity_proto::envelope::{Context, Envelope, Signed as _};
use comity_proto::gossip::{Heartbeat, Suspicion};
use comity_proto::ids::{DomainId, PublicKey};
use comity_proto::limits::CARD_BYTES_MAX;
use comity_runtime as runtime;
use libp2p::PeerId;
use libp2p::gossipsub::{MessageAcceptance, MessageId};
use tokio::sync::mpsc;

use super::directory::{CardRefused, Checked, check_agent, check_domain};
use super::driver::Command;
use super::members::{Output, State};
use super::membership::{Heartbeaten, multiaddresses};
use super::quota::OverLicence;
use super::reach;
use super::shared::{MeshEvent, Shared};
use super::shelf::{Offer, Path};
use super::standing::Standing;
use super::store::CardKind;
use super::topics::Topic;
use super::{peer, vigil};

/// A gossiped message that waits for its verdict.
pub(crate) struct Incoming {
    pub(crate) id: MessageId,
    pub(crate) source: PeerId,
    pub(crate) topic: Topic,
    pub(crate) data: Bytes,
}

/// Runs until the driver is gone.
pub(crate) async fn run(shared: Arc<Shared>, mut incoming: mpsc::Receiver<Incoming>) {
    while let Some(message) = incoming.recv().await {
        shared.heard(&message.source);
        let verdict = if message.data.len() > message.topic.max_bytes() {
            shared.count("gossip_too_large");
            MessageAcceptance::Reject
        } else {
            match message.topic {
                Topic::Members => match word(&shared, &message.data) {
                    Ok(Some(_)) => MessageAcceptance::Accept,
                    Ok(None) => MessageAcceptance::Ignore,
                    Err(()) => MessageAcceptance::Reject,
                },
                Topic::Cards => card(&shared, CardKind::Agent, &message.data, &message.source),
                Topic::DomainCards => card(&shared, CardKind::Domain, &message.data, &message.source),
            }
        };
        shared.gossip.judged(message.topic, &verdict);
        let verdict = match verdict {
            // Taken, but not carried on: gossip knows no meshes.
            MessageAcceptance::Accept if shared.separates => MessageAcceptance::Ignore,
            verdict => verdict,
        };
        let told = Command::Verdict(message.id, message.source, verdict);
        if shared.commands.send(told).await.is_err() {
            return;
        }
    }
}

fn card(shared: &Arc<Shared>, kind: CardKind, data: &Bytes, source: &PeerId) -> MessageAcceptance {
    let taken = if kind == CardKind::Agent && is_hidden(data) {
        shared.count(CardRefused::NotShown.name());
        Err(CardRefused::NotShown)
    } else {
        take_card(shared, kind, data, From::Neighbour(*source))
    };
    match taken {
        Ok(Offer::Taken | Offer::Held) => MessageAcceptance::Accept,
        Ok(Offer::Older | Offer::Expired | Offer::OverQuota) => MessageAcceptance::Ignore,
        Err(refused) if refused.is_senders_fault() => MessageAcceptance::Reject,
        Err(_) => MessageAcceptance::Ignore,
    }
}

/// A card that is not public is told from neighbour to neighbour: whoever took one from gossip, its home too, would carry
/// it on to everybody.
fn is_hidden(data: &Bytes) -> bool {
    let card = Envelope::parse(data, CARD_BYTES_MAX, Context::AgentCard.as_str())
        .and_then(|envelope| AgentCard::decode(envelope.unverified_payload()));
    card.is_ok_and(|card| !card.public)
}

/// Where a card came from.
pub(crate) enum From {
    /// From a client of this node.
    Local,
    /// From a neighbour, by gossip or repair.
    Neighbour(PeerId),
    /// From another mesh, by a neighbour's word about the passage, which has been judged.
    Bridge(PeerId, Path),
    /// From our own store; first heard at this wall time, and whether it was local then.
    Store(u64, bool),
}

/// Verifies a card and offers it to the directory. Counts what was not taken by its name.
pub(crate) fn take_card(shared: &Arc<Shared>, kind: CardKind, data: &Bytes, from: From) -> Result<Offer, CardRefused> {
    let now_ms = runtime::wall_ms();
    let trust = shared.trust();
    let checked = match kind {
        CardKind::Agent => check_agent(data, &trust, &shared.rosters.lock(), now_ms)
            .map(|(card, by)| (card.get().home, Checked::Agent(card, by))),
        CardKind::Domain => {
            hear_roster_of(shared, data);
            check_domain(data, &trust, &shared.rosters.lock())
                .map(|(card, by)| (card.get().domain, Checked::Domain(card, by)))
        }
    };
    let (home, card) = checked.inspect_err(|refused| {
        shared.count(refused.name());
        tracing::debug!(%refused, "a card was refused");
    })?;
    let event = match &card {
        Checked::Agent(card, _) => MeshEvent::AgentCard { agent: card.get().agent },
        Checked::Domain(card, _) => MeshEvent::DomainCard { domain: card.get().domain },
    };
    let told = match (&card, &from) {
        (Checked::Agent(card, _), From::Local) => Some((card.get().clone(), None)),
        (Checked::Agent(card, _), From::Neighbour(source) | From::Bridge(source, _)) => {
            Some((card.get().clone(), Some(*source)))
        }
        (Checked::Agent(..), From::Store(..)) | (Checked::Domain(..), _) => None,
    };
    if let Some((card, Some(source))) = &told
        && !reach::takes(shared.own_domain(), card, &shared.standing(source).unwrap_or(Standing::Unjudged))
    {
        shared.count(CardRefused::NotShown.name());
        return Err(CardRefused::NotShown);
    }
    if let Some((card, Some(source))) = &told {
        within_licence(shared, card, source).map_err(CardRefused::OverLicence)?;
    }
    let (path, first_heard_ms) = match from {
        From::Local => (Path::Local, now_ms),
        From::Store(first_heard_ms, local) => (if local { Path::Local } else { Path::Stored }, first_heard_ms),
        From::Neighbour(source) => (path_from(shared, &source, home), now_ms),
        From::Bridge(_, path) => (path, now_ms),
    };
    let offer = shared.directory.lock().offer(card, path, &trust, first_heard_ms, now_ms);
    match offer {
        Offer::Taken => {
            shared.tell(event);
            if let Some((card, source)) = told {
                reach::push(shared, &card, data, source.as_ref());
            }
        }
        Offer::Held => {}
        Offer::Older | Offer::Expired | Offer::OverQuota => shared.count(offer.name()),
    }
    Ok(offer)
}

/// What a home itself brings is an event of its licence; agents of it are counted by whatever way they come.
fn within_licence(shared: &Shared, card: &AgentCard, source: &PeerId) -> Result<(), OverLicence> {
    let home = card.home;
    if !shared.meter.lock().counts(&home) {
        return Ok(());
    }
    if shared.standing(source).and_then(|standing| standing.domain()) == Some(home) {
        shared.admit(&home, 1)?;
    }
    let known = shared.directory.lock().others_of(&home, &card.agent);
    let verdict = shared.meter.lock().admit_agent(&home, known);
    verdict.inspect_err(|over| shared.count(over.name()))
}

/// First hand when a certified node of the home domain gave it to us itself.
fn path_from(shared: &Shared, source: &PeerId, home: DomainId) -> Path {
    let node = peer::node_key(source).unwrap_or(PublicKey([0; 32]));
    match shared.standing(source).and_then(|standing| standing.domain()) {
        Some(domain) if domain == home => Path::FirstHand(node),
        _ => Path::Relayed(node),
    }
}

/// A domain card brings its domain's roster along.
fn hear_roster_of(shared: &Shared, data: &Bytes) {
    let Ok(card) = DomainCard::open(data) else { return };
    let taken = shared.rosters.lock().offer(&card.get().roster, &shared.trust());
    if let Some((domain, epoch)) = taken {
        shared.tell(MeshEvent::Roster { domain, epoch });
    }
}

/// A word about a member that was news to us.
pub(crate) struct Word {
    /// Whom it is about.
    pub(crate) of: PublicKey,
    /// It lives, and was held for something else.
    pub(crate) is_return: bool,
}

/// Verifies a heartbeat or a suspicion and takes it. `None`: not news; counted inside when it was malformed.
pub(crate) fn take_word(shared: &Arc<Shared>, data: &Bytes) -> Option<Word> {
    word(shared, data).unwrap_or_default()
}

/// `Err`: the sender should have known better.
fn word(shared: &Arc<Shared>, data: &Bytes) -> Result<Option<Word>, ()> {
    let malformed = |_| shared.count("member_word_malformed");
    let envelope = Envelope::parse(data, Heartbeat::PAYLOAD_BYTES_MAX, Heartbeat::LIMIT).map_err(malformed)?;
    // An envelope does not say its kind, but no payload reads as both.
    if Suspicion::decode(envelope.unverified_payload()).is_err() {
        return Ok(heartbeat(shared, Heartbeat::open(data).map_err(malformed)?.into_inner(), data));
    }
    let said = Suspicion::open(data).map_err(malformed)?.into_inner();
    let mut out = Vec::new();
    let is_news = shared.members.lock().suspect(said, data.clone(), runtime::wall_ms(), &mut out);
    vigil::act(shared, out);
    Ok(is_news.then_some(Word { of: said.suspect, is_return: false }))
}

fn heartbeat(shared: &Arc<Shared>, beat: Heartbeat, data: &Bytes) -> Option<Word> {
    let (node, domain, leaving) = (beat.node, beat.domain, beat.leaving);
    let addresses = multiaddresses(&beat.addresses);
    let now_ms = runtime::wall_ms();
    let mut out = Vec::new();
    let (heard, certified) = {
        let mut members = shared.members.lock();
        let heard = members.hear((beat, data.clone()), &shared.trust(), now_ms, &mut out);
        (heard, members.is_certified(&node, &domain, now_ms))
    };
    let is_return = out.iter().any(|output| matches!(output, Output::Changed { to: State::Alive, .. }));
    vigil::act(shared, out);
    if heard != Heartbeaten::Newest {
        return None;
    }
    let pinned = shared.trust().domains.contains_key(&domain);
    let proved = pinned && (certified || shared.rosters.lock().votes(&domain, &node));
    if let Some(peer) = peer::peer_id(&node).filter(|_| proved && node != shared.me) {
        // A full queue only delays a redial: the next heartbeat tells the addresses again.
        let _ = shared.commands.try_send(match leaving {
            true => Command::Forget(peer),
            false => Command::Learn(peer, addresses),
        });
    }
    Some(Word { of: node, is_return })
}
