//! Only what was signed is shown.

use std::collections::BTreeSet;

use comity_proto::{
    card::AgentCard,
    envelope::Signed as _,
    ids::{AgentId, Hash},
};

use crate::{
    oracles::{Oracle, View},
    world::TimeNs,
};

/// Time between two looks at all directories.
const EVERY: TimeNs = 500_000_000;

/// Cards that were judged already.
#[derive(Default)]
pub(super) struct CardsSigned {
    next: TimeNs,
    good: BTreeSet<Hash>,
}

impl Oracle for CardsSigned {
    fn name(&self) -> &'static str {
        "cards-are-signed"
    }

    fn claim(&self) -> &'static str {
        "every card in every directory is signed by its agent's own key, and its agent has published it"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.now < self.next {
            return Ok(());
        }
        self.next = view.now + EVERY;
        for (host, node) in view.hosts.nodes() {
            let cards =
                node.mesh().of_agent_cards(|entry| (entry.card.get().agent, entry.card.envelope_bytes().clone()));
            for (agent, bytes) in cards {
                let digest = Hash::of(&bytes);
                if !self.good.insert(digest) {
                    continue;
                }
                let opened = AgentCard::open(&bytes).is_ok_and(|card| AgentId::of_key(card.key()) == agent);
                let known = view.history.has_published(&digest) || view.hosts.is_strangers_card(&digest);
                if !opened || !known {
                    return Err(format!("host {host} shows a card of {agent} that this agent never signed"));
                }
            }
        }
        Ok(())
    }
}
