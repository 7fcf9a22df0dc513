//! Everybody knows the same agents in the end.

use std::collections::BTreeMap;

use comity_proto::{card::Rank, ids::AgentId};

use crate::{
    oracles::{Looks, Oracle, Phase, View},
    world::HostId,
};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "cards-converge",
        claim: "once everything is healed all nodes show the same newest card of every agent",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    let mut first: Option<(HostId, BTreeMap<AgentId, Rank>)> = None;
    for (host, node) in view.hosts.nodes() {
        let cards = node.mesh().agent_cards().into_iter().map(|entry| (entry.card.get().agent, entry.rank)).collect();
        let (other, known) = first.get_or_insert_with(|| (host, BTreeMap::clone(&cards)));
        if *known != cards {
            let differs = known.iter().find(|(agent, rank)| cards.get(*agent) != Some(rank));
            let count = (known.len(), cards.len());
            return Err(format!(
                "hosts {other} and {host} know {} and {} agents; one differs: {differs:?}",
                count.0, count.1
            ));
        }
    }
    Ok(())
}
