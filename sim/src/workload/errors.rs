//! What must be refused: too much money, forged bytes, a request id used twice, names that others own.

use std::time::Duration;

use comity_node::signer::VALID_FOR_MS;
use comity_proto::{
    command::{Command, Party, Verb},
    ids::{AgentId, RequestId, TransferId},
    text::Name,
};

use super::{
    agents::SimAgent,
    history::Operation,
    traffic::{ATTEMPTS, Town, transfer},
};
use crate::{
    scenario::Load,
    world::{Chance, TimeNs},
};

/// Such operations for each other one.
const SHARE: f64 = 0.3;
/// Names that agents contend for.
const NAMES: u64 = 4;

/// Errs at a share of the load's rate until `until`.
pub(super) async fn run(town: Town, load: Load, until: TimeNs) {
    let mut chance = town.hosts.universe.chance("errors");
    let rate = load.per_second * SHARE * town.hosts.domains().len() as f64;
    let honest: Vec<SimAgent> = town.agents.iter().filter(|agent| !agent.is_saver).cloned().collect();
    if rate <= 0.0 || honest.len() < 2 {
        return;
    }
    let pause_us = (1_000_000.0 / rate) as u64;
    while town.hosts.universe.now() < until {
        comity_runtime::sleep(Duration::from_micros(1 + chance.tail(pause_us))).await;
        let Some(agent) = chance.pick(&honest).cloned() else { return };
        let (town, mut own) = (town.clone(), Chance::stream(chance.any(), "error"));
        comity_runtime::spawn(async move { one(&town, &agent, &mut own).await });
    }
}

fn fresh(chance: &mut Chance) -> [u8; 16] {
    let mut id = [0; 16];
    chance.fill(&mut id);
    id
}

async fn one(town: &Town, agent: &SimAgent, chance: &mut Chance) {
    let others = town.others(agent, true);
    let (Some(other), Some(own)) = (chance.pick(&others).and_then(|other| town.party(other)), town.party(agent)) else {
        return;
    };
    let asset = town.asset(agent.domain);
    let id = TransferId(fresh(chance));
    let nobody = Party { agent: AgentId([9; 32]), ..other };
    let name = Name::new(&format!("name-{}", chance.below(NAMES)));
    let abroad = town.others(agent, false);
    let abroad = chance.pick(&abroad).and_then(|other| town.party(other));
    match (chance.below(14), name) {
        (0, _) => forge(town, agent, transfer(id, other, asset, 1 + chance.below(1_000)), chance).await,
        (1, _) => use_id_twice(town, agent, other, chance).await,
        (2, _) => drop(town.ask(agent, chance, transfer(id, other, asset, u64::MAX / 4)).await),
        (3, _) => drop(town.ask(agent, chance, transfer(id, own, asset, 1)).await),
        (4, _) => drop(town.ask(agent, chance, transfer(id, nobody, asset, 1)).await),
        (5, _) => drop(town.ask(agent, chance, transfer(id, other, asset, 0)).await),
        (6, _) => drop(town.ask(agent, chance, Verb::ClaimFaucet).await),
        (7 | 8, Ok(name)) => drop(town.ask(agent, chance, Verb::RegisterName { name, years: 1 }).await),
        (9, Ok(name)) => drop(town.ask(agent, chance, Verb::TransferName { name, to: other.agent }).await),
        (10, Ok(name)) => drop(town.ask(agent, chance, Verb::ReleaseName { name }).await),
        (11, Ok(name)) => drop(town.ask(agent, chance, Verb::RenewName { name, years: 1 }).await),
        (12 | 13, _) => {
            // Its home says no: nobody of that name is there.
            let Some(home) = abroad else { return };
            let nobody = Party { agent: AgentId([9; 32]), ..home };
            let amount = 1 + chance.below(1_000);
            town.ask(agent, chance, transfer(id, nobody, asset, amount)).await;
        }
        _ => {}
    }
}

/// A command whose signature has one wrong bit.
async fn forge(town: &Town, agent: &SimAgent, verb: Verb, chance: &mut Chance) {
    let request_id = RequestId(fresh(chance));
    let now_ms = comity_runtime::wall_ms();
    let batch = agent.signer.sign_all(vec![Command { request_id, verb: verb.clone() }], now_ms);
    let mut forged = batch.envelope.to_vec();
    // The signature is the last field of an envelope.
    if let Some(last) = forged.last_mut() {
        *last ^= 1;
    }
    let valid_until_ms = now_ms + VALID_FOR_MS;
    let operation = Operation { by: agent.id(), domain: agent.domain, request_id, valid_until_ms, verb };
    agent.raw(&town.hosts, &town.history, chance, operation, forged.into()).await;
}

/// Two payments under one request id: the second must be refused by name.
async fn use_id_twice(town: &Town, agent: &SimAgent, to: Party, chance: &mut Chance) {
    let request = (agent.domain, RequestId(fresh(chance)));
    for amount in [1, 2] {
        let verb = transfer(TransferId(fresh(chance)), to, town.asset(agent.domain), amount);
        agent.command_as(&town.hosts, &town.history, chance, request, verb, ATTEMPTS).await;
    }
}
