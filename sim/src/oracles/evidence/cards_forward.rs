//! Cards do not go back.

use std::collections::BTreeMap;

use comity_node::mesh::CardEntry;
use comity_proto::{
    card::{AgentCard, Rank},
    ids::AgentId,
};

use crate::{
    oracles::{Oracle, View},
    world::{HostId, TimeNs},
};

/// Time between two looks at all directories.
const EVERY: TimeNs = 200_000_000;

/// The newest card of each agent at each host, in which life, and until when it holds.
#[derive(Default)]
pub(super) struct CardsForward {
    next: TimeNs,
    newest: BTreeMap<(HostId, AgentId), (u64, Rank, u64)>,
    /// The latest time that each host's wall clock has shown, ms: a card may end by a clock that was wrong for a while.
    latest: BTreeMap<HostId, u64>,
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
            let wall_ms = view.hosts.universe.world(host).wall_ms();
            let latest = self.latest.entry(host).or_default();
            *latest = wall_ms.max(*latest);
            let of_card = |entry: &CardEntry<AgentCard>| {
                let card = entry.card.get();
                (card.agent, (entry.rank, card.expires_at_ms))
            };
            let cards: BTreeMap<AgentId, (Rank, u64)> = node.mesh().of_agent_cards(of_card).into_iter().collect();
            for (agent, (newer, expires_ms)) in &cards {
                let known = self.newest.insert((host, *agent), (boot, *newer, *expires_ms));
                if let Some((life, rank, _)) = known
                    && life == boot
                    && *newer < rank
                {
                    return Err(format!(
                        "host {host} put card {} of {agent} in the place of {}",
                        newer.sequence, rank.sequence
                    ));
                }
            }
            let held = self.newest.range((host, AgentId([0; 32]))..=(host, AgentId([255; 32])));
            let held = held.filter(|(_, (life, _, expires_ms))| *life == boot && expires_ms > latest);
            if let Some(((_, agent), _)) = held.into_iter().find(|((_, agent), _)| !cards.contains_key(agent)) {
                return Err(format!("host {host} forgot a card of {agent} that still holds"));
            }
        }
        Ok(())
    }
}
