//! Cards do not go back.

use std::collections::BTreeMap;

use comity_proto::{card::Rank, ids::AgentId};

use crate::{
    oracles::{Oracle, View},
    world::{HostId, TimeNs},
};

/// Time between two looks at all directories.
const EVERY: TimeNs = 200_000_000;

/// The newest card of each agent at each host, in which life.
#[derive(Default)]
pub(super) struct CardsForward {
    next: TimeNs,
    newest: BTreeMap<(HostId, AgentId), (u64, Rank)>,
}

impl Oracle for CardsForward {
    fn name(&self) -> &'static str {
        "cards-go-forward"
    }

    fn claim(&self) -> &'static str {
        "inside one life a node never replaces an agent's card by an older one, and never forgets one that still holds"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.now < self.next {
            return Ok(());
        }
        self.next = view.now + EVERY;
        for (host, node) in view.hosts.nodes() {
            let boot = view.hosts.with(host, |machine| machine.boots);
            let cards = node.mesh().agent_cards();
            for entry in &cards {
                let agent = entry.card.get().agent;
                let known = self.newest.insert((host, agent), (boot, entry.rank));
                if let Some((life, rank)) = known
                    && life == boot
                    && entry.rank < rank
                {
                    return Err(format!(
                        "host {host} put card {} of {agent} in the place of {}",
                        entry.rank.sequence, rank.sequence
                    ));
                }
            }
            let held = self.newest.range((host, AgentId([0; 32]))..=(host, AgentId([255; 32])));
            let held = held.filter(|(_, (life, _))| *life == boot).count();
            if held > cards.len() {
                return Err(format!("host {host} forgot {} of {held} cards", held - cards.len()));
            }
        }
        Ok(())
    }
}
