//! Events of other domains in a history: each must be proved to a tree that its domain signed, in the order of that domain's
//! log, and speak of the domain whose history it is.

use crate::{
    chain::{Chain, Judged},
    proof::{self, Refused},
    replay::Broken,
    wrong::Rule,
};
use comity_ledger::{
    Event, EventKind,
    projection::{PeerCheckpoint, ProjectedEvent},
};
use comity_proto::{envelope::Signed as _, identity::Roster, ids::DomainId};
use std::collections::BTreeMap;

/// What a history holds of one other domain's log.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    tree: Judged,
    next: u64,
    events: u64,
}

/// By domain.
pub(crate) type HeldOf = BTreeMap<DomainId, Held>;

/// The events that a history holds of one other domain's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whose log.
    pub peer: DomainId,
    /// How many.
    pub events: u64,
    /// Events in the last tree that they are proved to.
    pub size: u64,
}

/// One line for each domain.
pub(crate) fn told(held: &HeldOf) -> Vec<Told> {
    let line =
        |(peer, held): (&DomainId, &Held)| Told { peer: *peer, events: held.events, size: held.tree.checkpoint().size };
    held.iter().map(line).collect()
}

fn wrong(reason: &str, peer: &DomainId) -> Broken {
    (Rule::Projection, format!("{reason}: of {peer}"))
}

fn refused(refused: &Refused, peer: &DomainId) -> Broken {
    (Rule::Projection, format!("{}: {refused}, of {peer}", refused.name()))
}

/// Takes what one event says about other domains' logs.
pub(crate) fn take(own: DomainId, all: &mut HeldOf, kind: &EventKind) -> Result<(), Broken> {
    match kind {
        EventKind::PeerCheckpointHeld(said) => tree(own, all, said),
        EventKind::EventProjected(said) => event(own, all, said),
        _ => Ok(()),
    }
}

fn tree(own: DomainId, all: &mut HeldOf, said: &PeerCheckpoint) -> Result<(), Broken> {
    let peer = said.peer;
    let root_key = Roster::open(&said.roster.0).map(|roster| *roster.first_key());
    let root_key = root_key.map_err(|reject| wrong(&format!("roster: {}", reject.code()), &peer))?;
    let chain = Chain { domain: peer, root_key, roster: said.roster.0.clone() };
    let judged = chain.judge(&said.checkpoint.0).map_err(|wrong| (Rule::Projection, wrong.to_string()))?;
    let signed = judged.checkpoint();
    if peer == own || (signed.size, signed.root) != (said.size, said.root) {
        return Err(wrong("other_domain", &peer));
    }
    let held = all.get(&peer);
    match held {
        Some(held) => proof::extends(held.tree.checkpoint(), signed, &said.extends),
        None if said.extends.is_empty() => Ok(()),
        None => Err(Refused::ProofTooLong { expected: 0, given: said.extends.len() }),
    }
    .map_err(|error| refused(&error, &peer))?;
    let (next, events) = held.map_or((0, 0), |held| (held.next, held.events));
    all.insert(peer, Held { tree: judged, next, events });
    Ok(())
}

fn event(own: DomainId, all: &mut HeldOf, said: &ProjectedEvent) -> Result<(), Broken> {
    let peer = said.peer;
    let held = all.get_mut(&peer).filter(|held| held.tree.checkpoint().size == said.size);
    let held = held.ok_or_else(|| wrong("unknown_checkpoint", &peer))?;
    proof::includes(held.tree.checkpoint(), said.index, &said.event.0, &said.path)
        .map_err(|error| refused(&error, &peer))?;
    let event = Event::from_bytes(&said.event.0).ok().filter(|event| event.to_bytes() == *said.event.0);
    let event = event.ok_or_else(|| wrong("malformed", &peer))?;
    if !event.concerned().contains(&own) {
        return Err(wrong("not_ours", &peer));
    }
    if said.index < held.next {
        return Err(wrong("order", &peer));
    }
    held.next = said.index.saturating_add(1);
    held.events = held.events.saturating_add(1);
    Ok(())
}
