//! The load: agents that pay each other for as long as it lasts.

use std::time::Duration;

use comity_proto::{command::Party, command::Verb, ids::TransferId, text::Memo};

use super::{agents::SimAgent, history::History};
use crate::{hosts::Hosts, scenario::Load, world::TimeNs};

/// Attempts of one command: about half a minute of trouble.
const ATTEMPTS: usize = 12;
/// Largest payment, minor units.
const PAYMENT_MAX: u64 = 1_000_000;

/// Agents of every domain pay at the load's rate until `until`. Each operation runs by itself, so slow answers do not
/// slow the load down.
pub async fn traffic(hosts: Hosts, history: History, agents: Vec<SimAgent>, load: Load, until: TimeNs) {
    let mut chance = hosts.universe.chance("traffic");
    let rate = load.per_second * hosts.domains().len() as f64;
    if rate <= 0.0 || agents.len() < 2 {
        return;
    }
    // A word of printable ASCII.
    let memo = Memo::new("pay").expect("a short memo");
    let pause_us = (1_000_000.0 / rate) as u64;
    let mut number = 0_u64;
    while hosts.universe.now() < until {
        comity_runtime::sleep(Duration::from_micros(1 + chance.tail(pause_us))).await;
        number += 1;
        let Some(from) = chance.pick(&agents).cloned() else { return };
        let across = chance.ratio(load.across);
        let others: Vec<&SimAgent> = agents
            .iter()
            .filter(|other| other.number != from.number && (other.domain != from.domain) == across)
            .collect();
        let Some(to) = chance.pick(&others).copied() else { continue };
        let Some(agent) = to.signer.agent_id() else { continue };
        let domains = hosts.domains();
        let mut id = [0; 16];
        chance.fill(&mut id);
        let verb = Verb::Transfer {
            transfer_id: TransferId(id),
            to: Party { domain: domains[to.domain].id(), agent },
            asset: domains[from.domain].asset(),
            amount: 1 + chance.below(PAYMENT_MAX),
            memo: memo.clone(),
        };
        let (hosts, history) = (hosts.clone(), history.clone());
        let mut own = hosts.universe.chance(&format!("operation {number}"));
        comity_runtime::spawn(async move {
            from.command(&hosts, &history, &mut own, verb, ATTEMPTS).await;
        });
    }
}
