//! Everybody knows the same agents in the end.

use std::{collections::BTreeMap, sync::Arc};

use comity_ledger::treaty::TreatyState;
use comity_node::{mesh::CardEntry, node::Node};
use comity_proto::{
    card::{AgentCard, Rank},
    ids::AgentId,
};

use crate::{
    oracles::{Looks, Oracle, Phase, View},
    world::HostId,
};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "cards-converge",
        claim: "once everything is healed all nodes of a domain show the same newest card of every agent, and all nodes of \
                all domains the same public ones; while every treaty stands, the others too",
        look,
    })
}

type Known = BTreeMap<AgentId, Rank>;

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    let is_mutual = |node: &Node| {
        node.replica().read_stale(|ledger, _| {
            ledger.treaties().all(|treaty| ledger.treaty_state(&treaty.peer) == Some(TreatyState::Mutual))
        })
    };
    // A gateway passes public ones alone.
    let all_stand =
        view.plan.scenario.gateways.is_empty() && view.hosts.nodes().into_iter().all(|(_, node)| is_mutual(&node));
    let mut first: Option<(HostId, Known)> = None;
    let mut of_domain: BTreeMap<usize, (HostId, Known)> = BTreeMap::new();
    for (host, node) in view.hosts.nodes() {
        let domain = view.hosts.with(host, |machine| machine.domain);
        let known = |which: &dyn Fn(&CardEntry<AgentCard>) -> bool| -> Known {
            let cards = node.mesh().agent_cards();
            cards.iter().filter(|entry| which(entry)).map(|entry| (entry.card.get().agent, entry.rank)).collect()
        };
        let all = known(&|_| true);
        let (other, theirs) = of_domain.entry(domain).or_insert_with(|| (host, all.clone()));
        same(view, (*other, theirs), (host, &all))?;
        let told = known(&|entry| all_stand || entry.card.get().public);
        let (other, theirs) = first.get_or_insert_with(|| (host, told.clone()));
        same(view, (*other, theirs), (host, &told))?;
    }
    Ok(())
}

fn same(view: &View<'_>, (other, theirs): (HostId, &Known), (host, ours): (HostId, &Known)) -> Result<(), String> {
    let Some(agent) = theirs.keys().chain(ours.keys()).find(|agent| theirs.get(*agent) != ours.get(*agent)) else {
        return Ok(());
    };
    let held = |(host, node): (HostId, Arc<Node>)| {
        let cards = node.mesh().agent_cards();
        let card = cards.iter().find(|entry| entry.card.get().agent == *agent)?;
        let said = card.card.get();
        Some(format!(
            "host {host} number {} (public: {}, expires at {} ms, path {:?})",
            card.rank.sequence, said.public, said.expires_at_ms, card.path
        ))
    };
    let held: Vec<String> = view.hosts.nodes().into_iter().filter_map(held).collect();
    let count = (theirs.len(), ours.len());
    Err(format!(
        "hosts {other} and {host} know {} and {} agents; of {agent} holds {}",
        count.0,
        count.1,
        held.join(", ")
    ))
}
